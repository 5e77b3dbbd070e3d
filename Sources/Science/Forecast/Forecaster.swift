import Foundation

/// Ways to go on with an evenly spaced series.
public enum ForecastMethod: String, Sendable, CaseIterable, Codable {
    /// The last value stays.
    case naive
    /// The mean step so far goes on.
    case drift
    /// Level and trend, exponentially smoothed (C. C. Holt, 1957), α 0.5, β 0.1.
    case holt
    /// The median slope of the last hours (H. Theil, 1950; P. K. Sen, 1968) from the last value.
    case robustTrend = "robust_trend"
    /// What was counted, and ticks to come with their expected share of empty ones (`QualityForecast`); of one series alone,
    /// the last value.
    case mixture

    /// Those that need one series and nothing else.
    public static let allCases: [ForecastMethod] = [.naive, .drift, .holt, .robustTrend]

    /// The value `horizon` steps after the last one. The series must not be empty.
    public func predict(_ series: ArraySlice<Double>, horizon: Int) -> Double {
        precondition(!series.isEmpty && horizon > 0)
        let last = series.last!
        let steps = Double(horizon)
        guard series.count > 1 else { return last }
        switch self {
        case .naive, .mixture: return last
        case .drift: return last + steps * (last - series.first!) / Double(series.count - 1)
        case .holt:
            var level = series.first!
            var trend = series[series.startIndex + 1] - level
            for value in series.dropFirst() {
                let before = level
                level = 0.5 * value + 0.5 * (level + trend)
                trend = 0.1 * (level - before) + 0.9 * trend
            }
            return level + steps * trend
        case .robustTrend:
            // Slopes over a quarter of the window each: all pairs would say the same at a hundred times the price.
            let window = Array(series.suffix(48))
            let span = max(1, window.count / 4)
            let slopes = (span..<window.count).map { (window[$0] - window[$0 - span]) / Double(span) }
            return last + steps * (Robust.median(slopes) ?? 0)
        }
    }
}

/// A forecast with its uncertainty.
public struct Forecast: Sendable, Equatable {
    public struct Interval: Sendable, Equatable {
        public var low: Double
        public var high: Double

        public init(low: Double, high: Double) { (self.low, self.high) = (low, high) }
    }
    public var method: ForecastMethod
    public var value: Double
    public var interval80: Interval
    public var interval95: Interval

    public init(method: ForecastMethod, value: Double, interval80: Interval, interval95: Interval) {
        (self.method, self.value) = (method, value)
        (self.interval80, self.interval95) = (interval80, interval95)
    }
}

/// Chooses a method by rolling-origin back-test on the series itself, and takes the intervals from that test's errors
/// (split conformal prediction; V. Vovk et al., 2005).
public struct Forecaster: Sendable {
    /// Steps of history that each prediction sees.
    public var window = 96
    /// Origins of the back-test, the latest ones.
    public var origins = 120
    /// Factor on the intervals' half widths, fitted on the calibration split.
    public var widening = 1.0
    public var methods = ForecastMethod.allCases

    public init() {}

    /// Nil where the series is too short for a back-test of ten origins.
    public func forecast(_ series: ArraySlice<Double>, horizon: Int) -> Forecast? {
        let last = series.endIndex - horizon - 1
        let first = max(series.startIndex + 12, last - origins + 1)
        guard last - first >= 10 else { return nil }
        var best: (method: ForecastMethod, errors: [Double], mean: Double)?
        for method in methods {
            let errors = (first...last).map { origin -> Double in
                let history = series[max(series.startIndex, origin - window + 1)...origin]
                return series[origin + horizon] - method.predict(history, horizon: horizon)
            }
            let mean = errors.reduce(0) { $0 + abs($1) } / Double(errors.count)
            if mean < best?.mean ?? .infinity { best = (method, errors, mean) }
        }
        guard let best else { return nil }
        return Forecast(
            method: best.method, value: best.method.predict(series.suffix(window), horizon: horizon),
            errors: best.errors, growth: widening)
    }

    /// As `forecast`, for horizons beyond what can be back-tested too: the forecast over the longest horizon that can be
    /// goes on in proportion, and the intervals' half widths grow with `(horizon / tested)^growth`: 1 where the pace is
    /// uncertain, ½ for a random walk.
    public func extended(_ series: ArraySlice<Double>, horizon: Int, growth: Double) -> Forecast? {
        let tested = min(horizon, (series.count - 24) / 2)
        guard tested > 0, let near = forecast(series, horizon: tested) else { return nil }
        guard tested < horizon else { return near }
        let ratio = Double(horizon) / Double(tested)
        let last = series.last!
        let value = last + (near.value - last) * ratio
        func stretched(_ interval: Forecast.Interval) -> Forecast.Interval {
            let half = (interval.high - interval.low) / 2 * pow(ratio, growth)
            return .init(low: value - half, high: value + half)
        }
        return Forecast(
            method: near.method, value: value, interval80: stretched(near.interval80),
            interval95: stretched(near.interval95))
    }
}
