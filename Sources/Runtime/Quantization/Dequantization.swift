import Foundation

/// From quants back to weights, as the reference does it in the scales' dtype: ŵ = (q − zp)·scale, the product rounded
/// to that dtype. (q − zp is an integer within ±255, exact in each of them.)
enum Dequantization {
    /// One row: quants [columns] → values [columns].
    @inline(__always)
    static func row<F: FloatFormat>(
        _: F.Type, quants: UnsafePointer<Int8>, scales: UnsafePointer<Float>, zeroPoints: UnsafePointer<Int8>?,
        columns: Int, groupSize: Int, into values: UnsafeMutablePointer<Float>
    ) {
        var group = 0
        var start = 0
        while start < columns {
            let end = min(columns, start + groupSize)
            let scale = scales[group]
            let zeroPoint = Float(zeroPoints?[group] ?? 0)
            for i in start..<end { values[i] = F.rounded((Float(quants[i]) - zeroPoint) * scale) }
            group += 1
            start = end
        }
    }

    /// Σ w² and Σ (w − ŵ)² of a block, in double, in a fixed order.
    static func error<F: FloatFormat>(
        _: F.Type, _ weights: WeightBlock, _ quantized: QuantizedBlock, _ scheme: QuantizationScheme
    ) -> (signal: Double, noise: Double) {
        guard let values = weights.values.baseAddress, let quants = quantized.quants.baseAddress else { return (0, 0) }
        let columns = weights.columns
        let groups = scheme.groups(columns: columns)
        let size = scheme.groupSize ?? columns
        var signals = SIMD8<Double>.zero
        var noises = SIMD8<Double>.zero
        for row in 0..<weights.rows {
            for group in 0..<groups {
                let scale = quantized.scales[row * groups + group]
                let zeroPoint = Float(quantized.zeroPoints[row * groups + group])
                var i = row * columns + group * size
                let end = min(row * columns + columns, i + size)
                while i + 8 <= end {
                    let w = UnsafeRawPointer(values + i).loadUnaligned(as: SIMD8<Float>.self)
                    let q = UnsafeRawPointer(quants + i).loadUnaligned(as: SIMD8<Int8>.self)
                    let restored = F.rounded((SIMD8<Float>(q) - zeroPoint) * scale)
                    let exact = SIMD8<Double>(w)
                    let difference = exact - SIMD8<Double>(restored)
                    signals += exact * exact
                    noises += difference * difference
                    i += 8
                }
                while i < end {
                    let exact = Double(values[i])
                    let difference = exact - Double(F.rounded((Float(quants[i]) - zeroPoint) * scale))
                    signals[0] += exact * exact
                    noises[0] += difference * difference
                    i += 1
                }
            }
        }
        return (signals.sum(), noises.sum())
    }
}

/// Signal-to-quantization-noise ratio, 10·log₁₀(Σ w² / Σ (w − ŵ)²).
public struct SignalToNoise: Sendable, Equatable {
    public let signal, noise: Double

    /// In decibels. Infinite where nothing was lost; nil for a layer of zeros.
    public var decibels: Double? {
        if noise == 0 { return signal == 0 ? nil : .infinity }
        return 10 * log10(signal / noise)
    }
}
