import Foundation
import QDashboard
import Runtime
import Testing

/// Random valid snapshots, written as a source serves them and read again.
@Suite struct RoundTripTests {
    @Test(arguments: Snapshot.Kind.allCases) func recordsReadBackTheSame(kind: Snapshot.Kind) throws {
        try withFolder { folder in
            var generator = SplitMix64(seed: 7)
            let snapshots = (0..<300).map { _ in Self.random(kind, &generator) }
            var data = Data()
            for (index, snapshot) in snapshots.enumerated() {
                data += snapshot.record(id: "r\(index)").serialized(indent: nil) + [0x0A]
            }
            let url = folder.appending(path: "a.jsonl")
            try data.write(to: url)
            let items = try all(try RequestReader(paths: [url.path]))
            try #require(items.count == snapshots.count)
            for (index, (item, snapshot)) in zip(items, snapshots).enumerated() {
                #expect(item.rejection == nil, "\(kind) \(index) seed 7")
                #expect(item.request?.snapshot == snapshot, "\(kind) \(index) seed 7")
                #expect(item.request?.id == "r\(index)")
            }
        }
    }

    @Test(arguments: [Snapshot.Kind.latestStats, .tickInfo, .status, .latestTick, .dashboardTick, .dashboardStats])
    func bareBodiesReadBackTheSame(kind: Snapshot.Kind) throws {
        var generator = SplitMix64(seed: 8)
        for index in 0..<100 {
            var expected = Self.random(kind, &generator)
            (expected.observedAt, expected.endpoint) = (nil, nil)
            if expected.failure?.kind == .noAnswer { expected.failure = nil }
            if expected.failure?.kind == .rpcError { expected.kind = .failure }
            if expected.failure == nil { Self.measure(&expected, &generator) }
            let text = String(decoding: expected.body.serialized(indent: nil), as: UTF8.self)
            #expect(try snapshot(text) == expected, "\(kind) \(index) seed 8: \(text)")
        }
    }

    /// What that kind of body can say, each part there or not.
    static func random(_ kind: Snapshot.Kind, _ g: inout SplitMix64) -> Snapshot {
        var s = Snapshot(kind: kind)
        if Bool.random(using: &g) {
            // Quarters of a microsecond are not kept; whole ones are, as far as a double holds them.
            let text = Timestamp.text(
                Date(timeIntervalSince1970: Double.random(in: 1.6e9..<2e9, using: &g)), microseconds: true)
            s.observedAt = Timestamp.iso8601(text)
        }
        s.endpoint = endpoint[kind]
        if kind == .failure || (endpoint[kind] != nil && Int.random(in: 0..<5, using: &g) == 0) {
            var kinds: [SourceFailure.Kind] = [.rpcError, .noAnswer]
            if kind == .dashboardTick { kinds += [.dashboardError, .noComputorList] }
            if kind == .dashboardStats { kinds += [.dashboardError] }
            if kind == .tickInfo { kinds += [.noComputorList] }
            let failure = kinds.randomElement(using: &g)!
            s.failure = SourceFailure(kind: failure)
            if failure == .rpcError { s.failure?.code = Int.random(in: -5...20, using: &g) }
            if failure != .noComputorList {
                s.failure?.message = "behind by \(Int.random(in: 0...9, using: &g)) \"ticks\" 健康"
            }
            return s
        }
        measure(&s, &g)
        return s
    }

    private static let endpoint: [Snapshot.Kind: String] = [
        .latestStats: "https://rpc.qubic.org/v1/latest-stats", .tickInfo: "/v1/tick-info", .status: "/v1/status",
        .latestTick: "/v1/latestTick", .dashboardTick: "http://localhost:5000/api/tick", .dashboardStats: "/api/stats",
    ]

    private static func measure(_ s: inout Snapshot, _ g: inout SplitMix64) {
        func maybe<T>(_ value: T) -> T? { Bool.random(using: &g) ? value : nil }
        func integer(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &g) }
        func decimal(_ range: ClosedRange<Double>) -> Double { Double.random(in: range, using: &g) }
        s.tick = integer(1...4_294_967_295)
        if s.kind == .latestTick { return }
        s.epoch = maybe(integer(1...65_535))
        if s.kind == .status { return }
        s.reportedAt = maybe(Date(timeIntervalSince1970: Double(integer(1_600_000_000...2_000_000_000))))
        if s.kind == .tickInfo || s.kind == .dashboardTick || s.kind == .networkStats {
            s.initialTick = maybe(integer(0...4_294_967_295))
            s.secondsSinceLastTick = maybe(integer(0...65_535))
        }
        if s.kind == .dashboardTick || s.kind == .networkStats {
            s.health = maybe(
                Snapshot.Health(overall: "緩慢", tick: maybe("正常"), epoch: nil, duration: maybe("a\"b\\c\u{7}")))
        }
        if s.kind == .tickInfo || s.kind == .dashboardTick { return }
        if s.kind == .dashboardStats { s.tick = nil }
        s.activeAddresses = integer(0...1_000_000)
        s.priceUSD = maybe(decimal(0...1e-4))
        s.marketCapUSD = maybe(decimal(0...1e9))
        s.circulatingSupplyQus = maybe(integer(0...1_000_000_000_000_000))
        s.burnedQus = maybe(integer(0...1_000_000_000_000_000))
        s.epochTickQualityPercent = maybe(decimal(1.5...100))
        if s.kind == .dashboardStats { return }
        s.ticksInEpoch = maybe(integer(0...2_000_000))
        s.emptyTicksInEpoch = maybe(integer(0...2_000_000))
        s.ticksInLast10000 = maybe(integer(0...10_000))
        s.emptyTicksInLast10000 = maybe(integer(0...10_000))
        s.last10000TickQualityPercent = maybe(decimal(0...100))
        guard s.kind == .epochSummary else { return }
        var summary = Snapshot.EpochSummary()
        summary.startedAt = maybe(Date(timeIntervalSince1970: Double(integer(1_600_000_000...2_000_000_000))))
        summary.meanSecondsPerTick = maybe(decimal(0...100))
        summary.tickGapBefore = maybe(integer(1...2_000_000))
        summary.transition = maybe(.cutover)
        summary.intervals = maybe(integer(1...4))
        summary.priceOpenUSD = maybe(decimal(0...1e-4))
        summary.priceCloseUSD = maybe(decimal(0...1e-4))
        summary.priceMeanUSD = maybe(decimal(0...1e-4))
        s.summary = summary
    }

    @Test func momentsAgreeWithPython() throws {
        for moment in try #require(try fixture("texts.json")["moments"]?.array) {
            let parts = try #require(moment.array)
            let date = try #require(Timestamp.iso8601(parts[0].string ?? ""), "\(parts[0])")
            #expect(date.timeIntervalSince1970 == parts[1].double, "\(parts[0])")
            #expect(Timestamp.text(date) == parts[2].string, "\(parts[0])")
        }
    }

    @Test(arguments: [
        "", "2026", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:00+25:00", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00Zx", "+2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00\0", "２０２６-01-01T00:00:00Z",
    ]) func noMoments(text: String) {
        #expect(Timestamp.iso8601(text) == nil)
    }
}
