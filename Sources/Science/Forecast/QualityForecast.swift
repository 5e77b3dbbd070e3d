import Foundation

/// The epoch's cumulated quality ahead. What has been counted weighs as much as it is, which bends the forecast as the real
/// series bends; of the ticks to come, an empty share is expected that leans from what is seen of late towards what is usual:
/// a drop in quality passes, and an epoch that began with many empty ticks recovers.
public enum QualityForecast {
    /// How much each of the shares seen says of the ticks to come, and what is added, in percent. Fitted for the least
    /// absolute error six hours ahead on the train split of the synthetic set, whose epochs are hung on the real ones:
    /// `scripts/science/fit_quality_forecast.py`.
    static let recentWeight = 0.18
    static let usualWeight = 0.47
    static let addedShare = 0.73
    /// Half widths of the intervals in points, where only ticks to come count: absolute errors' quantiles on the calibration
    /// split (split conformal prediction; V. Vovk et al., 2005). They shrink with the root of the weight of what is to come.
    static let halfWidth80 = 0.885
    static let halfWidth95 = 4.12
    /// The horizon at which both were fitted, in steps.
    static let fittedHorizon = 72.0

    /// Steps in twenty minutes.
    private static let recent = 4

    /// - Parameters:
    ///   - ticks: of the epoch so far, every five minutes; `empty` likewise, at the same instants.
    ///   - horizon: steps.
    ///   - widening: of the intervals, for other horizons than the fitted one.
    /// - Returns: percent; nil of fewer than 24 steps.
    public static func forecast(
        ticks: ArraySlice<Double>, empty: ArraySlice<Double>, horizon: Int, widening: Widening = .one
    ) -> Forecast? {
        precondition(ticks.count == empty.count && horizon > 0)
        let (ticks, empty) = (Array(ticks), Array(empty))
        guard ticks.count >= 24, let now = ticks.last, let lost = empty.last, ticks[0] >= 0, now > 0 else { return nil }
        let steps = Double(ticks.count - 1)
        // A pause in the last hour is not how the next hours will be.
        let (ofLate, mean) = ((now - ticks[ticks.count - 13]) / 12, now / steps)
        let coming = (ofLate > 0.3 * mean ? ofLate : mean) * Double(horizon)
        let weight = coming / (now + coming)
        let soFar = lost / now * 100
        let shares = stride(from: ticks.count - 1, to: recent, by: -recent).compactMap { end in
            share(ticks, empty, end - recent, end)
        }
        let usual = Robust.median(Array(shares.dropFirst())) ?? soFar
        let expected = recentWeight * (shares.first ?? usual) + usualWeight * usual + addedShare
        let value = 100 - soFar - weight * (expected - soFar)
        let scale = (weight * (Double(horizon) / fittedHorizon)).squareRoot()
        func interval(_ half: Double) -> Forecast.Interval {
            .init(low: max(0, value - half * scale), high: min(100, value + half * scale))
        }
        let half80 = halfWidth80 * widening.level80
        return Forecast(
            method: .mixture, value: min(100, max(0, value)), interval80: interval(half80),
            interval95: interval(max(half80, halfWidth95 * widening.level95)))
    }

    /// Percent of the ticks between two steps; nil where there were none, or the counts went back.
    private static func share(_ ticks: [Double], _ empty: [Double], _ from: Int, _ to: Int) -> Double? {
        let (passed, lost) = (ticks[to] - ticks[from], empty[to] - empty[from])
        return passed > 0 && (0...passed).contains(lost) ? 100 * lost / passed : nil
    }
}

extension Forecast {
    /// Intervals from a back-test's errors (split conformal prediction), grown.
    init(method: ForecastMethod, value: Double, errors: [Double], growth: Double) {
        let sizes = errors.map { abs($0) }.sorted()
        func interval(_ level: Double) -> Interval {
            let rank = Int((level * Double(sizes.count + 1)).rounded(.up))
            let half = sizes[min(rank, sizes.count) - 1] * growth
            return .init(low: value - half, high: value + half)
        }
        self.init(method: method, value: value, interval80: interval(0.8), interval95: interval(0.95))
    }
}
