import Foundation
import QDashboard
import Runtime
import Testing

/// The files of Datasets/recorded against what a Python script reads in them (Tests/Fixtures/qdashboard/make-golden.py).
@Suite struct RecordedFilesTests {
    static let names = [
        "dashboard", "epochs_104_231", "latest_stats", "network_stats", "poller", "tick_info",
    ].map { "\($0).jsonl" }

    @Test func everyRecordIsReadAsPythonReadsIt() throws {
        let golden = try #require(try fixture("recorded.json").array)
        let reader = try RequestReader(paths: Self.names.map { recorded.appending(path: $0).path })
        let items = try all(reader)
        #expect(items.compactMap(\.rejection) == [])
        let requests = items.compactMap(\.request)
        try #require(requests.count == golden.count)
        for (request, expected) in zip(requests, golden) {
            let place = "\(expected["file"]?.string ?? ""):\(expected["line"]?.int ?? 0)"
            #expect(request.origin.file.hasSuffix(expected["file"]?.string ?? "?"), "\(place)")
            #expect(request.origin.line == expected["line"]?.int, "\(place)")
            #expect(request.id == expected["id"]?.string, "\(place)")
            #expect(request.inputDigest == expected["digest"]?.string, "\(place)")
            let facts = Facts(request.snapshot)
            for (name, value) in expected["values"]?.object?.members ?? [] {
                #expect(number(name, facts, request.snapshot) == value.double, "\(place) \(name)")
            }
            for (name, text) in expected["texts"]?.object?.members ?? [] {
                #expect(
                    facts[name] == text.string.map { name == "transition" ? .word($0) : .text($0) }, "\(place) \(name)")
            }
            // Nothing more than Python found, apart from what is computed.
            let found = (expected["values"]?.object?.keys ?? []) + (expected["texts"]?.object?.keys ?? [])
            let computed = ["priceChangePercent", "healthTick", "healthEpoch", "healthDuration"]
            #expect(Set(facts.names).subtracting(computed).subtracting(found) == [], "\(place)")
        }
        #expect(reader.accepted == 141)
        #expect(reader.rejected == 0)
    }

    @Test func ordinalsCount() throws {
        let items = try all(try RequestReader(paths: Self.names.map { recorded.appending(path: $0).path }))
        #expect(items.compactMap(\.request).map(\.ordinal) == Array(0..<141))
    }

    @Test func kindsAreRecognised() throws {
        func kinds(_ name: String) throws -> [Snapshot.Kind] {
            try all(try RequestReader(paths: [recorded.appending(path: name).path])).compactMap(
                \.request?.snapshot.kind)
        }
        #expect(try kinds("latest_stats.jsonl") == [.latestStats, .latestStats])
        #expect(try kinds("tick_info.jsonl") == [.tickInfo, .tickInfo])
        #expect(try kinds("poller.jsonl") == [.tickInfo, .status])
        #expect(try kinds("dashboard.jsonl") == [.dashboardTick, .dashboardStats])
        #expect(Set(try kinds("epochs_104_231.jsonl")) == [.epochSummary])
        #expect(Set(try kinds("network_stats.jsonl")) == [.networkStats])
    }

    /// The numbers hold together as NOTES of the network say: a slip in the making of the files would show.
    @Test func invariantsHold() throws {
        for item in try all(try RequestReader(paths: [recorded.appending(path: "latest_stats.jsonl").path])) {
            let snapshot = try #require(item.request?.snapshot)
            let ticks = try #require(snapshot.ticksInEpoch)
            let empty = try #require(snapshot.emptyTicksInEpoch)
            let quality = try #require(snapshot.epochTickQualityPercent)
            #expect(abs(quality - 100 * Double(ticks - empty) / Double(ticks)) < 1e-4)
            let supply = try #require(snapshot.circulatingSupplyQus)
            #expect(snapshot.burnedQus == (snapshot.epoch ?? 0) * 1_000_000_000_000 - supply)
            let cap = try #require(snapshot.marketCapUSD)
            #expect(abs(cap / ((snapshot.priceUSD ?? 0) * Double(supply)) - 1) < 1e-6)
        }
    }

    private func number(_ name: String, _ facts: Facts, _ snapshot: Snapshot) -> Double? {
        switch name {
        case "ticksInLast10000": return snapshot.ticksInLast10000.map(Double.init)
        case "priceMeanUSD": return snapshot.summary?.priceMeanUSD
        default: break
        }
        switch facts[name] {
        case .integer(let value): return Double(value)
        case .decimal(let value): return value
        case .moment(let date): return date.timeIntervalSince1970
        default: return nil
        }
    }
}
