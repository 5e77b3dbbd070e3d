import Foundation

/// Facts of the last minutes, in which each kind of incident leaves its trace.
extension FactDefinition {
    static let recent: [FactDefinition] = [
        .init("hoursSinceEpochStart", "h", "–", "time since the last Wednesday 12:00 UTC") {
            .decimal($0.sinceEpochStart / 3600)
        },
        .init("hoursToEpochEnd", "h", "–", "time to the next Wednesday 12:00 UTC") {
            .decimal((EpochCalendar.secondsPerEpoch - $0.sinceEpochStart) / 3600)
        },
        .init("epochsBehindDate", "epochs", "–", "epochByDate − epoch; 1 until a transition has happened") { context in
            context.epoch.map { .integer(EpochCalendar.epoch(at: context.date) - $0) }
        },
        .init(
            "paceRatio", "ratio", "10 min",
            "secondsPerTick / its median over the epoch's 10 min before, those without a tick left out, at least 3 of "
                + "them; above 1 is slower"
        ) { context in
            guard let rate = context.tickRate(600), rate > 0, let usual = context.usualRate(atLeast: 3) else {
                return nil
            }
            return .decimal(usual / rate)
        },
        .init("emptyTickRecentPercent", "%", "20 min", "100 · Δempty / Δticks of the epoch's counts") {
            $0.emptyShare(1200).map { .decimal($0) }
        },
        .init("emptyTickUsualPercent", "%", "epoch", "median of that over the epoch's 20 min before") {
            RobustStatistics.median($0.emptyShares(1200)).map { .decimal($0) }
        },
        .init("emptyTickExcessPercent", "points", "20 min", "emptyTickRecentPercent − emptyTickUsualPercent") {
            context in
            guard let recent = context.emptyShare(1200),
                let usual = RobustStatistics.median(context.emptyShares(1200))
            else { return nil }
            return .decimal(recent - usual)
        },
        .init(
            "recentJumpSeconds", "s", "30 min",
            "tick numbers skipped inside the epoch, at its usual pace, less the time that passed; 0 without any"
        ) { $0.jumpSeconds(1800).map { .decimal($0) } },
        .init(
            "sourceBehindSeconds", "s", "5 min",
            "from the last new tick of the source furthest behind to the last new tick of any; 0 below 120 s"
        ) { context in
            guard let newest = context.newest else { return nil }
            let stood = context.series.stands.compactMap { stand in
                stand.flatMap { context.now - $0.seen <= 300 ? newest.at - $0.since : nil }
            }.max()
            return stood.map { .decimal($0 >= 120 ? $0 : 0) }
        },
        .init(
            "badRecordsRecent", "records", "30 min", "records that break an invariant, of the source that has most"
        ) { context in
            var counts: [String: Int] = [:]
            for record in context.timeline.violations.reversed() {
                guard context.now - record.at.timeIntervalSince1970 <= 1800 else { break }
                counts[record.source, default: 0] += 1
            }
            return .integer(counts.values.max() ?? 0)
        },
        .init(
            "badDataSeconds", "s", "recording",
            "from the first to the last of the records that break an invariant, pauses up to 10 min between them, the "
                + "last one in the last 30 min; 0 without any"
        ) { context in
            let records = context.timeline.violations
            guard let last = records.last?.at, context.now - last.timeIntervalSince1970 <= 1800 else {
                return .decimal(0)
            }
            var first = last
            for record in records.reversed() {
                guard first.timeIntervalSince(record.at) <= 600 else { break }
                first = record.at
            }
            // After a step of the recorder's clock the last one can be the earlier one.
            return .decimal(max(0, last.timeIntervalSince(first)))
        },
        .init("priceSwingPercent", "%", "30 min", "largest change, up or down, between two prices up to 25 min apart") {
            $0.priceSwing(1800, within: 1500).map { .decimal($0) }
        },
    ]
}

extension FactContext {
    var sinceEpochStart: Double { now - EpochCalendar.start(of: EpochCalendar.epoch(at: date)).timeIntervalSince1970 }

    /// The median of the epoch's rates in which ticks came at all.
    func usualRate(atLeast count: Int) -> Double? {
        let moving = rates.filter { $0 > 0 }
        return moving.count >= count ? RobustStatistics.median(moving) : nil
    }

    /// Shares of empty ticks over the epoch's windows before the last one.
    func emptyShares(_ seconds: Double) -> [Double] {
        let counts = recent(Self.span).filter { $0.ticksInEpoch != nil && $0.emptyTicks != nil && $0.epoch == epoch }
        guard let begin = counts.first?.at else { return [] }
        var shares: [Double] = []
        var end = now - seconds
        while end - begin >= seconds, shares.count < 1008 {
            let last = Self.first(counts.count) { counts[$0].at > end } - 1
            let first = Self.first(counts.count) { counts[$0].at >= end - seconds }
            if first < last, counts[last].at - counts[first].at >= seconds / 2,
                let share = Self.emptyShare(counts[first], counts[last])
            {
                shares.append(share)
            }
            end -= seconds
        }
        return shares
    }

    /// Tick numbers skipped, as seconds at the usual pace: of the epoch, else of the era. Nil where neither is known.
    func jumpSeconds(_ seconds: Double) -> Double? {
        guard let rate = usualRate(atLeast: 6) ?? epoch.flatMap({ Era.of($0)?.medianTicksPerSecond }), rate > 0,
            !rises.isEmpty
        else { return nil }
        let from = now - seconds
        var sum = 0.0
        for index in rises.indices.dropFirst().reversed() {
            let (a, b) = (rises[index - 1], rises[index])
            guard b.at >= from else { break }
            guard a.epoch == b.epoch else { continue }
            let pause = b.at - a.at
            // A burst after a stall, or a poll left out, is no jump.
            let skipped = Double(b.tick - a.tick) / rate - pause
            if skipped > max(180, pause * 0.5) { sum += skipped }
        }
        return sum
    }

    /// Percent, with its sign.
    func priceSwing(_ seconds: Double, within distance: Double) -> Double? {
        let prices = series(seconds + distance) { $0.price.flatMap { $0 > 0 ? $0 : nil } }
        guard prices.count > 1 else { return nil }
        var swing = 0.0
        for (index, later) in prices.enumerated() where now - later.at <= seconds {
            for earlier in prices[..<index].reversed() {
                guard later.at - earlier.at <= distance else { break }
                let change = 100 * (later.value / earlier.value - 1)
                if abs(change) > abs(swing) { swing = change }
            }
        }
        return swing
    }
}
