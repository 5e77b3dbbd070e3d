/// The arithmetic of a checkpoint's dtype, on values kept in fp32.
///
/// The reference (compressed-tensors on torch) computes scales and quotients in the weights' own dtype: each operation
/// is done in fp32 and its result rounded to that dtype, to nearest, ties to even. `rounded` is that last step.
protocol FloatFormat: Sendable {
    /// The distance from 1 to the next value, which stands in for a scale of zero.
    static var epsilon: Float { get }

    static func rounded(_ value: Float) -> Float
    /// As above for eight values that are finite and do not overflow the format.
    static func rounded(_ values: SIMD8<Float>) -> SIMD8<Float>
}

enum Float32Format: FloatFormat {
    static let epsilon: Float = 0x1p-23

    @inline(__always) static func rounded(_ value: Float) -> Float { value }
    @inline(__always) static func rounded(_ values: SIMD8<Float>) -> SIMD8<Float> { values }
}

/// bfloat16: the upper half of an fp32.
enum BFloat16Format: FloatFormat {
    static let epsilon: Float = 0x1p-7

    @inline(__always) static func rounded(_ value: Float) -> Float {
        guard value.isFinite else { return value }
        let bits = value.bitPattern
        return Float(bitPattern: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) & 0xFFFF_0000)
    }
    @inline(__always) static func rounded(_ values: SIMD8<Float>) -> SIMD8<Float> {
        let bits = unsafeBitCast(values, to: SIMD8<UInt32>.self)
        let up = bits &+ SIMD8(repeating: 0x7FFF) &+ ((bits &>> 16) & SIMD8(repeating: 1))
        return unsafeBitCast(up & SIMD8(repeating: 0xFFFF_0000), to: SIMD8<Float>.self)
    }
}

/// IEEE half precision by integer arithmetic: the baseline x86-64 has no instruction for it, and Swift's Float16 calls
/// a function for every value there.
enum Float16Format: FloatFormat {
    static let epsilon: Float = 0x1p-10

    @inline(__always) static func rounded(_ value: Float) -> Float {
        guard value.isFinite else { return value }
        // Below 2^-14 the spacing is 2^-24, which is fp32's spacing next to 0.75.
        if value.magnitude < 0x1p-14 { return (value + 0.75) - 0.75 }
        let bits = value.bitPattern
        let rounded = Float(bitPattern: (bits &+ 0xFFF &+ ((bits >> 13) & 1)) & 0xFFFF_E000)
        return rounded.magnitude >= 65536 ? Float(signOf: rounded, magnitudeOf: .infinity) : rounded
    }
    @inline(__always) static func rounded(_ values: SIMD8<Float>) -> SIMD8<Float> {
        let bits = unsafeBitCast(values, to: SIMD8<UInt32>.self)
        let up = bits &+ SIMD8(repeating: 0xFFF) &+ ((bits &>> 13) & SIMD8(repeating: 1))
        let normal = unsafeBitCast(up & SIMD8(repeating: 0xFFFF_E000), to: SIMD8<Float>.self)
        let subnormal = (values + 0.75) - 0.75
        let small = (bits & SIMD8(repeating: 0x7FFF_FFFF)) .< SIMD8(repeating: Float(0x1p-14).bitPattern)
        return normal.replacing(with: subnormal, where: small)
    }
}
