/// Round to nearest with the range of each group, as compressed-tensors' `calculate_qparams` and `quantize` do it, bit
/// for bit: every intermediate result is rounded to the weights' dtype.
///
/// The range is widened to hold 0. Symmetric: scale = absmax / ((2^b − 1)/2), zero point 0. Asymmetric: scale =
/// (max − min)/(2^b − 1), zp = round(clamp(qmin − min/scale)). A scale of 0 becomes the dtype's epsilon after the zero
/// point was computed from it, so 0/0 (a group of zeros) has to be defined: zero point 0, as torch converts it.
/// q = round-half-even(clamp(w/scale + zp)).
public struct RoundToNearest: RoundingMethod {
    public init() {}

    public var name: String { "rtn" }
    public var observer: String { "minmax" }

    public func prepare(_ layer: LayerContext) throws -> any BlockQuantizer {
        switch layer.dtype {
        case .f16: NearestBlocks<Float16Format>(scheme: layer.scheme)
        case .bf16: NearestBlocks<BFloat16Format>(scheme: layer.scheme)
        default: NearestBlocks<Float32Format>(scheme: layer.scheme)
        }
    }
}

private struct NearestBlocks<Format: FloatFormat>: BlockQuantizer {
    let scheme: QuantizationScheme

    func quantize(_ weights: WeightBlock, into result: QuantizedBlock) {
        let size = scheme.groupSize ?? weights.columns
        let groups = scheme.groups(columns: weights.columns)
        guard let values = weights.values.baseAddress, let quants = result.quants.baseAddress else { return }
        for row in 0..<weights.rows {
            for group in 0..<groups {
                let start = row * weights.columns + group * size
                let count = min(size, weights.columns - group * size)
                let (low, high) = range(values + start, count)
                let (scale, zeroPoint) = parameters(low, high)
                result.scales[row * groups + group] = scale
                result.zeroPoints[row * groups + group] = Int8(zeroPoint)
                round(values + start, count, scale, zeroPoint, to: quants + start)
            }
        }
    }

    /// The smallest and the largest of the values and 0.
    @inline(__always)
    private func range(_ values: UnsafePointer<Float>, _ count: Int) -> (Float, Float) {
        var lows = SIMD8<Float>.zero
        var highs = SIMD8<Float>.zero
        var i = 0
        while i + 8 <= count {
            let x = UnsafeRawPointer(values + i).loadUnaligned(as: SIMD8<Float>.self)
            lows.replace(with: x, where: x .< lows)
            highs.replace(with: x, where: x .> highs)
            i += 8
        }
        var low = lows.min()
        var high = highs.max()
        while i < count {
            low = min(low, values[i])
            high = max(high, values[i])
            i += 1
        }
        return (low, high)
    }

    @inline(__always)
    private func parameters(_ low: Float, _ high: Float) -> (scale: Float, zeroPoint: Float) {
        let steps = Float(scheme.maximum - scheme.minimum)
        if scheme.symmetric {
            let scale = Format.rounded(max(-low, high) / (steps / 2))
            return (scale == 0 ? Format.epsilon : scale, 0)
        }
        let scale = Format.rounded(Format.rounded(high - low) / steps)
        let exact = Format.rounded(Float(scheme.minimum) - Format.rounded(low / scale))
        let clamped = max(Float(scheme.minimum), min(Float(scheme.maximum), exact))
        return (scale == 0 ? Format.epsilon : scale, exact.isNaN ? 0 : clamped.rounded(.toNearestOrEven))
    }

    @inline(__always)
    private func round(
        _ values: UnsafePointer<Float>, _ count: Int, _ scale: Float, _ zeroPoint: Float,
        to quants: UnsafeMutablePointer<Int8>
    ) {
        let low = Float(scheme.minimum)
        let high = Float(scheme.maximum)
        let shifts = !scheme.symmetric
        var i = 0
        while i + 8 <= count {
            let x = UnsafeRawPointer(values + i).loadUnaligned(as: SIMD8<Float>.self)
            var q = Format.rounded(x / scale)
            if shifts { q = Format.rounded(q + zeroPoint) }
            q.replace(with: low, where: q .< low)
            q.replace(with: high, where: q .> high)
            // 1.5·2^23 leaves no room for a fraction: the sum is rounded half to even, its low byte is q.
            let bits = unsafeBitCast(q + 0x1.8p23, to: SIMD8<UInt32>.self)
            UnsafeMutableRawPointer(quants + i).storeBytes(
                of: SIMD8<Int8>(truncatingIfNeeded: bits), as: SIMD8<Int8>.self)
            i += 8
        }
        while i < count {
            var q = Format.rounded(values[i] / scale)
            if shifts { q = Format.rounded(q + zeroPoint) }
            q = max(low, min(high, q))
            quants[i] = Int8(truncatingIfNeeded: (q + 0x1.8p23).bitPattern)
            i += 1
        }
    }
}
