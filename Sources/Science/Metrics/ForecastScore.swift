/// How well numbers were forecast.
public enum ForecastScore {
    /// Mean absolute scaled error (R. J. Hyndman, A. B. Koehler, 2006): scaled by the naive forecast's mean error over the
    /// training series at the same horizon. Nil where that is 0 or nothing was forecast.
    public static func mase(actual: [Double], forecast: [Double], training: [Double], horizon: Int = 1) -> Double? {
        precondition(actual.count == forecast.count && horizon > 0)
        guard !actual.isEmpty, training.count > horizon else { return nil }
        let naive =
            zip(training, training.dropFirst(horizon)).reduce(0) { $0 + abs($1.1 - $1.0) }
            / Double(training.count - horizon)
        guard naive > 0 else { return nil }
        return zip(actual, forecast).reduce(0) { $0 + abs($1.0 - $1.1) } / Double(actual.count) / naive
    }

    /// Share of values inside their intervals, bounds included. Nil for none.
    public static func coverage(actual: [Double], intervals: [Forecast.Interval]) -> Double? {
        precondition(actual.count == intervals.count)
        guard !actual.isEmpty else { return nil }
        return Double(zip(actual, intervals).count { $1.low <= $0 && $0 <= $1.high }) / Double(actual.count)
    }

    /// Percentile bootstrap (B. Efron, 1979) of any statistic of sample indices, 95 %; nil for fewer than two samples.
    public static func bootstrap(
        count: Int, seed: UInt64 = 1, resamples: Int = 1000, _ statistic: ([Int]) -> Double?
    ) -> Forecast.Interval? {
        guard count > 1 else { return nil }
        var random = SeededRandom(seed: seed)
        let values = (0..<resamples).compactMap { _ in statistic((0..<count).map { _ in random.below(count) }) }
            .sorted()
        guard !values.isEmpty else { return nil }
        func at(_ share: Double) -> Double { values[Int((share * Double(values.count - 1)).rounded())] }
        return .init(low: at(0.025), high: at(0.975))
    }
}
