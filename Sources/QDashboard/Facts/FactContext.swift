import Foundation
import Science

/// What the facts' formulas are made of: series of a timeline, cut at `now`, the last moment that it shows. Times in
/// seconds since 1970.
struct FactContext {
    let now: Double
    let timeline: Timeline
    let series: FactSeries
    let epoch: Int?
    /// Ticks a second of the current epoch's ten minutes before the last ones, the newest first.
    let rates: [Double]
    let forecasts: [ForecastQuantity: Forecast]

    /// History that facts look at: two epochs.
    static let span = 2 * EpochCalendar.secondsPerEpoch

    /// Nil of a timeline without points.
    init?(_ timeline: Timeline) {
        guard let now = timeline.end else { return nil }
        self.init(timeline, FactSeries(timeline.points), now: now)
    }

    init(_ timeline: Timeline, _ series: FactSeries, now: Date) {
        self.now = now.timeIntervalSince1970
        self.timeline = timeline
        self.series = series
        let from = self.now - Self.span
        epoch = series.samples.last { $0.epoch != nil && $0.at >= from }?.epoch
        rates = Self.rateHistory(600, series, epoch: epoch, now: self.now)
        let end = EpochCalendar.start(of: EpochCalendar.epoch(at: now) + 1).timeIntervalSince(now)
        var forecasts: [ForecastQuantity: Forecast] = [:]
        for quantity in ForecastQuantity.allCases {
            forecasts[quantity] = quantity.forecast(series.grids, now: self.now, secondsToEpochEnd: end)
        }
        self.forecasts = forecasts
    }

    var date: Date { Date(timeIntervalSince1970: now) }
    var rises: [(at: Double, tick: Int, epoch: Int?)] { series.rises }
    /// The newest tick of any source.
    var newest: (at: Double, tick: Int, epoch: Int?)? {
        rises.last.flatMap { now - $0.at <= Self.span ? $0 : nil }
    }

    /// The samples of the last `seconds`.
    func recent(_ seconds: Double) -> ArraySlice<FactSample> {
        let from = now - min(seconds, Self.span)
        return series.samples[Self.first(series.samples.count) { series.samples[$0].at >= from }...]
    }

    /// The newest value, whatever its age.
    func latest<Value>(_ value: (FactSample) -> Value?) -> Value? {
        for sample in recent(Self.span).reversed() {
            if let value = value(sample) { return value }
        }
        return nil
    }

    /// The values of the last `seconds`, with the moment at which they were measured. Of the current epoch where asked.
    func series(
        _ seconds: Double, inEpoch: Bool = false, _ value: (FactSample) -> Double?
    ) -> [(at: Double, value: Double)] {
        recent(seconds).compactMap { sample in
            guard let value = value(sample) else { return nil }
            if inEpoch, let epoch, let its = sample.epoch, its != epoch { return nil }
            return (sample.measuredAt, value)
        }
    }

    /// Last less first of a window that is covered to at least a half.
    func change(_ series: [(at: Double, value: Double)], over seconds: Double) -> Double? {
        guard let first = series.first, let last = series.last, now - first.at >= seconds / 2 else { return nil }
        return last.value - first.value
    }

    func tickRate(_ seconds: Double) -> Double? { Self.tickRate(seconds, series.rises, endingAt: now) }

    /// Ticks a second over a window that ends at `end`, in one epoch and without jumps; zero in a stall. Nil where less than
    /// half of the window was watched.
    private static func tickRate(
        _ seconds: Double, _ rises: [(at: Double, tick: Int, epoch: Int?)], endingAt end: Double
    ) -> Double? {
        let from = end - seconds
        let last = first(rises.count) { rises[$0].at > end } - 1
        guard last >= 0, end - rises[last].at <= span else { return nil }
        var (begin, advanced) = (end, 0.0)
        var index = last
        if rises[last].at <= from {
            begin = from
        } else {
            while index > 0, begin > from {
                let (a, b) = (rises[index - 1], rises[index])
                begin = max(b.at, from)
                let pause = b.at - a.at
                // What happened in a pause longer than the window says nothing about the window.
                guard pause <= seconds else { break }
                let step = Double(b.tick - a.tick)
                let isJump = step > Double(TimelineBuilder.jumpTicks) + TimelineBuilder.jumpTicksPerSecond * pause
                begin = max(a.at, from)
                // Of a step across the window's beginning, the part inside.
                if !isJump { advanced += pause > 0 ? step * (b.at - begin) / pause : step }
                index -= 1
            }
        }
        let watched = end - begin
        guard watched >= seconds / 2 else { return nil }
        return advanced / watched
    }

    /// Rates of the windows of the current epoch before the last one, one after the other.
    private static func rateHistory(_ seconds: Double, _ series: FactSeries, epoch: Int?, now: Double) -> [Double] {
        let rises = series.rises
        guard let epoch else { return [] }
        let before = rises.lastIndex { $0.epoch.map { $0 < epoch } ?? false } ?? -1
        guard let start = rises[(before + 1)...].first(where: { $0.epoch == epoch })?.at else { return [] }
        var rates: [Double] = []
        var end = now - seconds
        while end - start >= seconds, rates.count < 2016 {
            if let rate = tickRate(seconds, rises, endingAt: end) { rates.append(rate) }
            end -= seconds
        }
        return rates
    }

    /// The share of empty ticks among those that were added in the window, in percent: the epoch's quality, un-cumulated.
    func emptyShare(_ seconds: Double) -> Double? {
        let counts = recent(seconds)
        func isCount(_ sample: FactSample) -> Bool {
            sample.ticksInEpoch != nil && sample.emptyTicks != nil && (sample.epoch ?? epoch) == epoch
        }
        guard let first = counts.first(where: isCount), let last = counts.last(where: isCount),
            now - first.at >= seconds / 2
        else { return nil }
        return Self.emptyShare(first, last)
    }

    static func emptyShare(_ first: FactSample, _ last: FactSample) -> Double? {
        guard let before = first.ticksInEpoch, let after = last.ticksInEpoch, after > before,
            let emptyBefore = first.emptyTicks, let emptyAfter = last.emptyTicks, emptyAfter >= emptyBefore,
            emptyAfter - emptyBefore <= after - before
        else { return nil }
        return 100 * Double(emptyAfter - emptyBefore) / Double(after - before)
    }

    /// Logarithmic returns from hour to hour over the last day.
    func hourlyReturns() -> [Double] {
        let prices = series(86_400) { $0.price.flatMap { $0 > 0 ? $0 : nil } }
        // The last price of each hour, hours counted back from now.
        var hours: [(hour: Int, price: Double)] = []
        for (at, price) in prices {
            let hour = Int(((now - at) / 3600).rounded(.down))
            if hours.last?.hour == hour { hours.removeLast() }
            hours.append((hour, price))
        }
        return zip(hours, hours.dropFirst()).filter { $0.hour == $1.hour + 1 }.map { log($1.price / $0.price) }
    }

    /// The first of `count` places for which `isTrue` holds, as it does for all after it (binary search).
    static func first(_ count: Int, where isTrue: (Int) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if isTrue(middle) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
