// A random linear layer as a compressed-tensors file would hold it, and the way through one kernel set.
import CKernels

struct LinearCase: CustomStringConvertible {
    var bits = 8
    var rows: Int
    var cols: Int
    /// nil: one scale per channel.
    var scaleGroup: Int?
    /// The kernels' group; nil: as the scale's, or all columns rounded up to a multiple of 32.
    var group: Int?
    var asymmetric = false
    var tokens = 1
    var seed: UInt64 = 1
    /// All weights at one end of their range and all activations at ±127, in place of random ones.
    var extreme: Extreme?
    /// Elements by which the activations' floats stand off an aligned address.
    var misalignment = 0

    enum Extreme: String { case lowest, highest }

    var kernelGroup: Int { group ?? scaleGroup ?? (cols + 31) / 32 * 32 }
    var groups: Int { (cols + kernelGroup - 1) / kernelGroup }
    var sourceGroups: Int { scaleGroup.map { (cols + $0 - 1) / $0 } ?? 1 }
    var description: String {
        "bits \(bits) rows \(rows) cols \(cols) scaleGroup \(scaleGroup.map(String.init) ?? "channel") "
            + "group \(kernelGroup) \(asymmetric ? "asymmetric" : "symmetric") tokens \(tokens) seed \(seed)"
            + (extreme.map { " \($0)" } ?? "") + (misalignment > 0 ? " misaligned by \(misalignment)" : "")
    }
}

/// The values behind a case.
struct LinearValues {
    let layer: LinearCase
    /// Signed, [rows, cols].
    let quants: [Int]
    let scales: [Float]
    let zeroPoints: [Int8]
    /// [tokens, cols], rows `stride` apart.
    let x: [Float]
    let stride: Int

    init(_ layer: LinearCase) {
        self.layer = layer
        var random = Random(seed: layer.seed)
        let low = -(1 << (layer.bits - 1))
        let range = 1 << layer.bits
        let end = layer.extreme.map { $0 == .lowest ? low : -low - 1 }
        quants = (0..<layer.rows * layer.cols).map { _ in end ?? low + random.below(range) }
        // Of every second shape they are bfloat16s, which a set keeps in half the bytes.
        let anyBits = (layer.rows + layer.tokens) % 2 == 0
        scales = random.floats(layer.rows * layer.sourceGroups, 0.001...0.02)
            .map { anyBits ? $0 : Float(bitPattern: $0.bitPattern & 0xFFFF_0000) }
        zeroPoints = scales.map { _ in Int8(end.map { -1 - $0 } ?? low + random.below(range)) }
        stride = layer.cols + 3
        x = (0..<layer.tokens * stride).map { _ in
            layer.extreme != nil ? (random.below(4) == 0 ? -127 : 127) : random.uniform(-3...3)
        }
    }

    /// The same layer and the first of the tokens.
    init(_ other: LinearValues, tokens: Int) {
        var layer = other.layer
        layer.tokens = tokens
        self.layer = layer
        (quants, scales, zeroPoints, stride) = (other.quants, other.scales, other.zeroPoints, other.stride)
        x = Array(other.x[..<(tokens * stride)])
    }

    /// The rows as the file packs them: 32-bit words, element 0 lowest.
    func packed() -> (bytes: [UInt8], rowBytes: Int) {
        let perByte = 8 / layer.bits
        let rowBytes = (layer.cols * layer.bits + 31) / 32 * 4
        var bytes = [UInt8](repeating: 0, count: layer.rows * rowBytes)
        for row in 0..<layer.rows {
            for column in 0..<layer.cols {
                let unsigned = quants[row * layer.cols + column] + (1 << (layer.bits - 1))
                bytes[row * rowBytes + column / perByte] |= UInt8(unsigned) << (column % perByte * layer.bits)
            }
        }
        return (bytes, rowBytes)
    }

    /// Packs, quantizes and multiplies; the row blocks in `parts` calls. → [tokens, rows]
    func run(_ set: KernelSet, parts: Int = 1) -> (out: [Float], quants: [Int8], scales: [Float], sums: [Int32]) {
        let kernels = set.kernels
        let block = Int(kernels.row_block)
        let blocks = (layer.rows + block - 1) / block
        let group = layer.kernelGroup
        let groups = layer.groups
        let tokens = layer.tokens

        let (bytes, rowBytes) = packed()
        let source = Memory(bytes)
        let sourceScales = Memory(scales)
        let sourceZeros = Memory(zeroPoints)
        var description = qk_source(
            bits: Int32(layer.bits), rows: Int32(layer.rows), cols: Int32(layer.cols),
            scale_group: Int32(layer.scaleGroup ?? layer.cols), packed: source.pointer, row_bytes: Int64(rowBytes),
            scales: sourceScales.pointer, zero_points: layer.asymmetric ? UnsafePointer(sourceZeros.pointer) : nil)
        let size = kernels.weights_size(Int32(layer.bits), Int32(layer.rows), Int32(groups), Int32(group))
        let quants = Memory<UInt8>(size)
        let blockScales = Memory<Float>(blocks * groups * block)
        let bfloatScales = Memory<UInt16>(blocks * groups * block)
        let inBfloat = scales.allSatisfy { $0.bitPattern & 0xFFFF == 0 }
        let blockZeros = Memory<Int32>(blocks * groups * block)
        var weights = qk_weights(
            bits: Int32(layer.bits), rows: Int32(layer.rows), cols: Int32(layer.cols), group: Int32(group),
            groups: Int32(groups), row_block: Int32(block), row_blocks: Int32(blocks), asymmetric: layer.asymmetric,
            quants: quants.pointer, scales: inBfloat ? nil : blockScales.pointer,
            bfloat_scales: inBfloat ? bfloatScales.pointer : nil,
            zero_points: layer.asymmetric ? blockZeros.pointer : nil)

        let input = Memory(x, misalignment: layer.misalignment)
        let xQuants = Memory<Int8>(tokens * groups * group)
        let xScales = Memory<Float>(tokens * groups)
        let xSums = Memory<Int32>(tokens * groups)
        var activations = qk_activations(
            tokens: Int32(tokens), cols: Int32(layer.cols), group: Int32(group), groups: Int32(groups),
            quants: xQuants.pointer, scales: xScales.pointer, sums: xSums.pointer)
        kernels.quantize(input.pointer, Int64(stride), &activations, 0, Int32(tokens))

        let outStride = layer.rows + 5
        let out = Memory([Float](repeating: 7.5, count: tokens * outStride), misalignment: layer.misalignment)
        for part in 0..<parts {
            let begin = Int32(blocks * part / parts)
            let end = Int32(blocks * (part + 1) / parts)
            kernels.pack(&description, &weights, begin, end)
            kernels.linear(&weights, &activations, out.pointer, Int64(outStride), begin, end)
        }
        let all = out.array
        let gaps = (0..<tokens).flatMap { all[$0 * outStride + layer.rows..<($0 + 1) * outStride] }
        precondition(gaps.allSatisfy { $0 == 7.5 }, "\(set.name) wrote past the rows: \(layer)")
        return (
            (0..<tokens).flatMap { all[$0 * outStride..<$0 * outStride + layer.rows] }, xQuants.array, xScales.array,
            xSums.array
        )
    }

    /// The product in double precision from the unquantized activations, and how far an int8 product may be from it:
    /// each activation is off by at most half its group's scale, and each of the groups' fp32 steps by 2^-23 of its
    /// magnitude. → [tokens, rows]
    func reference() -> (out: [Double], tolerance: [Double]) {
        var out: [Double] = []
        var tolerance: [Double] = []
        for t in 0..<layer.tokens {
            let row = x[t * stride..<t * stride + layer.cols].map(Double.init)
            let steps = (0..<layer.groups).map { g in
                (g * layer.kernelGroup..<min(layer.cols, (g + 1) * layer.kernelGroup)).map { abs(row[$0]) }.max()!
                    / 127
            }
            for r in 0..<layer.rows {
                var sum = 0.0
                var bound = 0.0
                var magnitude = 0.0
                for c in 0..<layer.cols {
                    let s = r * layer.sourceGroups + c / (layer.scaleGroup ?? layer.cols)
                    let zero = layer.asymmetric ? Int(zeroPoints[s]) : 0
                    let weight = Double(quants[r * layer.cols + c] - zero) * Double(scales[s])
                    sum += weight * row[c]
                    bound += abs(weight) * steps[c / layer.kernelGroup] / 2
                    magnitude += abs(weight * row[c])
                }
                out.append(sum)
                tolerance.append(bound * (1 + 0x1p-16) + magnitude * Double(layer.groups + 4) * 0x1p-23)
            }
        }
        return (out, tolerance)
    }
}
