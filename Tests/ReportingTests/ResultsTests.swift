import Foundation
import Reporting
import Testing

struct ResultsTests {
    @Test func roundTripsAndIsStable() throws {
        var results = Fixture.results(count: 20, failed: 2, targets: try KPIFile.read(Fixture.kpi), noise: 0.02)
        results.notes = ["</script> \u{2028} 網路"]
        let data = try results.json()
        #expect(try BenchmarkResults(json: data, place: "x") == results)
        #expect(try results.json() == data)
        let text = String(decoding: data, as: UTF8.self)
        #expect(text.contains("\"schema\" : {\n    \"name\" : \"qubic-benchmark-results\",\n    \"version\" : 1"))
        #expect(text.contains("\"verdicts\"") && text.contains("\"summary\""))
        // Absent is absent: a failed request has no TTFT, and none is written.
        let last = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        let requests = try #require(last?["requests"] as? [[String: Any]])
        #expect(requests[19]["ttftMs"] == nil && requests[19]["error"] as? String == "broken")
    }

    @Test func readsWhatAnotherProgramWrote() throws {
        let python = Process()
        python.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        python.arguments = ["python3", Fixture.url("make_results.py").path, "200"]
        let pipe = Pipe()
        python.standardOutput = pipe
        try python.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        python.waitUntilExit()
        let results = try BenchmarkResults(json: data, place: "made up")
        #expect(results.requests.count == 200 && results.stages[2].handedOverBytes == nil)
        #expect(BenchmarkSummary(results).ttft!.p90! > 0)
    }

    @Test func derivesFromSamples() {
        let summary = BenchmarkSummary(Fixture.results(count: 100, failed: 10))
        #expect(summary.succeeded == 90 && summary.successRate == 0.9)
        #expect(summary.requestsPerSecond == 9 && summary.queriesPerDay == 777_600)
        #expect(summary.outputTokensPerSecond == 45 && summary.promptTokensPerSecond == 360)
        #expect(summary.total?.count == 90 && summary.total?.max == 900 && summary.total?.p90 == 810)
        #expect(summary.total?.p95 == nil, "90 samples claim no p95")
        #expect(summary.memoryPerNodeBytes == 300)
        // (total − TTFT)/(tokens − 1) of the first: (10 − 3)/4.
        #expect(summary.tpot?.min == 1.75)
        #expect(RequestSample(id: "a", status: .succeeded, totalMs: 9, ttftMs: 4, outputTokens: 1).tpotMs == nil)
        var silent = Fixture.results(count: 3)
        silent.requests[1].outputTokens = nil
        #expect(BenchmarkSummary(silent).outputTokensPerSecond == nil, "a part is not the whole")
        silent.wallSeconds = 0
        #expect(BenchmarkSummary(silent).requestsPerSecond == nil)
        let none = BenchmarkSummary(Fixture.results(count: 0))
        #expect(none.successRate == nil && none.total == nil && none.peakInSystem == nil)
    }

    @Test func refusesOtherFiles() throws {
        let good = String(decoding: try Fixture.results(count: 2).json(), as: UTF8.self)
        func said(_ text: String) -> String {
            failure { _ = try BenchmarkResults(json: Data(text.utf8), place: "r.json") } ?? "accepted"
        }
        #expect(said(good) == "accepted")
        #expect(said("") == "r.json: is empty; expected benchmark results")
        #expect(said("{}").contains("has no schema"))
        #expect(said("[]").contains("wrong type"))
        #expect(said("hello").contains("is not valid JSON"))
        #expect(said(String(good.prefix(good.count / 2))).contains("is not valid JSON"))
        #expect(said(String(repeating: "[", count: 100_000)).contains("is not valid JSON"))
        #expect(
            said(good.replacingOccurrences(of: "\"version\" : 1", with: "\"version\" : 2")).contains("version 1, got 2")
        )
        #expect(
            said(good.replacingOccurrences(of: "qubic-benchmark-results", with: "x")).contains("another kind of file"))
        #expect(
            said(good.replacingOccurrences(of: "\"wallSeconds\"", with: "\"wall\"")).contains(
                "r.json: wallSeconds: is missing"))
        #expect(
            said(good.replacingOccurrences(of: "\"id\" : \"r1\"", with: "\"id\" : 5")).contains(
                "requests[1].id: has the wrong type"))
        #expect(
            said(good.replacingOccurrences(of: "\"id\" : \"r1\"", with: "\"id\" : \"r0\"")).contains(
                "stands there twice"))
        #expect(
            said(good.replacingOccurrences(of: "\"queueMs\" : 1", with: "\"queueMs\" : -1")).contains(
                "requests[0].queueMs: is no measurement"))
        #expect(
            said(good.replacingOccurrences(of: "\"queueMs\" : 1", with: "\"queueMs\" : 1e300")).contains(
                "is no measurement"))
        #expect(
            said(good.replacingOccurrences(of: "\"promptTokens\" : 40", with: "\"promptTokens\" : 9223372036854775807"))
                .contains("is no count"))
        #expect(
            said(good.replacingOccurrences(of: "\"utilization\" : 0.9", with: "\"utilization\" : 1.1")).contains(
                "is no share"))
        let invalid = failure { _ = try BenchmarkResults(json: Data([0x7B, 0x22, 0xFF, 0x22, 0x7D]), place: "r.json") }
        #expect(invalid?.hasPrefix("r.json") == true)
        var nan = Fixture.results(count: 2)
        nan.requests[0].totalMs = .nan
        #expect(failure { _ = try nan.json() }?.contains("requests[0].totalMs: is no measurement") == true)
        try Fixture.temporary { directory in
            #expect(failure { _ = try BenchmarkResults(contentsOf: directory) }?.contains("is a directory") == true)
            // Enormous, without taking the disk: a hole.
            let huge = directory.appendingPathComponent("huge.json")
            try Data().write(to: huge)
            let handle = try FileHandle(forWritingTo: huge)
            try handle.truncate(atOffset: 3 << 30)
            try handle.close()
            #expect(failure { _ = try BenchmarkResults(contentsOf: huge) }?.contains("too large") == true)
        }
    }

    @Test func knowsThisMachine() {
        let machine = Machine.current(kernelSet: nil)
        #expect(machine.cores > 0 && !machine.architecture.isEmpty && !machine.operatingSystem.isEmpty)
        #if os(Linux)
            #expect(machine.memoryBytes ?? 0 > 1 << 20)
        #endif
    }
}
