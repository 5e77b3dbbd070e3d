/// Exact conversion of a checkpoint's floats to fp32, and the search for values that are not finite.
enum FiniteConversion {
    /// Converts `values.count` values; returns how many are NaN or infinite, and where the first of them stands.
    static func convert<F: FloatFormat>(
        _: F.Type, _ source: UnsafeRawBufferPointer, into values: UnsafeMutableBufferPointer<Float>
    ) -> (count: Int, first: Int) {
        guard let from = source.baseAddress, let to = values.baseAddress else { return (0, 0) }
        let exponent: UInt32 = 0x7F80_0000
        var found = SIMD8<UInt32>.zero
        var i = 0
        while i + 8 <= values.count {
            let x = F.load8(from + i * F.bytes)
            UnsafeMutableRawPointer(to + i).storeBytes(of: x, as: SIMD8<Float>.self)
            let bits = unsafeBitCast(x, to: SIMD8<UInt32>.self) & SIMD8(repeating: exponent)
            found = found | SIMD8<UInt32>.zero.replacing(with: 1, where: bits .== SIMD8(repeating: exponent))
            i += 8
        }
        var any = found.max() > 0
        while i < values.count {
            to[i] = F.load(from + i * F.bytes)
            if !to[i].isFinite { any = true }
            i += 1
        }
        guard any else { return (0, 0) }
        return (values.reduce(0) { $0 + ($1.isFinite ? 0 : 1) }, values.firstIndex { !$0.isFinite } ?? 0)
    }
}
