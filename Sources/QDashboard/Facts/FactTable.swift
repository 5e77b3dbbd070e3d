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

    static let timeline: [FactDefinition] = [
        .init("observedAt", "UTC", "–", "the last moment at which anything was seen") { .moment($0.date) },
        .init("tick", "tick", "all", "the newest tick of any source") { $0.newest.map { .integer($0.tick) } },
        .init("epoch", "epoch", "all", "as last served") { $0.epoch.map { .integer($0) } },
        .init("epochByDate", "epoch", "–", "whole weeks since 2022-04-13T12:00Z") {
            .integer(EpochCalendar.epoch(at: $0.date))
        },
        .init("epochProgressPercent", "%", "–", "100 · time since the last Wednesday 12:00 UTC / 7 days") {
            .decimal(100 * $0.sinceEpochStart / EpochCalendar.secondsPerEpoch)
        },
        .init("secondsToEpochEnd", "s", "–", "time to the next Wednesday 12:00 UTC") {
            .decimal(EpochCalendar.secondsPerEpoch - $0.sinceEpochStart)
        },
        .init("tickRatePerSecond", "ticks/s", "10 min", "ticks passed / time, jumps left out") {
            $0.tickRate(600).map { .decimal($0) }
        },
        .init("tickRateHourPerSecond", "ticks/s", "1 h", "ticks passed / time, jumps left out") {
            $0.tickRate(3600).map { .decimal($0) }
        },
        .init("secondsPerTick", "s/tick", "10 min", "1 / tickRatePerSecond") {
            $0.tickRate(600).flatMap { $0 > 0 ? .decimal(1 / $0) : nil }
        },
        .init(
            "tickRateEpochZ", "robust σ", "epoch",
            "(tickRatePerSecond − median) / (1.4826 · MAD) of the epoch's 10 min before it; at least 6 of them"
        ) { context in
            context.tickRate(600).flatMap { RobustStatistics.z($0, context.rates) }
                .map { .decimal($0) }
        },
        .init(
            "tickRateEraZ", "robust σ", "era",
            "(tickRateHourPerSecond, else tickRatePerSecond − median) / (1.4826 · MAD) of the era's weekly rates"
        ) { context in
            let rate = context.tickRate(3600) ?? context.tickRate(600)
            return rate.flatMap { rate in context.epoch.flatMap { Era.of($0)?.z(ticksPerSecond: rate) } }.map {
                .decimal($0)
            }
        },
        .init(
            "secondsSinceLastTick", "s", "all",
            "whole seconds since the newest tick was first seen, or `duration` where more"
        ) {
            stall($0).map { .integer(Int($0.rounded())) }
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
            $0.latest(\.quality).map { .decimal($0) }
        },
        .init("last10000TickQualityPercent", "%", "10 000 ticks", "as last served") {
            $0.latest(\.last10000Quality).map { .decimal($0) }
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
            $0.change($0.series(86_400) { $0.activeAddresses.map(Double.init) }, over: 86_400).map { .decimal($0) }
        },
        .init("circulatingSupplyQus", "qus", "all", "as last served") {
            $0.latest(\.supply).map { .integer($0) }
        },
        .init("supplyStepQus", "qus", "24 h", "last − first") {
            $0.change($0.series(86_400) { $0.supply.map(Double.init) }, over: 86_400).map { .decimal($0) }
        },
        .init("burnedQus", "qus", "all", "as last served") { $0.latest(\.burned).map { .integer($0) } },
        .init("burnStepQus", "qus", "24 h", "last − first within the epoch") {
            $0.change($0.series(86_400, inEpoch: true) { $0.burned.map(Double.init) }, over: 86_400).map {
                .decimal($0)
            }
        },
        .init("priceUSD", "USD", "all", "as last served") { $0.latest(\.price).map { .decimal($0) } },
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
            let recent = context.series.polls.filter { context.now - $0.lastAt <= 3600 }
            let all = recent.reduce(0) { $0 + $1.count }
            let failed = recent.reduce(0) { $0 + ($1.failed ? $1.count : 0) }
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
        guard let last = context.newest else { return nil }
        // The node's own word, aged: `duration` was true when it was polled.
        let told = context.recent(context.now - last.at + 1).last {
            $0.secondsSinceLastTick != nil && $0.tick == last.tick
        }
        let said = told.flatMap { sample in
            sample.secondsSinceLastTick.map { Double($0) + context.now - sample.lastAt }
        }
        return max(context.now - last.at, said ?? 0)
    }

    private static func behind(_ context: FactContext) -> Int? {
        guard let newest = context.newest?.tick else { return nil }
        return context.series.stands.compactMap { stand in
            stand.flatMap { context.now - $0.seen <= 300 ? max(newest - $0.tick, 0) : nil }
        }.max()
    }

    private static func priceReturn(_ context: FactContext, _ seconds: Double) -> Double? {
        let prices = context.series(seconds) { $0.price.flatMap { $0 > 0 ? $0 : nil } }
        guard let first = prices.first, let last = prices.last, context.now - first.at >= seconds / 2
        else { return nil }
        return 100 * (last.value / first.value - 1)
    }

    private static func jump(_ context: FactContext, _ kind: Finding.Kind) -> Facts.Value {
        .integer(context.timeline.findings.filter { $0.kind == kind }.reduce(0) { $0 + Int($1.amount ?? 0) })
    }
}
