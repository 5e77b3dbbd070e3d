import Runtime

/// Confidence intervals by the percentile bootstrap (B. Efron, 1979): draw n of the n samples with replacement, many
/// times, and take the quantiles of the statistic over those draws. Seeded, so the same samples give the same interval.
public struct Bootstrap: Sendable {
    public var seed: UInt64
    public var resamples: Int

    public init(seed: UInt64, resamples: Int = 1000) {
        precondition(resamples > 1)
        self.seed = seed
        self.resamples = resamples
    }

    /// Nil for fewer than two samples: one measurement says nothing of its spread.
    ///
    /// - Parameter confidence: in steps of 1/5000, so that both ends are whole `Percentile`s; 0.95 by default.
    public func interval(
        _ samples: [Double], confidence: Double = 0.95, of statistic: ([Double]) -> Double
    ) -> Interval? {
        precondition(confidence > 0 && confidence < 1)
        guard samples.count > 1 else { return nil }
        var random = SplitMix64(seed: seed)
        let count = UInt64(samples.count)
        var draw = [Double](repeating: 0, count: samples.count)
        var values: [Double] = []
        values.reserveCapacity(resamples)
        for _ in 0..<resamples {
            for i in draw.indices { draw[i] = samples[Int(random.next(below: count))] }
            values.append(statistic(draw))
        }
        values.sort()
        let edge = max(1, Int(((1 - confidence) / 2 * 10_000).rounded()))
        return Interval(
            low: Percentile(tenThousandths: edge).value(ofSorted: values)!,
            high: Percentile(tenThousandths: 10_000 - edge).value(ofSorted: values)!, confidence: confidence)
    }
}
