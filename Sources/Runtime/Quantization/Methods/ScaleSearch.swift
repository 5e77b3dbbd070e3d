/// The search for a group's scale: the one that loses least, in the sum of h·(w − ŵ)² with h = 1 or a column's
/// importance.
///
/// Ranges are tried from a little wider than the group's own to much narrower (clipping few large weights may help the
/// many small ones). For each, weights are rounded, and the scale that is best for these integers follows in closed
/// form: s = Σ h·w·r / Σ h·r². A symmetric scale may come out negative: −2^(b−1) has no positive counterpart, and the
/// sign decides which end of the group gets that integer.
struct ScaleSearch {
    let scheme: QuantizationScheme
    let dtype: DType
    /// [columns], positive; nil counts all alike.
    let importance: [Float]?

    private static let coarse: [Float] = stride(from: 1.06, through: 0.70, by: -0.03).map { Float($0) }
    private static let ends: [Float] = [1, 0.93, 0.86, 0.79]

    struct Choice {
        /// Representable in `dtype`.
        var scale: Float
        var zeroPoint: Float
    }

    /// - Parameter column: the group's first column.
    func best(_ values: UnsafePointer<Float>, _ count: Int, column: Int) -> Choice {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * count) { room in
            let weight = room.baseAddress!
            let product = weight + count
            var most: Float = 0
            if let importance {
                for i in 0..<count { most = max(most, importance[column + i]) }
            }
            for i in 0..<count {
                // Relative, so that sums neither overflow nor vanish. No column is worth nothing.
                weight[i] = most > 0 ? max(importance![column + i] / most, 1e-6) : 1
                product[i] = weight[i] * values[i]
            }
            var (low, high): (Float, Float) = (0, 0)
            for i in 0..<count {
                low = min(low, values[i])
                high = max(high, values[i])
            }
            // What round to nearest takes, and what it loses: the search never does worse.
            let plain = nearest(low, high)
            guard high > low, plain.scale.isFinite, plain.scale > 0x1p-100 else { return plain }
            let group = Group(values: values, weight: weight, product: product, count: count)
            let found = scheme.symmetric ? symmetric(group, max(-low, high)) : asymmetric(group, low, high)
            guard let found, found.scale.isFinite else { return plain }
            return error(group, found) < error(group, plain) ? found : plain
        }
    }

    private struct Group {
        let values, weight, product: UnsafePointer<Float>
        let count: Int
    }

    func stored(_ value: Float) -> Float { Self.stored(value, dtype) }

    /// The nearest value that `dtype` holds.
    static func stored(_ value: Float, _ dtype: DType) -> Float {
        switch dtype {
        case .f16: Float16Format.rounded(value)
        case .bf16: BFloat16Format.rounded(value)
        default: value
        }
    }

    private var epsilon: Float {
        switch dtype {
        case .f16: Float16Format.epsilon
        case .bf16: BFloat16Format.epsilon
        default: Float32Format.epsilon
        }
    }

    /// `RoundToNearest`'s scale.
    private func nearest(_ low: Float, _ high: Float) -> Choice {
        let steps = Float(scheme.maximum - scheme.minimum)
        if scheme.symmetric {
            let scale = stored(max(-low, high) / (steps / 2))
            return Choice(scale: scale == 0 ? epsilon : scale, zeroPoint: 0)
        }
        let scale = stored(stored(high - low) / steps)
        guard scale > 0 else { return Choice(scale: epsilon, zeroPoint: 0) }
        let exact = stored(Float(scheme.minimum) - stored(low / scale))
        let clamped = max(Float(scheme.minimum), min(Float(scheme.maximum), exact))
        return Choice(scale: scale, zeroPoint: clamped.rounded(.toNearestOrEven))
    }

    private func symmetric(_ group: Group, _ top: Float) -> Choice? {
        let base = top / (Float(scheme.maximum - scheme.minimum) / 2)
        var best: (gain: Float, scale: Float, range: Float, sign: Float) = (0, 0, 1, 1)
        func attempt(_ range: Float, _ sign: Float) {
            let sums = fit(group, inverse: sign / (base * range), zeroPoint: 0)
            guard sums.squares > 0 else { return }
            let gain = sums.product * sums.product / sums.squares
            if gain > best.gain { best = (gain, sums.product / sums.squares, range, sign) }
        }
        for range in Self.coarse { for sign: Float in [1, -1] { attempt(range, sign) } }
        // The largest weight on one end of the integers or the other: what is on a grid already is found again.
        let half = Float(scheme.maximum - scheme.minimum) / 2
        for end in [-scheme.minimum, scheme.maximum] {
            for sign: Float in [1, -1] { attempt(half / Float(end), sign) }
        }
        let centre = best
        for step: Float in [-0.015, 0.015] { attempt(centre.range + step, centre.sign) }
        return best.gain > 0 ? Choice(scale: stored(best.scale), zeroPoint: 0) : nil
    }

    private func asymmetric(_ group: Group, _ low: Float, _ high: Float) -> Choice? {
        let steps = Float(scheme.maximum - scheme.minimum)
        var best: (gain: Float, scale: Float, zero: Float) = (0, 0, 0)
        for lower in Self.ends {
            for upper in Self.ends {
                let scale = (high * upper - low * lower) / steps
                let exact = (Float(scheme.minimum) - low * lower / scale).rounded(.toNearestOrEven)
                let zero = max(Float(scheme.minimum), min(Float(scheme.maximum), exact))
                let sums = fit(group, inverse: 1 / scale, zeroPoint: zero)
                guard sums.squares > 0 else { continue }
                let gain = sums.product * sums.product / sums.squares
                if gain > best.gain { best = (gain, sums.product / sums.squares, zero) }
            }
        }
        return best.gain > 0 ? Choice(scale: stored(best.scale), zeroPoint: best.zero) : nil
    }

    /// Σ h·w·r and Σ h·r² with r = clamp(round(w·inverse) + zp) − zp.
    @inline(__always)
    private func fit(_ group: Group, inverse: Float, zeroPoint: Float) -> (product: Float, squares: Float) {
        let low = SIMD8(repeating: Float(scheme.minimum) - zeroPoint)
        let high = SIMD8(repeating: Float(scheme.maximum) - zeroPoint)
        // 1.5·2^23 leaves no room for a fraction: sums are rounded half to even.
        let rounder = SIMD8<Float>(repeating: 0x1.8p23)
        var products = SIMD8<Float>.zero
        var squares = SIMD8<Float>.zero
        var i = 0
        while i + 8 <= group.count {
            var r = UnsafeRawPointer(group.values + i).loadUnaligned(as: SIMD8<Float>.self) * inverse
            r.replace(with: low, where: r .< low)
            r.replace(with: high, where: r .> high)
            r = (r + rounder) - rounder
            products += UnsafeRawPointer(group.product + i).loadUnaligned(as: SIMD8<Float>.self) * r
            squares += UnsafeRawPointer(group.weight + i).loadUnaligned(as: SIMD8<Float>.self) * r * r
            i += 8
        }
        var (product, square) = (products.sum(), squares.sum())
        while i < group.count {
            let r = max(low[0], min(high[0], group.values[i] * inverse)).rounded(.toNearestOrEven)
            product += group.product[i] * r
            square += group.weight[i] * r * r
            i += 1
        }
        return (product, square)
    }

    private func error(_ group: Group, _ choice: Choice) -> Float {
        var sum: Float = 0
        for i in 0..<group.count {
            let q = quantized(group.values[i], choice)
            let difference = group.values[i] - (q - choice.zeroPoint) * choice.scale
            sum += group.weight[i] * difference * difference
        }
        return sum
    }

    /// The integer that stands for a value.
    @inline(__always)
    func quantized(_ value: Float, _ choice: Choice) -> Float {
        // The zero point is an integer, so it may be added after rounding.
        let low = Float(scheme.minimum) - choice.zeroPoint
        let high = Float(scheme.maximum) - choice.zeroPoint
        var r = value / choice.scale
        r = r > low ? r : low
        r = r < high ? r : high
        return (r + 0x1.8p23) - 0x1.8p23 + choice.zeroPoint
    }
}
