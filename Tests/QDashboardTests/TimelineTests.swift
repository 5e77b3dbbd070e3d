import Foundation
import QDashboard
import Runtime
import Testing

/// Thursday of epoch 232, a day after it began.
private let thursday = EpochCalendar.start(of: 232).addingTimeInterval(86_400)

/// A body with all numbers, as the invariants want them.
func goodStats(at date: Date, tick: Int = 81_669_123, ticks: Int = 269_117, empty: Int = 3_933) -> Snapshot {
    var snapshot = Snapshot(kind: .latestStats)
    snapshot.observedAt = date
    snapshot.reportedAt = date
    snapshot.tick = tick
    snapshot.epoch = 232
    snapshot.circulatingSupplyQus = 177_566_139_365_105
    snapshot.burnedQus = 54_433_860_634_895
    snapshot.priceUSD = 4.48e-07
    snapshot.marketCapUSD = 79_549_631
    snapshot.ticksInEpoch = ticks
    snapshot.emptyTicksInEpoch = empty
    snapshot.epochTickQualityPercent = 100 * Double(ticks - empty) / Double(ticks)
    return snapshot
}

func timeline(_ snapshots: [Snapshot], limits: TimelineBuilder.Limits = .init()) -> Timeline {
    var builder = TimelineBuilder(limits: limits)
    for snapshot in snapshots { builder.add(snapshot) }
    return builder.finish()
}

@Suite struct TimelineTests {
    @Test func goodBodiesHaveNoFindings() {
        #expect(timeline([goodStats(at: thursday)]).findings == [])
    }

    typealias Change = @Sendable (inout Snapshot) -> Void

    static let violations: [(Finding.Kind, Change)] = [
        (.qualityMismatch, { $0.epochTickQualityPercent = 98.9 }),
        (.moreEmptyThanTicks, { $0.emptyTicksInEpoch = 300_000 }),
        (.burnedMismatch, { $0.burnedQus! += 1 }),
        (.marketCapMismatch, { $0.marketCapUSD = 79_549_631 * 1.00001 }),
        (
            .supplyAboveCap,
            {
                $0.circulatingSupplyQus = 200_000_000_000_001
                $0.burnedQus = 31_999_999_999_999
                $0.priceUSD = nil
            }
        ),
        (.tickBeforeEpoch, { $0.initialTick = $0.tick! + 1 }),
        (
            .epochInFuture,
            {
                $0.epoch = 233
                $0.burnedQus = nil
            }
        ),
        (
            .epochPast,
            {
                $0.epoch = 231
                $0.burnedQus = nil
            }
        ),
        (
            .qualityUnitUnknown,
            {
                $0.epochTickQualityPercent = 0.88
                $0.ticksInEpoch = nil
            }
        ),
        (
            .undated,
            {
                $0.observedAt = nil
                $0.reportedAt = nil
            }
        ),
        (
            .sourceFailure,
            {
                $0 = Snapshot(kind: .tickInfo)
                $0.observedAt = thursday
                $0.failure = .init(kind: .noAnswer)
            }
        ),
    ]

    @Test(arguments: violations.indices) func eachViolationIsOneFinding(index: Int) {
        let (kind, change) = Self.violations[index]
        var snapshot = goodStats(at: thursday)
        change(&snapshot)
        let found = timeline([snapshot])
        #expect(found.findings.map(\.kind) == [kind], "\(found.findings)")
        // Never repaired.
        if let point = found.points.first { #expect(point.snapshot == snapshot) }
    }

    static let sequences: [(Finding.Kind, Change)] = [
        (.tickBackwards, { $0.tick! -= 10 }),
        (
            .epochBackwards,
            {
                $0.epoch = 231
                $0.burnedQus = nil
                $0.kind = .latestStats
            }
        ),
        (
            .countsBackwards,
            {
                $0.tick! += 100
                $0.ticksInEpoch! -= 1000
                $0.epochTickQualityPercent = nil
            }
        ),
        (.midEpochJump, { $0.tick! += 20_000 }),
        (
            .gap,
            {
                $0.observedAt! += 3600
                $0.reportedAt! += 3600
                $0.tick! += 5000
            }
        ),
        (.clockBackwards, { $0.observedAt! -= 120 }),
    ]

    @Test(arguments: sequences.indices) func eachStepIsAFinding(index: Int) {
        let (kind, change) = Self.sequences[index]
        var second = goodStats(at: thursday + 60)
        change(&second)
        let found = timeline([goodStats(at: thursday), second])
        #expect(found.findings.contains { $0.kind == kind }, "\(found.findings)")
        #expect(found.findings.allSatisfy { $0.kind == kind || $0.kind == .epochPast }, "\(found.findings)")
    }

    @Test func aJumpAtTheBoundaryIsNormal() {
        let boundary = EpochCalendar.start(of: 232)
        var before = Snapshot(kind: .tickInfo)
        (before.observedAt, before.tick, before.epoch) = (boundary - 30, 80_000_000, 231)
        var after = before
        (after.observedAt, after.tick, after.epoch) = (boundary + 30, 80_020_279, 232)
        #expect(timeline([before, after]).findings.map(\.kind) == [.transitionJump])
        after.epoch = 231
        #expect(timeline([before, after]).findings.map(\.kind) == [.midEpochJump])
        // Bodies without an epoch: the calendar decides.
        (before.epoch, after.epoch) = (nil, nil)
        #expect(timeline([before, after]).findings.map(\.kind) == [.transitionJump])
        (before.observedAt, after.observedAt) = (thursday, thursday + 60)
        #expect(timeline([before, after]).findings.map(\.kind) == [.midEpochJump])
    }

    @Test func identicalPollsAreFoldedAlsoBetweenOthers() {
        var all: [Snapshot] = []
        for poll in 0..<6 {
            var stats = goodStats(at: thursday)
            stats.observedAt = thursday + Double(10 * poll)
            var tick = Snapshot(kind: .tickInfo)
            (tick.observedAt, tick.tick, tick.epoch) = (thursday + Double(10 * poll), 81_669_123 + 5 * poll, 232)
            all += [stats, tick]
        }
        let found = timeline(all)
        #expect(found.points.count == 7)
        #expect(found.folded == 5)
        #expect(found.points.first { $0.snapshot.kind == .latestStats }?.polls == 6)
        #expect(found.points.first { $0.snapshot.kind == .latestStats }?.lastAt == thursday + 50)
        #expect(found.findings == [])
    }

    @Test func recordingsThatOverlapAndContradict() {
        var builder = TimelineBuilder()
        for minute in 0..<5 {
            builder.add(
                goodStats(at: thursday + Double(60 * minute), tick: 81_669_123 + 100 * minute),
                origin: .init(file: "a", line: minute))
        }
        for minute in 3..<8 {
            let error = minute == 4 ? 7 : 0
            builder.add(
                goodStats(at: thursday + Double(60 * minute), tick: 81_669_123 + 100 * minute + error),
                origin: .init(file: "b", line: minute))
        }
        let found = builder.finish()
        #expect(found.findings.map(\.kind).sorted { $0.rawValue < $1.rawValue } == [.contradiction, .overlap])
        #expect(found.findings.first { $0.kind == .contradiction }?.origin == .init(file: "b", line: 4))
        #expect(found.points.map(\.at) == found.points.map(\.at).sorted())
        #expect(found.recordings == ["a", "b"])
    }

    /// Live bodies say no time of their own: those of the same second must be near each other.
    @Test func liveBodiesContradict() {
        var builder = TimelineBuilder()
        for (file, offset) in [("a", 0), ("b", 7), ("c", 500_000)] {
            for minute in 0..<3 {
                var live = Snapshot(kind: .tickInfo)
                (live.observedAt, live.epoch) = (thursday + Double(60 * minute), 232)
                live.tick = 81_000_000 + 60 * minute + offset
                builder.add(live, origin: .init(file: file, line: minute))
            }
        }
        let found = builder.finish()
        #expect(found.findingCounts[.contradiction] == 3)
        #expect(found.findings.filter { $0.kind == .contradiction }.allSatisfy { $0.origin?.file == "c" })
    }

    static func live(_ minutes: Range<Int>, ticksPerMinute: Int = 60) -> [Snapshot] {
        minutes.map { minute in
            var live = Snapshot(kind: .tickInfo)
            (live.observedAt, live.epoch) = (thursday + Double(60 * minute), 232)
            live.tick = 81_000_000 + ticksPerMinute * minute
            return live
        }
    }

    /// One body far ahead of all is not believed; two that go on from each other are.
    @Test(arguments: [200_000, 4_213_967_295]) func aTickFarAhead(leap: Int) throws {
        var polls = Self.live(0..<60)
        polls[30].tick! += leap
        let found = timeline(polls)
        #expect(found.findings.map(\.kind) == [.tickAhead], "\(found.findings)")
        #expect(found.violations.count == 1)
        #expect(found.points.filter { !$0.isSound }.map(\.at) == [thursday + 1800])
        #expect(Facts(found).number("tick") == 81_003_540)
        for index in 31..<60 { polls[index].tick! += leap }
        guard leap == 200_000 else { return }
        let moved = timeline(polls)
        #expect(moved.findings.map(\.kind) == [.tickAhead, .midEpochJump], "\(moved.findings)")
        #expect(moved.points.filter { !$0.isSound }.count == 1)
        #expect(Facts(moved).number("tick") == 81_203_540)
        // A day's worth at once is a jump as ever.
        polls = Self.live(0..<60)
        for index in 30..<60 { polls[index].tick! += 86_400 }
        let jumped = timeline(polls)
        #expect(jumped.findings.map(\.kind) == [.midEpochJump] && jumped.violations.isEmpty)
    }

    /// A record that says 2099 moves nothing; a pause of days does, once the next record is there or the clock allows it.
    @Test func aRecordFromTheFuture() throws {
        let clock = thursday + 30 * 86_400
        func told(_ polls: [Snapshot]) -> (timeline: Timeline, facts: Facts) {
            var builder = TimelineBuilder(clock: clock)
            var history = FactHistory(clock: clock)
            for (index, poll) in polls.enumerated() {
                builder.add(poll, origin: .init(file: "a", line: index))
                history.add(poll, origin: .init(file: "a", line: index))
            }
            return (builder.finish(), history.facts)
        }
        let future = try #require(Timestamp.iso8601("2099-01-01T00:00:00Z"))
        for place in [30, 59] {
            var polls = Self.live(0..<60)
            polls[place].observedAt = future
            let (timeline, facts) = told(polls)
            #expect(timeline.end == polls[place == 59 ? 58 : 59].observedAt)
            #expect(timeline.findings.map(\.kind) == [.timeAhead] && timeline.undated == 1)
            #expect(timeline.violations.count == 1 && timeline.gaps.isEmpty)
            #expect(facts["observedAt"] == timeline.end.map(Facts.Value.moment))
            #expect(facts.number("tickRatePerSecond").map { abs($0 - 1) < 0.2 } == true)
        }
        // Five days later, with records after it and without.
        for count in [1, 3] {
            let polls = Self.live(0..<30) + Self.live(7200..<(7200 + count))
            let (timeline, facts) = told(polls)
            #expect(timeline.end == polls.last?.observedAt)
            #expect(facts["observedAt"] == timeline.end.map(Facts.Value.moment))
            #expect(timeline.findings.map(\.kind) == [.gap], "\(timeline.findings)")
        }
    }

    @Test func memoryIsBounded() {
        var limits = TimelineBuilder.Limits()
        (limits.capacity, limits.findingsPerKind) = (100, 5)
        let found = timeline(
            (0..<1000).map { goodStats(at: thursday + Double(60 * $0), tick: 81_669_123 - $0) }, limits: limits)
        #expect(found.points.count == 100)
        #expect(found.dropped == 900)
        #expect(found.points.last?.snapshot.tick == 81_669_123 - 999)
        #expect(found.findings.count { $0.kind == .tickBackwards } == 5)
        #expect(found.findingCounts[.tickBackwards] == 999)
    }

    /// Whatever is fed in, nothing is lost, the order is that of time, and counts are those of the findings.
    @Test func propertiesOfRandomTimelines() {
        var random = SplitMix64(seed: 6)
        for round in 0..<200 {
            let snapshots = (0..<Int.random(in: 0...60, using: &random)).map { _ in
                var snapshot = goodStats(
                    at: thursday + Double(Int.random(in: -100_000...100_000, using: &random)),
                    tick: Int.random(in: 0...4_294_967_295, using: &random),
                    ticks: Int.random(in: 0...3, using: &random), empty: Int.random(in: 0...4, using: &random))
                if Bool.random(using: &random) { snapshot.epoch = Int.random(in: 0...65_535, using: &random) }
                if Bool.random(using: &random) { snapshot.priceUSD = Double.random(in: 0...1e6, using: &random) }
                if Int.random(in: 0...4, using: &random) == 0 {
                    (snapshot.observedAt, snapshot.reportedAt) = (nil, nil)
                }
                if Int.random(in: 0...4, using: &random) == 0 { snapshot.failure = .init(kind: .noAnswer) }
                if snapshot.ticksInEpoch == 0 { snapshot.epochTickQualityPercent = nil }
                return snapshot
            }
            let found = timeline(snapshots)
            #expect(found.points.reduce(0) { $0 + $1.polls } + found.undated == snapshots.count, "round \(round)")
            #expect(found.points.count + found.folded + found.undated == snapshots.count, "round \(round)")
            #expect(found.points.map(\.at) == found.points.map(\.at).sorted(), "round \(round)")
            #expect(found.findingCounts.values.reduce(0, +) >= found.findings.count, "round \(round)")
            let facts = Facts(found)
            for name in facts.names {
                if case .decimal(let value) = facts[name] { #expect(value.isFinite, "round \(round): \(name)") }
            }
            let report = TimelineReport(timeline: found, scrubbed: Scrubbed(), aside: 0)
            #expect(report.text.contains("\(snapshots.count) records"))
            _ = report.json.serialized()
        }
    }

    @Test func hostileNumbersAreFindingsOfTheirRecord() throws {
        var builder = TimelineBuilder()
        for bad in ["-5", "1e30", "\"NaN\"", "\"1e30\"", "[]", "NaN", "4294967296"] {
            let items = try read(
                Data(
                    #"{"observed_at":"2026-09-18T21:53:48Z","endpoint":"/v1/tick-info","raw_payload":{"tickInfo":{"tick":\#(bad),"epoch":231}}}"#
                        .utf8))
            for item in items { builder.add(item) }
        }
        let found = builder.finish()
        #expect(found.findingCounts == [.unreadableRecord: 7])
        #expect(found.points.isEmpty)
    }
}
