import Foundation

/// A number that a timeline shows: its name, unit, formula and window. The table is the documentation.
public struct FactDefinition: Sendable {
    public let name: String
    public let unit: String
    /// The time it looks at, counted back from the last moment of the timeline.
    public let window: String
    public let formula: String
    let compute: @Sendable (FactContext) -> Facts.Value?

    /// A source has failed: seconds without a tick, and ticks behind the newest one known.
    public static let stallSeconds = 30.0
    public static let staleTicks = 120

    public static let all: [FactDefinition] = [
        .init("observedAt", "UTC", "–", "the last moment at which anything was seen") { .moment($0.now) },
        .init("tick", "tick", "all", "the newest tick of any source") { $0.ticks.last.map { .integer($0.tick) } },
        .init("epoch", "epoch", "all", "as last served") { $0.epoch.map { .integer($0) } },
        .init("epochByDate", "epoch", "–", "whole weeks since 2022-04-13T12:00Z") {
            .integer(EpochCalendar.epoch(at: $0.now))
        },
        .init("epochProgressPercent", "%", "–", "100 · time since the last Wednesday 12:00 UTC / 7 days") {
            let start = EpochCalendar.start(of: EpochCalendar.epoch(at: $0.now))
            return .decimal(100 * $0.now.timeIntervalSince(start) / EpochCalendar.secondsPerEpoch)
        },
        .init("secondsToEpochEnd", "s", "–", "time to the next Wednesday 12:00 UTC") {
            .decimal(EpochCalendar.start(of: EpochCalendar.epoch(at: $0.now) + 1).timeIntervalSince($0.now))
        },
        .init("tickRatePerSecond", "ticks/s", "10 min", "ticks passed / time, jumps left out") {
            $0.tickRate(600, endingAt: $0.now).map { .decimal($0) }
        },
        .init("tickRateHourPerSecond", "ticks/s", "1 h", "ticks passed / time, jumps left out") {
            $0.tickRate(3600, endingAt: $0.now).map { .decimal($0) }
        },
        .init("secondsPerTick", "s/tick", "10 min", "1 / tickRatePerSecond") {
            $0.tickRate(600, endingAt: $0.now).flatMap { $0 > 0 ? .decimal(1 / $0) : nil }
        },
        .init(
            "tickRateEpochZ", "robust σ", "epoch",
            "(tickRatePerSecond − median) / (1.4826 · MAD) of the epoch's 10 min before it; at least 6 of them"
        ) { context in
            context.tickRate(600, endingAt: context.now).flatMap { RobustStatistics.z($0, context.rateHistory(600)) }
                .map { .decimal($0) }
        },
        .init(
            "tickRateEraZ", "robust σ", "era",
            "(tickRateHourPerSecond, else tickRatePerSecond − median) / (1.4826 · MAD) of the era's weekly rates"
        ) { context in
            let rate = context.tickRate(3600, endingAt: context.now) ?? context.tickRate(600, endingAt: context.now)
            return rate.flatMap { rate in context.epoch.flatMap { Era.of($0)?.z(ticksPerSecond: rate) } }.map {
                .decimal($0)
            }
        },
        .init("secondsSinceLastTick", "s", "all", "time since the newest tick was first seen, or `duration` where more")
        {
            stall($0).map { .decimal($0) }
        },
        .init("isStalled", "0 or 1", "all", "secondsSinceLastTick ≥ \(Int(stallSeconds))") {
            stall($0).map { .integer($0 >= stallSeconds ? 1 : 0) }
        },
        .init(
            "ticksBehind", "ticks", "5 min", "the newest tick of any source − the newest of the source furthest behind"
        ) {
            behind($0).map { .integer($0) }
        },
        .init("isStale", "0 or 1", "5 min", "ticksBehind > \(staleTicks)") {
            behind($0).map { .integer($0 > staleTicks ? 1 : 0) }
        },
        .init("epochTickQualityPercent", "%", "epoch", "as last served: 100 · (ticks − empty) / ticks") {
            $0.latest(\.epochTickQualityPercent).map { .decimal($0) }
        },
        .init("last10000TickQualityPercent", "%", "10 000 ticks", "as last served") {
            $0.latest(\.last10000TickQualityPercent).map { .decimal($0) }
        },
        .init("qualityHourPercent", "%", "1 h", "100 · (Δticks − Δempty) / Δticks of the epoch's counts") {
            $0.emptyShare(3600).map { .decimal(100 - $0) }
        },
        .init("qualityDayPercent", "%", "24 h", "100 · (Δticks − Δempty) / Δticks of the epoch's counts") {
            $0.emptyShare(86_400).map { .decimal(100 - $0) }
        },
        .init("emptyTickHourPercent", "%", "1 h", "100 · Δempty / Δticks of the epoch's counts") {
            $0.emptyShare(3600).map { .decimal($0) }
        },
        .init("activeAddresses", "addresses", "all", "as last served") {
            $0.latest(\.activeAddresses).map { .integer($0) }
        },
        .init("activeAddressesStep", "addresses", "24 h", "last − first") {
            $0.change($0.series(\.activeAddresses, 86_400), over: 86_400).map { .decimal($0) }
        },
        .init("circulatingSupplyQus", "qus", "all", "as last served") {
            $0.latest(\.circulatingSupplyQus).map { .integer($0) }
        },
        .init("supplyStepQus", "qus", "24 h", "last − first") {
            $0.change($0.series(\.circulatingSupplyQus, 86_400), over: 86_400).map { .decimal($0) }
        },
        .init("burnedQus", "qus", "all", "as last served") { $0.latest(\.burnedQus).map { .integer($0) } },
        .init("burnStepQus", "qus", "24 h", "last − first within the epoch") {
            $0.change($0.series(\.burnedQus, 86_400, inEpoch: true), over: 86_400).map { .decimal($0) }
        },
        .init("priceUSD", "USD", "all", "as last served") { $0.latest(\.priceUSD).map { .decimal($0) } },
        .init("priceReturnHourPercent", "%", "1 h", "100 · (last / first − 1)") {
            priceReturn($0, 3600).map { .decimal($0) }
        },
        .init("priceReturnDayPercent", "%", "24 h", "100 · (last / first − 1)") {
            priceReturn($0, 86_400).map { .decimal($0) }
        },
        .init(
            "priceVolatilityPercent", "% a day", "24 h",
            "100 · √24 · standard deviation of the logarithmic returns from hour to hour; at least 6 of them"
        ) { context in
            let returns = context.hourlyReturns()
            guard returns.count >= 6 else { return nil }
            let mean = returns.reduce(0, +) / Double(returns.count)
            let variance = returns.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(returns.count - 1)
            return .decimal(100 * (24 * variance).squareRoot())
        },
        .init("transitionJumpTicks", "ticks", "recording", "tick numbers left out at epoch boundaries: normal") {
            jump($0, .transitionJump)
        },
        .init("midEpochJumpTicks", "ticks", "recording", "tick numbers left out within epochs: not normal") {
            jump($0, .midEpochJump)
        },
        .init("failedPollsPercent", "%", "1 h", "100 · polls answered by an error, or not at all / polls") { context in
            let recent = context.timeline.points.filter { context.now.timeIntervalSince($0.lastAt) <= 3600 }
            let all = recent.reduce(0) { $0 + $1.polls }
            let failed = recent.reduce(0) { $0 + ($1.snapshot.failure == nil ? 0 : $1.polls) }
            return all > 0 ? .decimal(100 * Double(failed) / Double(all)) : nil
        },
        .init(
            "longestGapSeconds", "s", "recording", "the longest pause between polls that counts as a gap; 0 without any"
        ) {
            .decimal($0.timeline.gaps.map { $0.to.timeIntervalSince($0.from) }.max() ?? 0)
        },
    ]

    init(
        _ name: String, _ unit: String, _ window: String, _ formula: String,
        _ compute: @escaping @Sendable (FactContext) -> Facts.Value?
    ) {
        (self.name, self.unit, self.window, self.formula, self.compute) = (name, unit, window, formula, compute)
    }

    private static func stall(_ context: FactContext) -> Double? {
        guard let last = context.ticks.last else { return nil }
        let seen = context.now.timeIntervalSince(last.at)
        // The node's own word, aged: `duration` was true when it was polled.
        let told = context.points.last { $0.snapshot.secondsSinceLastTick != nil && $0.snapshot.tick == last.tick }
        let said = told.flatMap { point in
            point.snapshot.secondsSinceLastTick.map { Double($0) + context.now.timeIntervalSince(point.lastAt) }
        }
        return max(seen, said ?? 0)
    }

    private static func behind(_ context: FactContext) -> Int? {
        guard let newest = context.ticks.last?.tick else { return nil }
        var bySource: [String: Int] = [:]
        for point in context.points where context.now.timeIntervalSince(point.lastAt) <= 300 {
            guard let tick = point.snapshot.tick else { continue }
            bySource[point.source] = max(bySource[point.source] ?? tick, tick)
        }
        return bySource.values.min().map { max(newest - $0, 0) }
    }

    private static func priceReturn(_ context: FactContext, _ seconds: Double) -> Double? {
        let prices = context.series(seconds) { $0.priceUSD.flatMap { $0 > 0 ? $0 : nil } }
        guard let first = prices.first, let last = prices.last, context.now.timeIntervalSince(first.at) >= seconds / 2
        else { return nil }
        return 100 * (last.value / first.value - 1)
    }

    private static func jump(_ context: FactContext, _ kind: Finding.Kind) -> Facts.Value {
        .integer(context.timeline.findings.filter { $0.kind == kind }.reduce(0) { $0 + Int($1.amount ?? 0) })
    }

    /// docs/facts.md, whole.
    public static var markdown: String {
        var lines = [
            "# Facts", "",
            "What is computed of a recording, and how. The table is made from the code (`FactDefinition.all`); a test holds",
            "this file to it. Windows end at `observedAt`, the last moment of the recording. A fact whose window was watched to",
            "less than a half, or whose numbers were not served, is absent, never 0.", "",
            "| name | unit | window | formula |", "|---|---|---|---|",
        ]
        lines += all.map { "| `\($0.name)` | \($0.unit) | \($0.window) | \($0.formula) |" }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension Facts {
    /// All facts of the table that the timeline shows.
    public init(_ timeline: Timeline) {
        self.init()
        guard let context = FactContext(timeline) else { return }
        for definition in FactDefinition.all {
            guard let value = definition.compute(context) else { continue }
            if case .decimal(let number) = value, !number.isFinite { continue }
            self[definition.name] = value
        }
    }
}
