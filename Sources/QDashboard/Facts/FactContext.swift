import Foundation

/// What the facts' formulas are made of: series of a timeline, cut at `now`, the last moment that it shows.
struct FactContext {
    let now: Date
    let timeline: Timeline
    /// Points with measurements, in order of time, not more than `span` before now.
    let points: [TimelinePoint]
    let epoch: Int?
    /// Rises only: the newest tick over all sources, each with the moment when it was first seen.
    let ticks: [(at: Date, tick: Int, epoch: Int?)]

    /// History that facts look at: two epochs.
    static let span = 2 * EpochCalendar.secondsPerEpoch

    /// Nil of a timeline without points.
    init?(_ timeline: Timeline) {
        guard let now = timeline.end else { return nil }
        self.now = now
        self.timeline = timeline
        points = timeline.points.filter {
            $0.snapshot.failure == nil && now.timeIntervalSince($0.at) <= Self.span
        }
        epoch = points.last { $0.snapshot.epoch != nil }?.snapshot.epoch
        var ticks: [(at: Date, tick: Int, epoch: Int?)] = []
        for point in points {
            guard let tick = point.snapshot.tick else { continue }
            // A tick from an epoch that has not begun cannot be the newest one: one such record must not hide all after it.
            if let epoch = point.snapshot.epoch,
                epoch > EpochCalendar.epoch(at: point.at.addingTimeInterval(Invariants.clockTolerance))
            {
                continue
            }
            if let last = ticks.last, tick <= last.tick { continue }
            ticks.append((point.at, tick, point.snapshot.epoch))
        }
        self.ticks = ticks
    }

    /// The newest value, whatever its age.
    func latest<Value>(_ path: KeyPath<Snapshot, Value?>) -> Value? {
        points.last { $0.snapshot[keyPath: path] != nil }?.snapshot[keyPath: path]
    }

    /// The values of the last `seconds`, with the moment at which they were measured. Of the current epoch where asked.
    func series<Value: BinaryInteger>(
        _ path: KeyPath<Snapshot, Value?>, _ seconds: Double, inEpoch: Bool = false
    ) -> [(at: Date, value: Double)] {
        series(seconds, inEpoch: inEpoch) { $0[keyPath: path].map { Double($0) } }
    }

    func series(
        _ seconds: Double, inEpoch: Bool = false, _ value: (Snapshot) -> Double?
    ) -> [(at: Date, value: Double)] {
        points.compactMap { point in
            guard now.timeIntervalSince(point.at) <= seconds, let value = value(point.snapshot) else { return nil }
            if inEpoch, let epoch, let its = point.snapshot.epoch, its != epoch { return nil }
            return (point.measuredAt, value)
        }
    }

    /// Last less first of a window that is covered to at least a half.
    func change(_ series: [(at: Date, value: Double)], over seconds: Double) -> Double? {
        guard let first = series.first, let last = series.last, now.timeIntervalSince(first.at) >= seconds / 2 else {
            return nil
        }
        return last.value - first.value
    }

    /// Ticks a second over a window that ends at `end`, in one epoch and without jumps; zero in a stall. Nil where less than
    /// half of the window was watched.
    func tickRate(_ seconds: Double, endingAt end: Date) -> Double? {
        let from = end.addingTimeInterval(-seconds)
        guard let last = ticks.lastIndex(where: { $0.at <= end }) else { return nil }
        var (begin, advanced) = (end, 0.0)
        var index = last
        if ticks[last].at <= from {
            begin = from
        } else {
            while index > 0, begin > from {
                let (a, b) = (ticks[index - 1], ticks[index])
                begin = max(b.at, from)
                let pause = b.at.timeIntervalSince(a.at)
                // What happened in a pause longer than the window says nothing about the window.
                guard pause <= seconds else { break }
                let step = Double(b.tick - a.tick)
                let isJump = step > Double(TimelineBuilder.jumpTicks) + TimelineBuilder.jumpTicksPerSecond * pause
                begin = max(a.at, from)
                // Of a step across the window's beginning, the part inside.
                if !isJump { advanced += pause > 0 ? step * b.at.timeIntervalSince(begin) / pause : step }
                index -= 1
            }
        }
        let watched = end.timeIntervalSince(begin)
        guard watched >= seconds / 2 else { return nil }
        return advanced / watched
    }

    /// Rates of the windows of the current epoch before the last one, one after the other.
    func rateHistory(_ seconds: Double) -> [Double] {
        guard let epoch, let begin = ticks.first(where: { $0.epoch == epoch })?.at else { return [] }
        var rates: [Double] = []
        var end = now.addingTimeInterval(-seconds)
        while end.timeIntervalSince(begin) >= seconds, rates.count < 2016 {
            if let rate = tickRate(seconds, endingAt: end) { rates.append(rate) }
            end = end.addingTimeInterval(-seconds)
        }
        return rates
    }

    /// The share of empty ticks among those that were added in the window, in percent: the epoch's quality, un-cumulated.
    func emptyShare(_ seconds: Double) -> Double? {
        let counts = points.filter {
            now.timeIntervalSince($0.at) <= seconds && $0.snapshot.ticksInEpoch != nil
                && $0.snapshot.emptyTicksInEpoch != nil && ($0.snapshot.epoch ?? epoch) == epoch
        }
        guard let first = counts.first, let last = counts.last, now.timeIntervalSince(first.at) >= seconds / 2,
            let before = first.snapshot.ticksInEpoch, let after = last.snapshot.ticksInEpoch, after > before,
            let emptyBefore = first.snapshot.emptyTicksInEpoch, let emptyAfter = last.snapshot.emptyTicksInEpoch,
            emptyAfter >= emptyBefore, emptyAfter - emptyBefore <= after - before
        else { return nil }
        return 100 * Double(emptyAfter - emptyBefore) / Double(after - before)
    }

    /// Logarithmic returns from hour to hour over the last day.
    func hourlyReturns() -> [Double] {
        let prices = series(86_400) { $0.priceUSD.flatMap { $0 > 0 ? $0 : nil } }
        // The last price of each hour, hours counted back from now.
        var hours: [(hour: Int, price: Double)] = []
        for (at, price) in prices {
            let hour = Int((now.timeIntervalSince(at) / 3600).rounded(.down))
            if hours.last?.hour == hour { hours.removeLast() }
            hours.append((hour, price))
        }
        let returns = zip(hours, hours.dropFirst()).filter { $0.hour == $1.hour + 1 }.map { log($1.price / $0.price) }
        return returns
    }
}
