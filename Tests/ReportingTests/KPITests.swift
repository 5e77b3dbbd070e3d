import Foundation
import Reporting
import Testing

struct KPITests {
    private func parse(_ body: String) throws -> [KPITarget] { try KPIFile.parse(body, place: "kpi.yaml") }

    @Test func readsTheProjectsTargets() throws {
        let targets = try KPIFile.read(Fixture.kpi)
        let found = targets.map { "\($0.metric.rawValue) \($0.comparison.symbol) \($0.value)" }
        #expect(
            found == [
                "latency < 2000.0", "throughput > 10.0", "quality > 0.85", "quality > 0.85", "quality ≥ 0.99",
                "success > 0.95", "availability > 0.995",
                "concurrent > 100.0", "utilization > 0.7", "trace-completeness ≥ 1.0", "memory-per-node < 6000000000.0",
                "queries-per-day > 20000.0",
            ])
        #expect(targets[0].percentile == "p99" && targets[0].fallback == ["p95", "p90"])
    }

    @Test(arguments: [
        ("", "is empty"),
        ("version: 1\n", "targets is missing"),
        ("targets: {}\n", "version is missing"),
        ("version: 2\ntargets: {}\n", "version 1, got 2"),
        ("version: 1\ntargets: {}\n", "no target"),
        ("version: 1\ntargets: [1]\n", "kpi.yaml:2: targets is no mapping"),
        ("version: 1\nsurprise: 1\ntargets: {}\n", "kpi.yaml:2: unknown key"),
        ("version: 1\nversion: 1\n", "twice"),
        (
            "version: 1\ntargets:\n  a: {metric: latency, percentile: p99, below: 2 s}\n  a: {metric: success, above: 1 %}\n",
            "kpi.yaml:"
        ),
        ("version: 1\ntargets:\n  a:\n    metric: speed\n    below: 2 s\n", "kpi.yaml:4: unknown metric"),
        ("version: 1\ntargets:\n  a:\n    metric: success\n    abvoe: 95 %\n", "kpi.yaml:5: unknown key"),
        ("version: 1\ntargets:\n  a:\n    metric: success\n    above: 95\n", "kpi.yaml:5: a bound without a unit"),
        ("version: 1\ntargets:\n  a:\n    metric: success\n    above: 95 s\n", "kpi.yaml:5: a bound without a unit"),
        ("version: 1\ntargets:\n  a:\n    metric: success\n    above: 101 %\n", "kpi.yaml:5: a share above 100 %"),
        ("version: 1\ntargets:\n  a:\n    metric: memory-per-node\n    below: -6 GB\n", "kpi.yaml:5: not a quantity"),
        ("version: 1\ntargets:\n  a:\n    metric: memory-per-node\n    below: nan GB\n", "kpi.yaml:5: not a quantity"),
        (
            "version: 1\ntargets:\n  a:\n    metric: memory-per-node\n    below: 1e400 GB\n",
            "kpi.yaml:5: not a quantity"
        ),
        ("version: 1\ntargets:\n  a:\n    metric: memory-per-node\n    below: 0 GB\n", "kpi.yaml:5: not a quantity"),
        (
            "version: 1\ntargets:\n  a:\n    metric: success\n    above: 95 %\n    below: 97 %\n",
            "kpi.yaml:6: a has two bounds"
        ),
        ("version: 1\ntargets:\n  a:\n    metric: success\n", "kpi.yaml:3: a has no bound"),
        ("version: 1\ntargets:\n  a:\n    metric: latency\n    below: 2 s\n", "kpi.yaml:3: a has no percentile"),
        (
            "version: 1\ntargets:\n  a:\n    metric: latency\n    percentile: p100\n    below: 2 s\n",
            "kpi.yaml:5: not a percentile"
        ),
        (
            "version: 1\ntargets:\n  a:\n    metric: latency\n    percentile: p90\n    fallback: [p99]\n    below: 2 s\n",
            "kpi.yaml:6: fallbacks go down"
        ),
        (
            "version: 1\ntargets:\n  a:\n    metric: success\n    percentile: p90\n    above: 2 %\n",
            "kpi.yaml:5: success has no percentiles"
        ),
        (
            "version: 1\ntargets:\n  a:\n    metric: quality\n    above: 2 %\n",
            "kpi.yaml:3: a does not say which quality"
        ),
        ("version: 1\ntargets:\n  \"<b>\": {metric: success, above: 2 %}\n", "kpi.yaml:3: not a target's name"),
        ("version: 1\n  targets: [\n", "kpi.yaml:"),
        ("\u{0}\u{1}", "is not valid YAML"),
    ])
    func refuses(_ yaml: String, _ wording: String) {
        let said = failure { _ = try parse(yaml) }
        #expect(said?.contains(wording) == true, "\(yaml) → \(said ?? "accepted")")
    }

    @Test func refusesHostileFiles() throws {
        try Fixture.temporary { directory in
            #expect(failure { _ = try KPIFile.read(directory) }?.contains("is a directory") == true)
            let file = directory.appendingPathComponent("kpi.yaml")
            #expect(failure { _ = try KPIFile.read(file) }?.contains("no such file") == true)
            try Data([0x61, 0x3A, 0x20, 0xFF, 0xFE]).write(to: file)
            let said = failure { _ = try KPIFile.read(file) }
            #expect(said?.contains("not UTF-8") == true && said?.contains("near byte") == true, "\(said ?? "")")
            try Data(repeating: 0x20, count: (1 << 20) + 1).write(to: file)
            #expect(failure { _ = try KPIFile.read(file) }?.contains("too large") == true)
            // Every alias of an alias nine deep: expanded, a billion elements.
            var laughs = "version: 1\na0: &a0 [x, x]\n"
            for i in 1...40 { laughs += "a\(i): &a\(i) [*a\(i - 1), *a\(i - 1)]\n" }
            #expect(failure { _ = try parse(laughs + "targets: *a40\n") } != nil)
            #expect(failure { _ = try parse(String(repeating: "[", count: 100_000)) } != nil)
        }
    }

    @Test func evaluatesWhatWasMeasured() throws {
        let results = Fixture.results(targets: try KPIFile.read(Fixture.kpi))
        let evaluation = KPIEvaluation(results)
        let found = Dictionary(uniqueKeysWithValues: evaluation.results.map { ($0.target.id, $0) })
        // Totals are 10…7000 ms: the nearest rank of p99 among 700 is the 693rd.
        #expect(found["latency"]?.measured == 6930 && found["latency"]?.verdict == .fail)
        #expect(found["latency"]?.percentile == "p99")
        #expect(abs(found["latency"]!.margin! - (2000 - 6930) / 2000) < 1e-12)
        // 10 requests/s is not more than 10.
        #expect(found["throughput"]?.measured == 10 && found["throughput"]?.verdict == .fail)
        #expect(found["accuracy"]?.verdict == .pass && found["accuracy"]?.name == "Accuracy (agreement)")
        #expect(found["accuracy"]?.remark?.contains("not accuracy") == true)
        #expect(found["accuracy"]?.remark?.contains("interval holds the target") == true)
        #expect(found["success"]?.measured == 1 && found["success"]?.verdict == .pass)
        #expect(found["availability"]?.verdict == .notMeasured && found["availability"]?.measured == nil)
        #expect(found["trace"]?.verdict == .notMeasured)
        #expect(abs(found["utilization"]!.measured! - 0.8) < 1e-12)
        #expect(found["memory"]?.measured == 300)
        #expect(found["queries-per-day"]?.measured == 864_000)
        #expect(found["concurrent"]?.measured == 64, "at 69.9 s those that came after 63.5 s are there")
        #expect(evaluation.verdict == .fail)
        #expect(evaluation.headline == "5 passed, 3 failed, 4 not measured")
    }

    @Test func saysWhichPercentileItJudged() throws {
        let targets = try KPIFile.read(Fixture.kpi)
        func latency(_ count: Int) -> KPIResult {
            KPIEvaluation(Fixture.results(count: count), targets: targets).results[0]
        }
        #expect(latency(661).percentile == "p95" && latency(661).remark?.contains("p99 needs 662") == true)
        #expect(latency(64).percentile == "p90")
        #expect(latency(64).name == "Latency, p90")
        #expect(latency(63).verdict == .notMeasured && latency(63).measured == nil)
        #expect(latency(63).remark?.contains("63 samples are too few") == true)
    }

    @Test func nothingMeasuredNeverPasses() throws {
        var empty = Fixture.results(count: 0, targets: try KPIFile.read(Fixture.kpi))
        empty.stages = []
        empty.quality = []
        let evaluation = KPIEvaluation(empty)
        #expect(evaluation.results.allSatisfy { $0.verdict == .notMeasured && $0.measured == nil && $0.remark != nil })
        #expect(evaluation.verdict == .notMeasured)
        #expect(KPIEvaluation(Fixture.results()).verdict == .notMeasured, "no targets, no pass")
        // Half of the stages is not the whole.
        var partial = Fixture.results(targets: try KPIFile.read(Fixture.kpi))
        partial.stages[1].utilization = nil
        partial.stages[1].peakBytes = nil
        let found = KPIEvaluation(partial).results.filter { ["utilization", "memory"].contains($0.target.id) }
        #expect(found.allSatisfy { $0.verdict == .notMeasured && $0.remark!.contains("not every stage") })
        let offline = KPIEvaluation(Fixture.results(scenario: .offline, targets: try KPIFile.read(Fixture.kpi)))
        #expect(offline.results.first { $0.target.id == "concurrent" }?.verdict == .notMeasured)
    }
}
