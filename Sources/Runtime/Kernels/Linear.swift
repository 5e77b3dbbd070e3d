import CKernels
import COpenBLAS
import Foundation

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
    private let scales: AlignedBuffer<Float>
    private let zeroPoints: AlignedBuffer<Int32>?
    let viewPointer: UnsafeMutablePointer<qk_weights>

    /// Memory in the order of `kernels`, to be filled.
    private init(
        bits: Int, rows: Int, columns: Int, scaleGroup: Int, asymmetric: Bool, _ kernels: KernelSet
    ) {
        group = PackedWeights.kernelGroup(columns: columns, scaleGroup: scaleGroup)
        let groups = (columns + group - 1) / group
        let block = kernels.rowBlock
        rowBlocks = (rows + block - 1) / block
        let size = kernels.table.pointee.weights_size(Int32(bits), Int32(rows), Int32(groups), Int32(group))
        quants = AlignedBuffer(count: size)
        scales = AlignedBuffer(count: rowBlocks * groups * block)
        zeroPoints = asymmetric ? AlignedBuffer(count: rowBlocks * groups * block) : nil
        viewPointer = .allocate(capacity: 1)
        viewPointer.initialize(
            to: qk_weights(
                bits: Int32(bits), rows: Int32(rows), cols: Int32(columns), group: Int32(group), groups: Int32(groups),
                row_block: Int32(block), row_blocks: Int32(rowBlocks), asymmetric: asymmetric,
                quants: quants.pointer, scales: scales.pointer, zero_points: zeroPoints?.pointer))
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

    var byteCount: Int { quants.byteCount + scales.byteCount + (zeroPoints?.byteCount ?? 0) }

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
    /// A layer as its checkpoint holds it.
    convenience init(_ weight: PackedWeight, kernels: KernelSet, pool: ThreadPool) {
        self.init(
            weight.words, scales: weight.scales, zeroPoints: weight.zeroPoints, bits: weight.scheme.bits,
            rows: weight.rows, columns: weight.columns, scaleGroup: weight.scheme.groupSize ?? weight.columns,
            kernels: kernels, pool: pool)
    }

    private convenience init(
        _ words: [UInt32], scales: [Float], zeroPoints: [Int8]?, bits: Int, rows: Int, columns: Int, scaleGroup: Int,
        kernels: KernelSet, pool: ThreadPool
    ) {
        self.init(
            bits: bits, rows: rows, columns: columns, scaleGroup: scaleGroup, asymmetric: zeroPoints != nil, kernels)
        words.withUnsafeBytes { words in
            scales.withUnsafeBufferPointer { scales in
                (zeroPoints ?? []).withUnsafeBufferPointer { zeros in
                    fill(
                        qk_source(
                            bits: Int32(bits), rows: Int32(rows), cols: Int32(columns), scale_group: Int32(scaleGroup),
                            packed: words.baseAddress!.assumingMemoryBound(to: UInt8.self),
                            row_bytes: Int64(words.count / rows), scales: scales.baseAddress!,
                            zero_points: zeroPoints == nil ? nil : zeros.baseAddress!), kernels, pool)
                }
            }
        }
    }

    /// Quantizes fp32 weights [rows, columns] to int8, symmetric, a scale for every `group` columns: absmax/127, ties to
    /// even. For weights that no file holds quantized, such as a tied head.
    static func roundToNearest(
        _ weights: AlignedBuffer<Float>, rows: Int, columns: Int, group: Int, kernels: KernelSet, pool: ThreadPool
    ) -> PackedWeights {
        let groups = (columns + group - 1) / group
        let rowBytes = (columns + 3) / 4 * 4
        let packed = AlignedBuffer<UInt8>(count: rows * rowBytes)
        let scales = AlignedBuffer<Float>(count: rows * groups)
        pool.run((rows + 63) / 64) { task, _ in
            for row in task * 64..<min(rows, task * 64 + 64) {
                let source = weights.pointer + row * columns
                let target = packed.pointer + row * rowBytes
                for index in 0..<groups {
                    let range = index * group..<min(columns, (index + 1) * group)
                    var largest: Float = 0
                    for column in range { largest = max(largest, abs(source[column])) }
                    let scale = largest / 127
                    scales.pointer[row * groups + index] = scale
                    let inverse = scale > 0 ? 1 / scale : 0
                    for column in range {
                        let value = (source[column] * inverse).rounded(.toNearestOrEven)
                        target[column] = UInt8(Int(max(-127, min(127, value))) + 128)
                    }
                }
            }
        }
        let source = qk_source(
            bits: 8, rows: Int32(rows), cols: Int32(columns), scale_group: Int32(group), packed: packed.pointer,
            row_bytes: Int64(rowBytes), scales: scales.pointer, zero_points: nil)
        let result = PackedWeights(
            bits: 8, rows: rows, columns: columns, scaleGroup: group, asymmetric: false, kernels)
        withExtendedLifetime((packed, scales)) { result.fill(source, kernels, pool) }
        return result
    }
}
