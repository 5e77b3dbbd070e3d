import Foundation

/// The epoch's cumulated quality ahead: ticks go on at their recent rate, and the recent share of them is empty. What has
/// been counted weighs as much as it is, so the forecast bends as the real series does, which no trend knows.
public enum QualityForecast {
    /// Steps over which the share of empty ticks is taken; the whole epoch last.
    private static let windows = [6, 24, 72, Int.max]
    static let origins = 96

    /// - Parameters:
    ///   - ticks: of the epoch so far, evenly spaced; `empty` likewise, at the same instants.
    ///   - horizon: steps. Where the epoch is too young for a back-test over them, the intervals come from a shorter one
    ///     and grow with the square root of the horizon.
    /// - Returns: percent; nil of fewer than 24 steps.
    public static func forecast(
        ticks: ArraySlice<Double>, empty: ArraySlice<Double>, horizon: Int, widening: Double = 1
    ) -> Forecast? {
        precondition(ticks.count == empty.count && horizon > 0)
        let (ticks, empty) = (Array(ticks), Array(empty))
        guard ticks.count >= 24, ticks[0] >= 0 else { return nil }
        let tested = min(horizon, (ticks.count - 12) / 2)
        let last = ticks.count - 1
        let first = max(6, last - tested - origins + 1)
        var best: (window: Int?, errors: [Double], mean: Double)?
        for window in [nil] + windows.map(Optional.some) {
            let errors = (first...last - tested).map { origin in
                predict(ticks, empty, origin, tested, window) - percent(ticks, empty, origin + tested)
            }
            let mean = errors.reduce(0) { $0 + abs($1) } / Double(errors.count)
            if mean < best?.mean ?? .infinity { best = (window, errors, mean) }
        }
        guard let best, best.mean.isFinite else { return nil }
        let growth = (Double(horizon) / Double(tested)).squareRoot() * widening
        return Forecast(
            method: best.window == nil ? .naive : .mixture, value: predict(ticks, empty, last, horizon, best.window),
            errors: best.errors, growth: growth, range: 0...100)
    }

    private static func percent(_ ticks: [Double], _ empty: [Double], _ at: Int) -> Double {
        ticks[at] > 0 ? 100 * (1 - empty[at] / ticks[at]) : 100
    }

    /// Nil window: as it is now.
    private static func predict(
        _ ticks: [Double], _ empty: [Double], _ origin: Int, _ horizon: Int, _ window: Int?
    ) -> Double {
        guard let window else { return percent(ticks, empty, origin) }
        let back = min(window, origin)
        let (passed, lost) = (ticks[origin] - ticks[origin - back], empty[origin] - empty[origin - back])
        guard passed > 0 else { return percent(ticks, empty, origin) }
        let coming = passed / Double(back) * Double(horizon)
        return 100 * (1 - (empty[origin] + coming * lost / passed) / (ticks[origin] + coming))
    }
}

extension Forecast {
    /// Intervals from a back-test's errors (split conformal prediction), grown, and kept to what the quantity can be.
    init(
        method: ForecastMethod, value: Double, errors: [Double], growth: Double,
        range: ClosedRange<Double> = -.infinity ... .infinity
    ) {
        let sizes = errors.map { abs($0) }.sorted()
        func interval(_ level: Double) -> Interval {
            let rank = Int((level * Double(sizes.count + 1)).rounded(.up))
            let half = sizes[min(rank, sizes.count) - 1] * growth
            return .init(low: max(range.lowerBound, value - half), high: min(range.upperBound, value + half))
        }
        self.init(method: method, value: value, interval80: interval(0.8), interval95: interval(0.95))
    }
}
