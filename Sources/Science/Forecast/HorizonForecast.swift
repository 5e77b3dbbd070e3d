import Foundation

/// What was seen of an epoch, and of the price over epochs, every five minutes: the last value of each series is now.
public struct HorizonSeries: Sendable, Equatable {
    /// The newest tick.
    public var tick: [Double]
    /// As many as `emptyTicks`, at the same moments.
    public var ticksInEpoch: [Double]
    public var emptyTicks: [Double]
    /// USD, above 0.
    public var price: [Double]

    public init(tick: [Double], ticksInEpoch: [Double], emptyTicks: [Double], price: [Double]) {
        (self.tick, self.ticksInEpoch, self.emptyTicks, self.price) = (tick, ticksInEpoch, emptyTicks, price)
    }
}

/// What is forecast at any horizon.
public enum HorizonQuantity: String, Sendable, CaseIterable {
    /// The newest tick, and how many ticks the epoch has had.
    case tick, ticksInEpoch
    /// Of the epoch's ticks so far, in percent.
    case quality
    /// USD.
    case price

    /// - Parameters:
    ///   - steps: of five minutes, at least 1. That the epoch goes on until then is the caller's to know.
    ///   - widening: of the intervals; nil as it was fitted for the horizon.
    /// - Returns: nil of a series that is too short.
    public func forecast(_ series: HorizonSeries, steps: Int, widening: Widening? = nil) -> Forecast? {
        let widening = widening ?? Widening.of(self, steps: steps)
        switch self {
        case .tick: return Self.count(series.tick, steps, widening)
        case .ticksInEpoch: return Self.count(series.ticksInEpoch, steps, widening)
        case .quality:
            // Nearer at every horizon than any method on the percents alone, though it was fitted for six hours.
            return QualityForecast.forecast(
                ticks: series.ticksInEpoch[...], empty: series.emptyTicks[...], horizon: steps, widening: widening)
        case .price:
            let logarithms = series.price.suffix(Self.priceWindow).map { log($0) }
            return Self.walk(logarithms, steps, widening)?.exponential
        }
    }

    /// What only rises.
    private static func count(_ series: [Double], _ steps: Int, _ widening: Widening) -> Forecast? {
        guard let newest = series.last,
            var forecast = Forecaster().extended(series[...], horizon: steps, growth: 1)?.widened(by: widening)
        else { return nil }
        forecast.atLeast(newest)
        return forecast
    }

    /// Steps of a price that are looked at: eight days.
    private static let priceWindow = 8 * 288
    /// A price is back-tested so many steps ahead at the most, over the last day: of longer horizons a day holds too few
    /// that do not overlap.
    private static let testedWalk = 3

    /// What walks at random: the method that the back-test chose goes a quarter of an hour, and stays there; the half
    /// widths grow with the root of time.
    private static func walk(_ series: [Double], _ steps: Int, _ widening: Widening) -> Forecast? {
        var forecaster = Forecaster()
        forecaster.origins = 288
        let tested = min(steps, testedWalk)
        let growth = (Double(steps) / Double(tested)).squareRoot()
        return forecaster.forecast(series[...], horizon: tested)?
            .widened(by: Widening(widening.level80 * growth, widening.level95 * growth))
    }
}

extension Forecast {
    /// For what cannot fall below `least`, such as counts.
    public mutating func atLeast(_ least: Double) {
        value = max(value, least)
        interval80 = .init(low: max(interval80.low, least), high: max(interval80.high, least))
        interval95 = .init(low: max(interval95.low, least), high: max(interval95.high, least))
    }

    /// Of a logarithm; nil where a number grows beyond all bounds.
    public var exponential: Forecast? {
        let bounds = [value, interval80.low, interval80.high, interval95.low, interval95.high].map { exp($0) }
        guard bounds.allSatisfy(\.isFinite) else { return nil }
        return Forecast(
            method: method, value: bounds[0], interval80: .init(low: bounds[1], high: bounds[2]),
            interval95: .init(low: bounds[3], high: bounds[4]))
    }

    /// Around the value; the interval of 95 % holds that of 80 %.
    func widened(by widening: Widening) -> Forecast {
        let half80 = (interval80.high - interval80.low) / 2 * widening.level80
        let half95 = max((interval95.high - interval95.low) / 2 * widening.level95, half80)
        return Forecast(
            method: method, value: value, interval80: .init(low: value - half80, high: value + half80),
            interval95: .init(low: value - half95, high: value + half95))
    }
}
