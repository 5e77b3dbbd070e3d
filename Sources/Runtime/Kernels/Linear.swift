import CKernels
import COpenBLAS
import Foundation
import Synchronization

/// One linear layer: W [outputs, inputs], and a bias [outputs] where the checkpoint has one.
final class Linear: Sendable {
    enum Weights {
        /// fp32, row-major: the reference path through OpenBLAS.
        case dense(AlignedBuffer<Float>)
        /// int8 or int4 with a scale per group, in the kernel set's order.
        case packed(PackedWeights)
    }

    let inputs: Int
    let outputs: Int
    let weights: Weights
    let bias: AlignedBuffer<Float>?

    init(inputs: Int, outputs: Int, weights: Weights, bias: AlignedBuffer<Float>?) {
        self.inputs = inputs
        self.outputs = outputs
        self.weights = weights
        self.bias = bias
    }

    /// Bytes of weights, scales and bias in memory.
    var byteCount: Int {
        let weightBytes =
            switch weights {
            case .dense(let buffer): buffer.byteCount
            case .packed(let packed): packed.byteCount
            }
        return weightBytes + (bias?.byteCount ?? 0)
    }
}

/// Quantized weights, interleaved for one kernel set at load. Immutable once made.
final class PackedWeights: @unchecked Sendable {
    /// Columns that share a scale in the kernel: the file's group, or a part of it.
    let group: Int
    let rowBlocks: Int
    private let quants: AlignedBuffer<UInt8>
    /// One of the two: half the bytes where every scale is a bfloat16.
    private let scales: AlignedBuffer<Float>?
    private let bfloatScales: AlignedBuffer<UInt16>?
    private let zeroPoints: AlignedBuffer<Int32>?
    let viewPointer: UnsafeMutablePointer<qk_weights>

    /// Memory in the order of `kernels`, to be filled.
    private init(
        bits: Int, rows: Int, columns: Int, scaleGroup: Int, asymmetric: Bool, bfloatScales inBfloat: Bool,
        _ kernels: KernelSet
    ) {
        let room = Room(bits: bits, rows: rows, columns: columns, scaleGroup: scaleGroup, kernels)
        (group, rowBlocks) = (room.group, room.rowBlocks)
        let (groups, block, size) = (room.groups, kernels.rowBlock, room.quantBytes)
        quants = AlignedBuffer(count: size, willBeFilled: true)
        scales = inBfloat ? nil : AlignedBuffer(count: room.scales, willBeFilled: true)
        bfloatScales = inBfloat ? AlignedBuffer(count: room.scales, willBeFilled: true) : nil
        zeroPoints = asymmetric ? AlignedBuffer(count: room.scales) : nil
        viewPointer = .allocate(capacity: 1)
        viewPointer.initialize(
            to: qk_weights(
                bits: Int32(bits), rows: Int32(rows), cols: Int32(columns), group: Int32(group), groups: Int32(groups),
                row_block: Int32(block), row_blocks: Int32(rowBlocks), asymmetric: asymmetric,
                quants: quants.pointer, scales: scales?.pointer, bfloat_scales: bfloatScales?.pointer,
                zero_points: zeroPoints?.pointer))
    }

    /// Writes the weights, row blocks in parallel. `source` is read during this call only.
    private func fill(_ source: qk_source, _ kernels: KernelSet, _ pool: ThreadPool) {
        let pack = kernels.table.pointee.pack!
        let view = viewPointer
        let chunk = 16
        pool.run((rowBlocks + chunk - 1) / chunk) { task, _ in
            var source = source
            pack(&source, view, Int32(task * chunk), Int32(min(rowBlocks, (task + 1) * chunk)))
        }
    }

    deinit { viewPointer.deallocate() }

    var byteCount: Int {
        quants.byteCount + (scales?.byteCount ?? 0) + (bfloatScales?.byteCount ?? 0) + (zeroPoints?.byteCount ?? 0)
    }

    /// Bytes that weights of this kind will take, without making them.
    static func byteCount(
        bits: Int, rows: Int, columns: Int, scaleGroup: Int, asymmetric: Bool, bfloatScales: Bool, _ kernels: KernelSet
    ) -> Int {
        let room = Room(bits: bits, rows: rows, columns: columns, scaleGroup: scaleGroup, kernels)
        return room.quantBytes + room.scales * ((bfloatScales ? 2 : 4) + (asymmetric ? 4 : 0))
    }

    /// How weights lie in a kernel set's order: rows in whole blocks, columns in whole groups.
    private struct Room {
        let group, groups, rowBlocks, quantBytes, scales: Int

        init(bits: Int, rows: Int, columns: Int, scaleGroup: Int, _ kernels: KernelSet) {
            group = PackedWeights.kernelGroup(columns: columns, scaleGroup: scaleGroup)
            groups = (columns + group - 1) / group
            rowBlocks = (rows + kernels.rowBlock - 1) / kernels.rowBlock
            quantBytes = kernels.table.pointee.weights_size(Int32(bits), Int32(rows), Int32(groups), Int32(group))
            scales = rowBlocks * groups * kernels.rowBlock
        }
    }

    /// The kernel sums integers over one group of activations: at most 128 columns, a multiple of 32, within one scale.
    static func kernelGroup(columns: Int, scaleGroup: Int) -> Int {
        if scaleGroup < columns || [32, 64, 128].contains(scaleGroup) { return scaleGroup }
        return [128, 64].first { columns % $0 == 0 } ?? 32
    }
}

/// out [tokens, outputs] = x [tokens, inputs] · Wᵀ by OpenBLAS, in slices of rows whose borders do not depend on the
/// number of threads.
func denseProduct(_ weights: AlignedBuffer<Float>, _ x: Rows, into out: Rows, pool: ThreadPool) {
    OpenBLAS.useOneThread
    let slice = 256
    pool.run((out.width + slice - 1) / slice) { task, _ in
        let first = task * slice
        let count = min(slice, out.width - first)
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasTrans, blasint(x.rows), blasint(count), blasint(x.width), 1,
            x.pointer, blasint(x.width), weights.pointer + first * x.width, blasint(x.width), 0,
            out.pointer + first, blasint(out.width))
    }
}

/// OpenBLAS's own threads are switched off, once: our pool divides the work.
private enum OpenBLAS {
    static let useOneThread: Void = openblas_set_num_threads(1)
}

extension PackedWeights {
    /// A layer as its checkpoint holds it; its words are read from the mapped file, once.
    convenience init(_ layer: PackedScales, from checkpoint: Checkpoint, kernels: KernelSet, pool: ThreadPool) throws {
        let (rows, columns) = (layer.layer.rows, layer.layer.columns)
        let scaleGroup = layer.scheme.groupSize ?? columns
        self.init(
            bits: layer.scheme.bits, rows: rows, columns: columns, scaleGroup: scaleGroup,
            asymmetric: layer.zeroPoints != nil,
            bfloatScales: layer.values.allSatisfy { $0.bitPattern & 0xFFFF == 0 }, kernels)
        try checkpoint.withBytes(layer.layer.module + ".weight_packed") { words in
            layer.values.withUnsafeBufferPointer { scales in
                (layer.zeroPoints ?? []).withUnsafeBufferPointer { zeros in
                    fill(
                        qk_source(
                            bits: Int32(layer.scheme.bits), rows: Int32(rows), cols: Int32(columns),
                            scale_group: Int32(scaleGroup),
                            packed: words.baseAddress!.assumingMemoryBound(to: UInt8.self),
                            row_bytes: Int64(words.count / rows), scales: scales.baseAddress!,
                            zero_points: layer.zeroPoints == nil ? nil : zeros.baseAddress!), kernels, pool)
                }
            }
        }
    }

    /// Quantizes weights [rows, columns], given in the bytes of `dtype`, to int8, symmetric, a scale for every `group`
    /// columns: absmax/127 as a bfloat16, ties to even. For weights that no file holds quantized, such as a tied head.
    /// - Returns: nil where a weight is infinite or NaN.
    static func roundToNearest(
        _ weights: UnsafeRawBufferPointer, _ dtype: DType, rows: Int, columns: Int, group: Int, kernels: KernelSet,
        pool: ThreadPool
    ) -> PackedWeights? {
        let groups = (columns + group - 1) / group
        let rowBytes = (columns + 3) / 4 * 4
        let packed = AlignedBuffer<UInt8>(count: rows * rowBytes, willBeFilled: true)
        let scales = AlignedBuffer<Float>(count: rows * groups)
        let scratch = AlignedBuffer<Float>(count: pool.threads * columns)
        let isFinite = Atomic<Bool>(true)
        let chunk = 64
        pool.run((rows + chunk - 1) / chunk) { task, worker in
            let row = UnsafeMutableBufferPointer(start: scratch.pointer + worker * columns, count: columns)
            for index in task * chunk..<min(rows, (task + 1) * chunk) {
                let bytes = weights[index * columns * dtype.size..<(index + 1) * columns * dtype.size]
                if FloatConversion.convert(UnsafeRawBufferPointer(rebasing: bytes), dtype, into: row) != nil {
                    isFinite.store(false, ordering: .relaxed)
                }
                quantize(
                    UnsafeBufferPointer(row), group: group, into: packed.pointer + index * rowBytes,
                    scales: scales.pointer + index * groups)
            }
        }
        guard isFinite.load(ordering: .acquiring) else { return nil }
        let source = qk_source(
            bits: 8, rows: Int32(rows), cols: Int32(columns), scale_group: Int32(group), packed: packed.pointer,
            row_bytes: Int64(rowBytes), scales: scales.pointer, zero_points: nil)
        let result = PackedWeights(
            bits: 8, rows: rows, columns: columns, scaleGroup: group, asymmetric: false, bfloatScales: true, kernels)
        withExtendedLifetime((packed, scales)) { result.fill(source, kernels, pool) }
        return result
    }

    private static func quantize(
        _ row: UnsafeBufferPointer<Float>, group: Int, into target: UnsafeMutablePointer<UInt8>,
        scales: UnsafeMutablePointer<Float>
    ) {
        // Loops without branches and without rounding functions, so that the compiler vectorizes them: adding 1.5·2²³
        // rounds to whole numbers, ties to even, and leaves them in the lowest bits.
        let rounder: Float = 0x1.8p23
        for (index, begin) in stride(from: 0, to: row.count, by: group).enumerated() {
            let values = UnsafeBufferPointer(rebasing: row[begin..<min(row.count, begin + group)])
            var top: UInt32 = 0
            for value in values {
                let magnitude = value.bitPattern & 0x7FFF_FFFF
                top = magnitude > top ? magnitude : top
            }
            let scale = FloatConversion.float(bfloat: FloatConversion.bfloat(Float(bitPattern: top) / 127))
            scales[index] = scale
            let inverse = scale > 0 ? 1 / scale : 0
            let bytes = target + begin
            for column in 0..<values.count {
                var q = values[column] * inverse
                q = q < 127 ? q : 127
                q = q > -127 ? q : -127
                bytes[column] = UInt8(truncatingIfNeeded: (q + rounder).bitPattern) ^ 0x80
            }
        }
    }
}
