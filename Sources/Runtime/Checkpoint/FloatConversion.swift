/// Conversions between fp32 and the two 16-bit formats: round to nearest, ties to even; NaN stays NaN.
///
/// The loops are free of branches so that the compiler vectorizes them. Half precision goes by the arithmetic of
/// M. Dukhan's FP16 library (github.com/Maratyszcza/FP16), as Swift's Float16 calls a function for every element here.
public enum FloatConversion {
    @inline(__always)
    public static func float(half: UInt16) -> Float {
        let word = UInt32(half) << 16
        let sign = word & 0x8000_0000
        let shifted = word &+ word
        // Exponent moved from bias 15 to 127 by a product, which treats infinity and NaN right too.
        let normal = (Float(bitPattern: (shifted >> 4) &+ 0x7000_0000) * 0x1p-112).bitPattern
        let subnormal = (Float(bitPattern: (shifted >> 17) | 0x3F00_0000) - 0.5).bitPattern
        return Float(bitPattern: sign | (shifted < 0x0800_0000 ? subnormal : normal))
    }

    @inline(__always)
    public static func float(bfloat: UInt16) -> Float { Float(bitPattern: UInt32(bfloat) << 16) }

    @inline(__always)
    public static func half(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        let shifted = bits &+ bits
        let sign = bits & 0x8000_0000
        var bias = shifted & 0xFF00_0000
        bias = bias < 0x7100_0000 ? 0x7100_0000 : bias
        // Adding the right power of two makes the adder do the rounding; what overflows has become infinity before.
        let scaled = (Float(bitPattern: bits & 0x7FFF_FFFF) * 0x1p112) * 0x1p-110
        let rounded = (Float(bitPattern: (bias >> 1) &+ 0x0780_0000) + scaled).bitPattern
        let magnitude = ((rounded >> 13) & 0x7C00) &+ (rounded & 0x0FFF)
        return UInt16(truncatingIfNeeded: (sign >> 16) | (shifted > 0xFF00_0000 ? 0x7E00 : magnitude))
    }

    @inline(__always)
    public static func bfloat(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        let rounded = (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16
        let quietNaN = (bits >> 16) | 0x0040
        return UInt16(truncatingIfNeeded: bits & 0x7FFF_FFFF > 0x7F80_0000 ? quietNaN : rounded)
    }

    /// `bytes` holds out.count elements of `dtype` (F32, F16 or BF16), aligned or not. Returns the index of the first
    /// element that is infinite or NaN, if any; all elements are converted all the same.
    public static func convert(
        _ bytes: UnsafeRawBufferPointer, _ dtype: DType, into out: UnsafeMutableBufferPointer<Float>
    ) -> Int? {
        precondition(dtype.isSupportedFloat && bytes.count == out.count * dtype.size)
        guard let source = bytes.baseAddress, let target = out.baseAddress else { return nil }
        var notFinite = false
        switch dtype {
        case .f16:
            for i in 0..<out.count {
                let bits = source.loadUnaligned(fromByteOffset: 2 &* i, as: UInt16.self)
                target[i] = float(half: bits)
                notFinite = notFinite || bits & 0x7C00 == 0x7C00
            }
        case .bf16:
            for i in 0..<out.count {
                let bits = source.loadUnaligned(fromByteOffset: 2 &* i, as: UInt16.self)
                target[i] = float(bfloat: bits)
                notFinite = notFinite || bits & 0x7F80 == 0x7F80
            }
        default:
            for i in 0..<out.count {
                let bits = source.loadUnaligned(fromByteOffset: 4 &* i, as: UInt32.self)
                target[i] = Float(bitPattern: bits)
                notFinite = notFinite || bits & 0x7F80_0000 == 0x7F80_0000
            }
        }
        return notFinite ? out.firstIndex { !$0.isFinite } : nil
    }

    /// Writes `values` as `dtype` (F32, F16 or BF16) to `out`, which has room for exactly them.
    public static func convert(
        _ values: UnsafeBufferPointer<Float>, to dtype: DType, into out: UnsafeMutableRawBufferPointer
    ) {
        precondition(dtype.isSupportedFloat && out.count == values.count * dtype.size)
        guard let source = values.baseAddress, let target = out.baseAddress else { return }
        switch dtype {
        case .f16:
            for i in 0..<values.count { target.storeBytes(of: half(source[i]), toByteOffset: 2 &* i, as: UInt16.self) }
        case .bf16:
            for i in 0..<values.count {
                target.storeBytes(of: bfloat(source[i]), toByteOffset: 2 &* i, as: UInt16.self)
            }
        default: target.copyMemory(from: source, byteCount: out.count)
        }
    }
}
