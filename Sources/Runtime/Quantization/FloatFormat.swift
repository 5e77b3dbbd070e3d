/// The arithmetic of a checkpoint's dtype, on values kept in fp32.
///
/// The reference (compressed-tensors on torch) computes scales and quotients in the weights' own dtype: each operation
/// is done in fp32 and its result rounded to that dtype, to nearest, ties to even. `rounded` is that last step.
protocol FloatFormat: Sendable {
    static var dtype: DType { get }
    static var bytes: Int { get }
    /// The distance from 1 to the next value, which stands in for a scale of zero.
    static var epsilon: Float { get }

    /// Eight values from any address. An infinity or a NaN comes out as one.
    static func load8(_ source: UnsafeRawPointer) -> SIMD8<Float>
    static func load(_ source: UnsafeRawPointer) -> Float
    /// Stores a value that is representable in this format.
    static func store(_ value: Float, to target: UnsafeMutableRawPointer)

    static func rounded(_ value: Float) -> Float
    /// As above for eight values that are finite and do not overflow the format.
    static func rounded(_ values: SIMD8<Float>) -> SIMD8<Float>
}

enum Float32Format: FloatFormat {
    static let dtype = DType.f32
    static let bytes = 4
    static let epsilon: Float = 0x1p-23

    @inline(__always) static func load8(_ source: UnsafeRawPointer) -> SIMD8<Float> {
        source.loadUnaligned(as: SIMD8<Float>.self)
    }
    @inline(__always) static func load(_ source: UnsafeRawPointer) -> Float { source.loadUnaligned(as: Float.self) }
    @inline(__always) static func store(_ value: Float, to target: UnsafeMutableRawPointer) {
        target.storeBytes(of: value, as: Float.self)
    }
    @inline(__always) static func rounded(_ value: Float) -> Float { value }
    @inline(__always) static func rounded(_ values: SIMD8<Float>) -> SIMD8<Float> { values }
}

/// bfloat16: the upper half of an fp32.
enum BFloat16Format: FloatFormat {
    static let dtype = DType.bf16
    static let bytes = 2
    static let epsilon: Float = 0x1p-7

    @inline(__always) static func load8(_ source: UnsafeRawPointer) -> SIMD8<Float> {
        let halves = SIMD8<UInt32>(truncatingIfNeeded: source.loadUnaligned(as: SIMD8<UInt16>.self))
        return unsafeBitCast(halves &<< 16, to: SIMD8<Float>.self)
    }
    @inline(__always) static func load(_ source: UnsafeRawPointer) -> Float {
        Float(bitPattern: UInt32(source.loadUnaligned(as: UInt16.self)) << 16)
    }
    @inline(__always) static func store(_ value: Float, to target: UnsafeMutableRawPointer) {
        target.storeBytes(of: UInt16(truncatingIfNeeded: value.bitPattern >> 16), as: UInt16.self)
    }
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
    static let dtype = DType.f16
    static let bytes = 2
    static let epsilon: Float = 0x1p-10

    @inline(__always) static func load8(_ source: UnsafeRawPointer) -> SIMD8<Float> {
        let halves = SIMD8<UInt32>(truncatingIfNeeded: source.loadUnaligned(as: SIMD8<UInt16>.self))
        let magnitude = halves & SIMD8(repeating: 0x7FFF)
        // Exponent and mantissa in fp32's places are 2^112 too small, for subnormals too.
        let scaled = unsafeBitCast(magnitude &<< 13, to: SIMD8<Float>.self) * 0x1p112
        let special = unsafeBitCast((magnitude &<< 13) | SIMD8(repeating: 0x7F80_0000), to: SIMD8<Float>.self)
        let value = scaled.replacing(with: special, where: magnitude .>= SIMD8(repeating: 0x7C00))
        let sign = (halves & SIMD8(repeating: 0x8000)) &<< 16
        return unsafeBitCast(unsafeBitCast(value, to: SIMD8<UInt32>.self) | sign, to: SIMD8<Float>.self)
    }
    @inline(__always) static func load(_ source: UnsafeRawPointer) -> Float {
        let half = UInt32(source.loadUnaligned(as: UInt16.self))
        let magnitude = half & 0x7FFF
        let value =
            magnitude >= 0x7C00
            ? Float(bitPattern: magnitude << 13 | 0x7F80_0000) : Float(bitPattern: magnitude << 13) * 0x1p112
        return Float(bitPattern: value.bitPattern | (half & 0x8000) << 16)
    }
    @inline(__always) static func store(_ value: Float, to target: UnsafeMutableRawPointer) {
        let sign = UInt16(truncatingIfNeeded: value.bitPattern >> 16) & 0x8000
        let magnitude =
            value.isFinite
            ? UInt16(truncatingIfNeeded: (value.magnitude * 0x1p-112).bitPattern >> 13)
            : (value.isNaN ? 0x7E00 : 0x7C00)
        target.storeBytes(of: sign | magnitude, as: UInt16.self)
    }
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
