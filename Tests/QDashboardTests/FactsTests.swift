import Foundation
import QDashboard
import Runtime
import Testing

private let thursday = EpochCalendar.start(of: 232).addingTimeInterval(86_400)

/// Polls each minute, 0.5 ticks a second, one in a hundred ticks empty, the price rising by 1 % an hour.
private func minutes(_ count: Int, step: Int = 30) -> [Snapshot] {
    (0..<count).map { minute in
        var snapshot = Snapshot(kind: .latestStats)
        let date = thursday + Double(60 * minute)
        (snapshot.observedAt, snapshot.reportedAt, snapshot.epoch) = (date, date, 232)
        snapshot.tick = 81_000_000 + step * minute
        snapshot.ticksInEpoch = 200_000 + 100 * minute
        snapshot.emptyTicksInEpoch = 10_000 + minute
        snapshot.activeAddresses = 600_000 + minute
        snapshot.priceUSD = 1e-6 * pow(1.01, Double(minute / 60))
        snapshot.circulatingSupplyQus = 177_000_000_000_000 - 1000 * minute
        snapshot.burnedQus = 55_000_000_000_000 + 1000 * minute
        return snapshot
    }
}

@Suite struct FactsTests {
    @Test func aRegularDay() throws {
        let facts = Facts(timeline(minutes(1441)))
        func near(_ name: String, _ expected: Double, _ tolerance: Double = 1e-9) throws {
            let value = try #require(facts.number(name), "\(name)")
            #expect(abs(value - expected) <= tolerance * max(abs(expected), 1), "\(name): \(value), not \(expected)")
        }
        try near("tick", 81_043_200)
        try near("epoch", 232)
        try near("epochByDate", 232)
        try near("epochProgressPercent", 200.0 / 7)
        try near("secondsToEpochEnd", 5 * 86_400)
        try near("tickRatePerSecond", 0.5)
        try near("tickRateHourPerSecond", 0.5)
        try near("secondsPerTick", 2)
        try near("tickRateEpochZ", 0)
        try near("tickRateEraZ", (0.5 - 1.9111) / (1.4826 * 0.1885))
        try near("secondsSinceLastTick", 0)
        try near("isStalled", 0)
        try near("ticksBehind", 0)
        try near("isStale", 0)
        try near("qualityHourPercent", 99)
        try near("qualityDayPercent", 99)
        try near("emptyTickHourPercent", 1)
        try near("activeAddresses", 601_440)
        try near("activeAddressesStep", 1440)
        try near("supplyStepQus", -1_440_000)
        try near("burnStepQus", 1_440_000)
        try near("priceReturnHourPercent", 1)
        try near("priceReturnDayPercent", 100 * (pow(1.01, 24) - 1))
        try near("priceVolatilityPercent", 0, 1e-6)
        try near("transitionJumpTicks", 0)
        try near("midEpochJumpTicks", 0)
        try near("failedPollsPercent", 0)
        try near("longestGapSeconds", 0)
    }

    @Test func aStall() {
        var polls = minutes(120)
        let last = polls[119]
        for minute in 120..<125 {
            var stuck = last
            stuck.observedAt = thursday + Double(60 * minute)
            polls.append(stuck)
        }
        let facts = Facts(timeline(polls))
        #expect(facts.number("secondsSinceLastTick") == 300)
        #expect(facts.number("isStalled") == 1)
        #expect(facts.number("tickRatePerSecond").map { abs($0 - 0.25) < 1e-9 } == true)
        #expect(facts.number("tickRateEpochZ").map { $0 < -6 } == true)
    }

    @Test func aStaleSourceAnswersAllTheSame() {
        var polls: [Snapshot] = []
        for poll in minutes(10) {
            var stuck = Snapshot(kind: .tickInfo)
            (stuck.observedAt, stuck.tick, stuck.epoch, stuck.endpoint) = (
                poll.observedAt, 81_000_000, 232, "http://b/v1/tick-info"
            )
            polls += [poll, stuck]
        }
        let facts = Facts(timeline(polls))
        #expect(facts.number("ticksBehind") == 270)
        #expect(facts.number("isStale") == 1)
        #expect(facts.number("isStalled") == 0)
    }

    @Test func theNodesOwnDurationCounts() {
        var poll = Snapshot(kind: .tickInfo)
        (poll.observedAt, poll.tick, poll.epoch, poll.secondsSinceLastTick) = (thursday, 5_000, 232, 65_535)
        let facts = Facts(timeline([poll]))
        #expect(facts.number("secondsSinceLastTick") == 65_535)
        #expect(facts.number("tickRatePerSecond") == nil)
    }

    @Test func aJumpIsNoSpeed() {
        var polls = minutes(60)
        for index in 55..<60 { polls[index].tick! += 50_000 }
        let facts = Facts(timeline(polls))
        #expect(facts.number("midEpochJumpTicks") == 49_930)
        #expect(facts.number("tickRatePerSecond").map { $0 < 0.51 } == true)
    }

    @Test func nothingKnownNothingSaid() {
        #expect(Facts(Timeline()).names == [])
        var failure = Snapshot(kind: .tickInfo)
        (failure.observedAt, failure.failure) = (thursday, .init(kind: .noAnswer))
        let facts = Facts(timeline([failure]))
        #expect(facts.number("failedPollsPercent") == 100)
        #expect(facts["tick"] == nil && facts["isStalled"] == nil && facts["priceUSD"] == nil)
    }

    /// The order of the files does not matter to a question, and the newest moment is asked about.
    @Test func recordingsInAnyOrder() throws {
        try withFolder { folder in
            let live = (0..<60).map { minute in
                var poll = Snapshot(kind: .tickInfo)
                (poll.observedAt, poll.epoch) = (thursday + Double(60 * minute), 232)
                poll.tick = 81_000_000 + 30 * minute
                return poll
            }
            var older = minutes(60)
            for index in older.indices {
                older[index].observedAt! -= 86_400
                older[index].reportedAt! -= 86_400
                older[index].tick! -= 43_200
            }
            var paths: [String] = []
            for (name, polls) in [("stats", minutes(60)), ("live", live), ("older", older)] {
                let file = folder.appending(path: "\(name).jsonl")
                try Data(
                    polls.map { String(decoding: $0.record().serialized(indent: nil), as: UTF8.self) + "\n" }.joined()
                        .utf8
                ).write(to: file)
                paths.append(file.path)
            }
            let facts = try Facts.of(try RequestReader(paths: paths))
            #expect(facts["observedAt"] == .moment(thursday + 59 * 60))
            #expect(facts.number("tick") == 81_001_770 && facts.number("activeAddresses") == 600_059)
            #expect(facts["detectorKind"] != nil)
            for order in [[2, 1, 0], [1, 0, 2], [0, 2, 1]] {
                #expect(try Facts.of(try RequestReader(paths: order.map { paths[$0] })) == facts, "\(order)")
            }
            // Read in a stream, they start anew, and the reader knows where.
            let reader = try RequestReader(paths: paths, computesFacts: true)
            _ = try all(reader)
            #expect(reader.startedAnew == paths[1])
        }
    }

    @Test func badDataTakesNoNegativeTime() {
        var history = FactHistory()
        for (minute, quality) in [(0, nil), (10, 5.0), (5, 6.0)] as [(Int, Double?)] {
            var poll = minutes(11)[minute]
            poll.epochTickQualityPercent = quality
            history.add(poll, origin: .init(file: "a", line: minute))
        }
        #expect(history.facts.number("badRecordsRecent") == 2)
        #expect(history.facts.number("badDataSeconds") == 0)
    }

    @Test func aPartEndsWhereItIsCut() {
        let whole = timeline(minutes(600))
        let part = timeline(Array(minutes(600).prefix(301)))
        let cut = whole.upTo(thursday + 300 * 60)
        #expect(Facts(cut) == Facts(part))
    }

    @Test func theTableIsTheDocumentation() throws {
        let url = repository.appending(path: "docs/facts.md")
        #expect(try String(contentsOf: url, encoding: .utf8) == FactDefinition.markdown)
        let names = FactDefinition.all.map(\.name)
        #expect(Set(names).count == names.count)
    }

    /// The eras' figures, computed again from the weekly epochs.
    @Test func erasAreThoseOfTheRecordedEpochs() throws {
        let reader = try RequestReader(paths: [recorded.appending(path: "epochs_104_231.jsonl").path])
        var rates: [Int: Double] = [:]
        for item in try all(reader) {
            guard let snapshot = item.request?.snapshot, let epoch = snapshot.epoch,
                let mean = snapshot.summary?.meanSecondsPerTick
            else { continue }
            rates[epoch] = 1 / mean
        }
        #expect(rates.count > 120)
        for era in Era.all {
            let values = rates.filter { era.epochs.contains($0.key) }.map(\.value)
            let median = try #require(RobustStatistics.median(values))
            let spread = try #require(RobustStatistics.spread(values))
            #expect(abs(median - era.medianTicksPerSecond) < 1e-4, "\(era): \(median)")
            #expect(abs(spread - 1.4826 * era.deviation) < 2e-4, "\(era): \(spread / 1.4826)")
        }
    }
}
