/// ggml's blocks beyond the simple ones, one at a time and in ggml's order of operations (ggml-quants.c): what
/// Q4_K_M files consist of, with the types that llama.cpp falls back to where rows are no multiple of 256.
enum GGUFBlocks {
    private static func half(_ source: UnsafeRawPointer, _ offset: Int) -> Float {
        FloatConversion.float(half: source.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    /// Q5_0 and Q5_1: scale, with a minimum in Q5_1, 32 high bits, nibbles.
    static func dequantize5(_ source: UnsafeRawPointer, hasMinimum: Bool, into target: UnsafeMutablePointer<Float>) {
        let scale = half(source, 0)
        let minimum = hasMinimum ? half(source, 2) : 0
        let start = hasMinimum ? 4 : 2
        let high = UInt32(littleEndian: source.loadUnaligned(fromByteOffset: start, as: UInt32.self))
        for i in 0..<16 {
            let pair = source.load(fromByteOffset: start + 4 + i, as: UInt8.self)
            let low = Int32(pair & 15) | Int32(high >> UInt32(i) & 1) << 4
            let top = Int32(pair >> 4) | Int32(high >> UInt32(i + 16) & 1) << 4
            if hasMinimum {
                target[i] = Float(low) * scale + minimum
                target[i + 16] = Float(top) * scale + minimum
            } else {
                target[i] = Float(low - 16) * scale
                target[i + 16] = Float(top - 16) * scale
            }
        }
    }

    /// Q4_K and Q5_K: 256 values in eight groups of 32, whose scales and minima have six bits each under two halves.
    static func dequantizeK(_ source: UnsafeRawPointer, fiveBits: Bool, into target: UnsafeMutablePointer<Float>) {
        let scale = half(source, 0)
        let minimum = half(source, 2)
        func packed(_ index: Int) -> UInt8 { source.load(fromByteOffset: 4 + index, as: UInt8.self) }
        func group(_ j: Int) -> (scale: Float, minimum: Float) {
            let (s, m): (UInt8, UInt8) =
                j < 4
                ? (packed(j) & 63, packed(j + 4) & 63)
                : (packed(j + 4) & 15 | (packed(j - 4) >> 6) << 4, packed(j + 4) >> 4 | (packed(j) >> 6) << 4)
            return (scale * Float(s), minimum * Float(m))
        }
        let nibbles = fiveBits ? 48 : 16
        for pairOfGroups in 0..<4 {
            let (first, second) = (group(2 * pairOfGroups), group(2 * pairOfGroups + 1))
            for i in 0..<32 {
                let byte = source.load(fromByteOffset: nibbles + 32 * pairOfGroups + i, as: UInt8.self)
                let high = fiveBits ? source.load(fromByteOffset: 16 + i, as: UInt8.self) >> UInt8(2 * pairOfGroups) : 0
                let low = byte & 15 | (high & 1) << 4
                let top = byte >> 4 | (high >> 1 & 1) << 4
                target[64 * pairOfGroups + i] = first.scale * Float(low) - first.minimum
                target[64 * pairOfGroups + 32 + i] = second.scale * Float(top) - second.minimum
            }
        }
    }

    /// Q6_K: 128 low bytes, 64 high ones, sixteen signed scales, and the scale of all.
    static func dequantize6K(_ source: UnsafeRawPointer, into target: UnsafeMutablePointer<Float>) {
        let scale = half(source, 208)
        for part in 0..<2 {
            for i in 0..<32 {
                func low(_ offset: Int) -> UInt8 { source.load(fromByteOffset: 64 * part + offset + i, as: UInt8.self) }
                let high = source.load(fromByteOffset: 128 + 32 * part + i, as: UInt8.self)
                let values = (
                    low(0) & 15 | (high & 3) << 4, low(32) & 15 | (high >> 2 & 3) << 4,
                    low(0) >> 4 | (high >> 4 & 3) << 4, low(32) >> 4 | (high >> 6) << 4
                )
                func put(_ quarter: Int, _ value: UInt8) {
                    let group = 8 * part + 2 * quarter + i / 16
                    let own = source.load(fromByteOffset: 192 + group, as: Int8.self)
                    target[128 * part + 32 * quarter + i] = scale * Float(own) * Float(Int32(value) - 32)
                }
                put(0, values.0)
                put(1, values.1)
                put(2, values.2)
                put(3, values.3)
            }
        }
    }
}
