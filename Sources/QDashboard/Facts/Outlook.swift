import Foundation
import Runtime
import Science

/// What a recording had shown by a moment: what forecasts at any horizon are made of.
struct Outlook: Sendable {
    /// Seconds since 1970.
    let now: Double
    let grids: ForecastGrids

    /// As they stand now; empty where nothing was heard for an hour.
    fileprivate var series: HorizonSeries {
        HorizonSeries(
            tick: grids.tick.steps(endingAt: now), ticksInEpoch: grids.ticksInEpoch.steps(endingAt: now),
            emptyTicks: grids.emptyTicks.steps(endingAt: now), price: grids.price.steps(endingAt: now))
    }
}

extension Facts {
    /// What is ahead of the moment: members of a prediction's `computed`.
    ///
    /// `secondsToEpochEnd` and `epochEndsAt` are the calendar's. `horizons` has an object for each horizon: `seconds`,
    /// the moment `at`, `epochEndsBefore`, and `tick`, `ticksInEpoch`, `qualityPercent`, `priceUSD`, each with `value`,
    /// `interval80` and `interval95` (low, high) and `method`. A quantity of which too little was seen is null, and so
    /// are all but the price past the epoch's end: most epochs begin with a jump of tick numbers that nothing tells.
    ///
    /// - Returns: nil of facts that no recording was read for.
    package func ahead(_ horizons: Horizons) -> JSONValue? {
        guard let outlook else { return nil }
        let now = Date(timeIntervalSince1970: outlook.now)
        let epoch = EpochCalendar.epoch(at: now)
        let end = EpochCalendar.start(of: epoch + 1)
        let series = outlook.series
        let isCurrent = outlook.grids.epoch ?? epoch == epoch
        let entries = horizons.seconds.map { seconds -> JSONValue in
            let at = now + seconds
            let isPast = at >= end
            func forecast(_ quantity: HorizonQuantity) -> JSONValue {
                guard quantity == .price || isCurrent && !isPast else { return .null }
                return quantity.forecast(series, steps: Int(seconds / ForecastGrids.step))?.json(of: quantity) ?? .null
            }
            return object([
                ("seconds", .integer(Int(seconds))), ("at", .string(Timestamp.text(at))),
                ("epochEndsBefore", .bool(isPast)), ("tick", forecast(.tick)),
                ("ticksInEpoch", forecast(.ticksInEpoch)), ("qualityPercent", forecast(.quality)),
                ("priceUSD", forecast(.price)),
            ])
        }
        return object([
            ("secondsToEpochEnd", .number(end.timeIntervalSince(now))),
            ("epochEndsAt", .string(Timestamp.text(end))), ("horizons", .array(entries)),
        ])
    }
}

extension Forecast {
    /// Counts in whole numbers; nil where a number is none.
    fileprivate func json(of quantity: HorizonQuantity) -> JSONValue? {
        let isCount = quantity == .tick || quantity == .ticksInEpoch
        let numbers = [value, interval80.low, interval80.high, interval95.low, interval95.high]
        guard numbers.allSatisfy(\.isFinite) else { return nil }
        let values = numbers.map { number -> JSONValue in
            guard isCount, let whole = Int(exactly: number.rounded()) else { return .number(number) }
            return .integer(whole)
        }
        return object([
            ("value", values[0]), ("interval80", .array([values[1], values[2]])),
            ("interval95", .array([values[3], values[4]])), ("method", .string(method.rawValue)),
        ])
    }
}
