import Foundation
import Science

/// Forecasts as facts: made from five-minute series of what was seen until now.
extension FactDefinition {
    static let forecasts: [FactDefinition] =
        ForecastQuantity.allCases.flatMap { quantity -> [FactDefinition] in
            let name = "forecast\(quantity.rawValue)"
            func row(_ suffix: String, _ formula: String, _ value: @escaping @Sendable (Forecast) -> Double)
                -> FactDefinition
            {
                .init(name + suffix, quantity.unit, quantity.window, formula) { context in
                    context.forecasts[quantity].map { quantity.value(value($0)) }
                }
            }
            return [
                row("", quantity.formula) { $0.value },
                row("Low80", "low end of the 80 % interval: \(quantity.basis.errors)") { $0.interval80.low },
                row("High80", "its high end") { $0.interval80.high },
                row("Low95", "low end of the 95 % interval") { $0.interval95.low },
                row("High95", "its high end") { $0.interval95.high },
                .init(
                    name + "Method", "word", quantity.window, quantity.basis.method
                ) { context in
                    context.forecasts[quantity].map { .word($0.method.rawValue) }
                },
            ]
        } + [
            .init(
                "forecastQualityChange6h", "points", "6 h ahead", "forecastQuality6h − epochTickQualityPercent"
            ) { context in
                guard let forecast = context.forecasts[.quality6h],
                    let now = context.latest(\.quality)
                else { return nil }
                return .decimal(forecast.value - now)
            },
            .init(
                "priceDirection", "word", "24 h ahead",
                "up where forecastPrice24hLow80 is above priceUSD, down where the high end is below it, else flat"
            ) { context in
                guard let forecast = context.forecasts[.price24h], let now = context.latest(\.price) else { return nil }
                let (low, high) = (forecast.interval80.low, forecast.interval80.high)
                return .word(low > now ? "up" : high < now ? "down" : "flat")
            },
        ]
}

/// What is forecast.
enum ForecastQuantity: String, CaseIterable, Sendable {
    case tick1h = "Tick1h"
    case tickEpochEnd = "TickEpochEnd"
    case quality6h = "Quality6h"
    case price24h = "Price24h"

    var unit: String {
        switch self {
        case .tick1h, .tickEpochEnd: "tick"
        case .quality6h: "%"
        case .price24h: "USD"
        }
    }

    var window: String {
        switch self {
        case .tick1h: "1 h ahead"
        case .tickEpochEnd: "to the epoch's end"
        case .quality6h: "6 h ahead"
        case .price24h: "24 h ahead"
        }
    }

    var formula: String {
        switch self {
        case .tick1h, .tickEpochEnd: "the newest tick then, by the method that a back-test on the epoch chose"
        case .quality6h:
            "epochTickQualityPercent then: what was counted, and ticks at the last hour's pace of which a share is empty "
                + "that leans from emptyTickRecentPercent to emptyTickUsualPercent and what epochs have on the average"
        case .price24h: "the price then, by the method that a back-test on its logarithm chose"
        }
    }

    /// By what it is made, and where the intervals come from.
    var basis: (method: String, errors: String) {
        self == .quality6h
            ? ("mixture", "errors on the calibration split")
            : ("the method that the back-test chose", "errors of the back-test")
    }

    func value(_ value: Double) -> Facts.Value {
        switch self {
        case .tick1h, .tickEpochEnd: Int(exactly: value.rounded()).map { .integer($0) } ?? .decimal(value)
        case .quality6h, .price24h: .decimal(value)
        }
    }

    /// Nil where too little was seen.
    func forecast(_ grids: ForecastGrids, now: Double, secondsToEpochEnd: Double) -> Forecast? {
        let steps: (Double) -> Int = { max(1, Int(($0 / ForecastGrids.step).rounded())) }
        switch self {
        case .tick1h, .tickEpochEnd:
            let horizon = self == .tick1h ? steps(3600) : steps(secondsToEpochEnd)
            guard let newest = grids.tick.last,
                var forecast = Forecaster().extended(grids.tick.values[...], horizon: horizon, growth: 1)
            else { return nil }
            // Ticks do not go back.
            forecast.atLeast(newest)
            return forecast
        case .quality6h:
            return QualityForecast.forecast(
                ticks: grids.ticksInEpoch.values[...], empty: grids.emptyTicks.values[...], horizon: steps(6 * 3600))
        case .price24h:
            let series = grids.price.values.suffix(8 * 288).map { log($0) }
            return Forecaster().extended(series[...], horizon: steps(86_400), growth: 0.5)?.exponential
        }
    }
}
