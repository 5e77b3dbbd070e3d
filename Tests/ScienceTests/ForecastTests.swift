import Foundation
import Science
import Testing

@Suite struct ForecastTests {
    struct Outcome {
        var errors: [Double] = []
        var naive: [Double] = []
        var in80 = 0
        var in95 = 0
        /// |error| over the half width, of which the calibration split's quantile is the widening.
        var ratios: [Double] = []
        var scaled: [Double] = []
    }

    /// Forecasts each half hour of each segment, and what came. Horizons in steps of five minutes.
    static func backtest(_ split: Segment.Split, horizon: Int, widening: Double, _ value: (Observation) -> Double?)
        throws
        -> Outcome
    {
        var outcome = Outcome()
        var forecaster = Forecaster()
        forecaster.widening = widening
        for segment in try generator().segments(split) {
            let series = Series.resample(segment.observations, epoch: segment.epoch, value)
            var segmentErrors: [Double] = []
            var segmentNaive: [Double] = []
            for origin in stride(from: 100, to: series.count - horizon, by: 12) {
                guard let forecast = forecaster.forecast(series[0...origin], horizon: horizon) else { continue }
                let actual = series[origin + horizon]
                segmentErrors.append(abs(actual - forecast.value))
                segmentNaive.append(abs(actual - series[origin]))
                outcome.in80 += (forecast.interval80.low...forecast.interval80.high).contains(actual) ? 1 : 0
                outcome.in95 += (forecast.interval95.low...forecast.interval95.high).contains(actual) ? 1 : 0
                let half = (forecast.interval80.high - forecast.interval80.low) / 2 / widening
                outcome.ratios.append(abs(actual - forecast.value) / max(half, 1e-12))
            }
            outcome.errors += segmentErrors
            outcome.naive += segmentNaive
            let scale = segmentNaive.reduce(0, +)
            if scale > 0 { outcome.scaled.append(segmentErrors.reduce(0, +) / scale) }
        }
        return outcome
    }

    @Test(arguments: ["tick", "quality"], [2, 12])
    func beatsNaiveWithHonestIntervals(quantity: String, horizon: Int) throws {
        let value: (Observation) -> Double? =
            quantity == "tick"
            ? { $0.source == .live ? $0.tick.map(Double.init) : nil } : { $0.quality }
        let calibration = try Self.backtest(.calibration, horizon: horizon, widening: 1, value)
        let widening = calibration.ratios.sorted()[calibration.ratios.count * 4 / 5]
        let test = try Self.backtest(.test, horizon: horizon, widening: widening, value)
        let mase = test.scaled.reduce(0, +) / Double(test.scaled.count)
        let coverage = Double(test.in80) / Double(test.errors.count)
        print(
            "forecast \(quantity) \(horizon * 5) min: MASE \(mase), 80 %: \(coverage),",
            "95 %: \(Double(test.in95) / Double(test.errors.count)), widening \(widening), n \(test.errors.count)")
        // The targets (0.8; 77–83 %) are met for ticks. Of cumulative quality as a plain series it misses both, which is why
        // QualityForecast is used there.
        #expect(mase <= (quantity == "tick" ? 0.8 : 1))
        #expect((quantity == "tick" ? 0.77...0.83 : 0.7...0.9).contains(coverage))
    }

    /// The epoch's quality six hours ahead, each half hour of each segment, by constants fitted on train and calibration.
    @Test func qualitySixHoursAhead() throws {
        let horizon = 72
        var (error, naive, in80, in95, count) = (0.0, 0.0, 0, 0, 0)
        for segment in try generator().segments(.test) {
            func series(_ value: @escaping (Observation) -> Int?) -> [Double] {
                Series.resample(segment.observations, epoch: segment.epoch) { value($0).map(Double.init) }
            }
            let (ticks, empty) = (series(\.ticksInEpoch), series(\.emptyTicksInEpoch))
            func quality(_ at: Int) -> Double { 100 * (1 - empty[at] / ticks[at]) }
            for origin in stride(from: 24, to: min(ticks.count, empty.count) - horizon, by: 6) {
                guard
                    let forecast = QualityForecast.forecast(
                        ticks: ticks[0...origin], empty: empty[0...origin], horizon: horizon)
                else { continue }
                let actual = quality(origin + horizon)
                error += abs(actual - forecast.value)
                naive += abs(actual - quality(origin))
                in80 += (forecast.interval80.low...forecast.interval80.high).contains(actual) ? 1 : 0
                in95 += (forecast.interval95.low...forecast.interval95.high).contains(actual) ? 1 : 0
                count += 1
            }
        }
        let (mase, covered80, covered95) = (error / naive, Double(in80) / Double(count), Double(in95) / Double(count))
        print("forecast quality 6 h: MASE \(mase), 80 %: \(covered80), 95 %: \(covered95), n \(count)")
        #expect(count > 1000 && mase <= 0.8)
        #expect((0.75...0.85).contains(covered80) && (0.92...0.98).contains(covered95))
    }

    /// An epoch whose ticks are all alike stays as it is, but for what epochs have on the average; a drop passes.
    @Test func qualityReverts() throws {
        let ticks = (0..<60).map { 1000 + 300 * Double($0) }
        let calm = ticks.map { $0 * 0.02 }
        let steady = try #require(QualityForecast.forecast(ticks: ticks[...], empty: calm[...], horizon: 72))
        #expect(abs(steady.value - 98) < 0.1, "\(steady)")
        var dropped = calm
        for index in 56..<60 { dropped[index] += Double(index - 55) * 150 }
        let drop = try #require(QualityForecast.forecast(ticks: ticks[...], empty: dropped[...], horizon: 72))
        let now = 100 * (1 - dropped[59] / ticks[59])
        // Half of the ticks of late were empty; were that to go on, it would be 70 %.
        #expect(drop.value > 85 && drop.value < now, "\(drop) after \(now)")
        #expect(drop.interval80.low < drop.value && drop.interval95.low < drop.interval80.low)
        #expect(QualityForecast.forecast(ticks: ticks[0..<23], empty: calm[0..<23], horizon: 72) == nil)
        let nothing = [Double](repeating: 0, count: 40)
        #expect(QualityForecast.forecast(ticks: nothing[...], empty: nothing[...], horizon: 72) == nil)
    }

    /// A straight line is continued exactly by all that know a trend.
    @Test(arguments: ForecastMethod.allCases)
    func straightLine(method: ForecastMethod) {
        let line = (0..<50).map { 3 + 2 * Double($0) }
        let next = method.predict(line[...], horizon: 5)
        #expect(abs(next - (method == .naive ? 101 : 111)) < 1e-9)
    }

    @Test func tooShort() { #expect(Forecaster().forecast([1, 2, 3], horizon: 2) == nil) }
}

/// Forecasts at any horizon: their widenings are those of the calibration split, and hold on the test split.
@Suite struct HorizonForecastTests {
    /// Drawn four times, since two days of an epoch hold few days ahead.
    static let calibration = Result { try HorizonForecastTests.drawn(.calibration, seeds: 1...4) }
    static let test = Result { try HorizonForecastTests.drawn(.test, seeds: 1...1) }

    struct Outcome {
        var actual, now: Double
        var forecast: Forecast
    }

    /// The split is the first seed's for all of them, so that none has an epoch of another split.
    static func drawn(_ split: Segment.Split, seeds: ClosedRange<UInt64>) throws -> [HorizonSeries] {
        let epochs = try generator().plan.filter { $0.split == split }.map(\.epoch)
        return try seeds.flatMap { seed -> [HorizonSeries] in
            let source = try generator(seed: seed)
            return epochs.map { series(source.segment(epoch: $0, split: split)) }
        }
    }

    static func series(_ segment: Segment) -> HorizonSeries {
        func resampled(_ value: (Observation) -> Int?) -> [Double] {
            Series.resample(segment.observations, epoch: segment.epoch) { value($0).map(Double.init) }
        }
        // Of any source, as a recording's facts take it.
        var newest = 0
        let tick = resampled { seen in
            guard let tick = seen.tick else { return nil }
            newest = max(newest, tick)
            return newest
        }
        return HorizonSeries(
            tick: tick, ticksInEpoch: resampled { $0.ticksInEpoch }, emptyTicks: resampled { $0.emptyTicksInEpoch },
            price: Series.resample(segment.observations, epoch: segment.epoch) { $0.price })
    }

    /// Every hour of each segment, and every two hours where more than that is forecast.
    static func origins(_ count: Int, _ steps: Int) -> StrideTo<Int> {
        stride(from: 48, to: count - steps, by: steps > 24 ? 24 : 12)
    }

    static func backtest(
        _ quantity: HorizonQuantity, _ steps: Int, _ all: [HorizonSeries], widening: Widening? = nil
    ) -> [Outcome] {
        all.flatMap { series -> [Outcome] in
            let values = series.values(of: quantity)
            return origins(values.count, steps).compactMap { origin -> Outcome? in
                guard let forecast = quantity.forecast(series.until(origin), steps: steps, widening: widening) else {
                    return nil
                }
                return Outcome(actual: values[origin + steps], now: values[origin], forecast: forecast)
            }
        }
    }

    /// What the half widths must be multiplied by to hold four in five, and nineteen in twenty. Of prices by their
    /// logarithms, of which forecasts are made.
    static func widening(_ quantity: HorizonQuantity, _ outcomes: [Outcome]) -> Widening {
        func scale(_ value: Double) -> Double { quantity == .price ? log(value) : value }
        func quantile(_ level: Double, _ interval: KeyPath<Forecast, Forecast.Interval>) -> Double {
            let ratios = outcomes.map { outcome -> Double in
                let (value, bounds) = (scale(outcome.forecast.value), outcome.forecast[keyPath: interval])
                // An end that is cut by a bound is nearer than the half width.
                let half = max(scale(bounds.high) - value, value - scale(bounds.low), 1e-12)
                return abs(scale(outcome.actual) - value) / half
            }
            return ratios.sorted()[Int(level * Double(ratios.count))]
        }
        return Widening(quantile(0.8, \.interval80), quantile(0.95, \.interval95))
    }

    @Test(arguments: HorizonQuantity.allCases)
    func wideningsAreTheCalibrationSplits(quantity: HorizonQuantity) throws {
        let all = try Self.calibration.get()
        for steps in Widening.fittedSteps {
            let outcomes = Self.backtest(quantity, steps, all, widening: Widening.one)
            try #require(outcomes.count > 300)
            let fitted = Self.widening(quantity, outcomes)
            let shown = [fitted.level80, fitted.level95].map { String(format: "%.3f", $0) }.joined(separator: ", ")
            print("widening .\(quantity) \(steps * 5) min: Widening(\(shown)), n \(outcomes.count)")
            let stated = Widening.of(quantity, steps: steps)
            #expect(abs(stated.level80 / fitted.level80 - 1) < 0.03, "\(quantity) \(steps): Widening(\(shown))")
            #expect(abs(stated.level95 / fitted.level95 - 1) < 0.03, "\(quantity) \(steps): Widening(\(shown))")
        }
    }

    @Test(arguments: HorizonQuantity.allCases)
    func intervalsHoldOnTheTestSplit(quantity: HorizonQuantity) throws {
        let all = try Self.test.get()
        for steps in Widening.fittedSteps {
            let outcomes = Self.backtest(quantity, steps, all)
            try #require(outcomes.count > 100)
            func covered(_ interval: KeyPath<Forecast, Forecast.Interval>) -> Double {
                let held = outcomes.count { outcome in
                    let bounds = outcome.forecast[keyPath: interval]
                    return (bounds.low...bounds.high).contains(outcome.actual)
                }
                return Double(held) / Double(outcomes.count)
            }
            let error = outcomes.reduce(0) { $0 + abs($1.actual - $1.forecast.value) }
            let naive = outcomes.reduce(0) { $0 + abs($1.actual - $1.now) }
            let (in80, in95) = (covered(\.interval80), covered(\.interval95))
            print(
                "horizon \(quantity) \(steps * 5) min: MASE \(error / naive), 80 %: \(in80), 95 %: \(in95),",
                "n \(outcomes.count)")
            #expect(Self.expected(quantity, steps).contains(in80), "\(quantity) \(steps)")
            #expect(in95 >= (steps > 72 ? 0.8 : 0.88), "\(quantity) \(steps)")
            #expect(error <= Self.most[quantity]! * naive, "\(quantity) \(steps)")
        }
    }

    /// Of the error of the value that stays.
    static let most: [HorizonQuantity: Double] = [.tick: 0.4, .ticksInEpoch: 0.4, .quality: 0.8, .price: 1.05]

    /// Some two standard errors about 80 %, where values that overlap count once: nineteen segments have 900 hours, 150
    /// times six hours, and nineteen days ahead. Counts of one source, which incidents hold up for hours, and the
    /// cumulated quality, which remembers them, have fewer that are independent.
    static func expected(_ quantity: HorizonQuantity, _ steps: Int) -> ClosedRange<Double> {
        if steps > 72 { return 0.6...0.95 }
        let isPlain = quantity == .tick || quantity == .price
        return isPlain ? (steps > 12 ? 0.72...0.88 : 0.75...0.85) : 0.7...0.9
    }

    /// Of cumulated quality the mixture is nearer at every horizon than the methods on the plain series.
    @Test func mixtureBeatsThePlainSeries() throws {
        let all = try Self.test.get()
        for steps in Widening.fittedSteps {
            let mixture = Self.backtest(.quality, steps, all).map { abs($0.actual - $0.forecast.value) }
            let plain = all.flatMap { series -> [Double] in
                let values = series.values(of: .quality)
                return Self.origins(values.count, steps).compactMap { origin -> Double? in
                    Forecaster().extended(values[0...origin], horizon: steps, growth: 1).map {
                        abs(values[origin + steps] - $0.value)
                    }
                }
            }
            #expect(mixture.count == plain.count)
            let share: Double = mixture.reduce(0, +) / plain.reduce(0, +)
            print("quality \(steps * 5) min: the mixture has \(share) of the plain series' error")
            #expect(share < 0.9, "\(steps)")
        }
    }

    @Test(arguments: HorizonQuantity.allCases)
    func wideningsBetween(quantity: HorizonQuantity) {
        let (hour, six, day) = (12, 72, 288)
        #expect(Widening.of(quantity, steps: 1) == Widening.of(quantity, steps: hour))
        #expect(Widening.of(quantity, steps: 2016) == Widening.of(quantity, steps: day))
        for (near, far) in [(hour, six), (six, day)] {
            let (a, b) = (Widening.of(quantity, steps: near).level80, Widening.of(quantity, steps: far).level80)
            let between = Widening.of(quantity, steps: (near + far) / 2).level80
            #expect(between >= min(a, b) && between <= max(a, b))
        }
    }

    @Test(arguments: HorizonQuantity.allCases)
    func tooShort(quantity: HorizonQuantity) {
        let few = [Double](repeating: 1, count: 20)
        let series = HorizonSeries(tick: few, ticksInEpoch: few, emptyTicks: few, price: few)
        #expect(quantity.forecast(series, steps: 12) == nil)
        #expect(quantity.forecast(series.until(-1), steps: 12) == nil)
    }
}

extension HorizonSeries {
    /// What had been seen by then.
    fileprivate func until(_ origin: Int) -> HorizonSeries {
        HorizonSeries(
            tick: Array(tick.prefix(origin + 1)), ticksInEpoch: Array(ticksInEpoch.prefix(origin + 1)),
            emptyTicks: Array(emptyTicks.prefix(origin + 1)), price: Array(price.prefix(origin + 1)))
    }

    fileprivate func values(of quantity: HorizonQuantity) -> [Double] {
        switch quantity {
        case .tick: tick
        case .ticksInEpoch: ticksInEpoch
        case .quality: zip(emptyTicks, ticksInEpoch).map { 100 * (1 - $0 / $1) }
        case .price: price
        }
    }
}
