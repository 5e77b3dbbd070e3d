import Foundation
import Reporting
import Testing

#if canImport(FoundationXML)
    import FoundationXML
#endif

struct WriterTests {
    private let hostile =
        "</script><script>alert(1)</script><!-- \"'&|` \u{1B}[31m \u{202E}x\u{0}\u{2028} [a](javascript:b) ]]>"

    private func hostileResults() throws -> BenchmarkResults {
        var results = Fixture.results(count: 70, failed: 1, name: hostile, targets: try KPIFile.read(Fixture.kpi))
        results.requests[0].id = hostile
        results.requests[69].error = hostile
        results.stages[0].layers = hostile
        results.quality[0].title = hostile
        results.quality[0].note = hostile
        results.notes = [hostile]
        results.machine.cpu = hostile
        results.configuration.dataset.path = hostile
        results.targets[0].title = hostile
        results.targets[0].note = hostile
        results.tool.commit = hostile
        results.startedAt = hostile
        return results
    }

    private func html(_ results: BenchmarkResults, library: String = "/* Chart.js v3.9.1 */") throws -> String {
        try HTMLReport.html(results, KPIEvaluation(results), chartLibrary: library)
    }

    @Test func htmlHoldsHostileNamesAsText() throws {
        let page = try html(
            hostileResults(), library: "/* Chart.js v3 */ var s = '</SCRIPT>';\n//# sourceMappingURL=x.map")
        #expect(page.components(separatedBy: "</script").count == 4, "three scripts end, and none more")
        #expect(page.lowercased().components(separatedBy: "<script").count == 4)
        #expect(!page.contains("<script>alert") && !page.contains("<!--") && !page.contains("sourceMappingURL"))
        #expect(!page.contains("\u{1B}") && !page.contains("\u{202E}") && !page.contains("\u{0}"))
        #expect(page.contains("&lt;/script&gt;&lt;script&gt;alert(1)"))
        // The data is JSON still, and says what it said.
        let begin = try #require(page.range(of: "id=\"data\">")).upperBound
        let end = try #require(page.range(of: "</script>", range: begin..<page.endIndex)).lowerBound
        #expect(!page[begin..<end].contains("<"))
        let data = try JSONSerialization.jsonObject(with: Data(page[begin..<end].utf8)) as? [String: Any]
        let timeline = try #require(data?["timeline"] as? [String: Any])
        #expect((timeline["ids"] as? [String])?.first?.contains("</script>") == true)
    }

    @Test func htmlFetchesNothing() throws {
        let page = try html(Fixture.results(targets: try KPIFile.read(Fixture.kpi)))
        for pattern in ["http://", "https://", "src=\"", "@import", "url("] {
            #expect(!page.contains(pattern), "\(pattern)")
        }
        #expect(page.contains("default-src 'none'"))
        #expect(page.range(of: "class=\"verdicts\"")!.lowerBound < page.range(of: "<h2>Latency</h2>")!.lowerBound)
    }

    @Test func reportsOfNothing() throws {
        var empty = Fixture.results(count: 0)
        empty.stages = []
        empty.quality = []
        empty.wallSeconds = 0
        let page = try html(empty)
        #expect(page.contains("No targets were given.") && page.contains("No times were recorded."))
        #expect(MarkdownReport.markdown(empty, KPIEvaluation(empty)).contains("No times were recorded."))
        var one = Fixture.results(count: 1)
        one.requests[0].totalMs = 0
        one.requests[0].ttftMs = 0
        _ = try html(one)
    }

    @Test func chartLibraryMustBeThere() throws {
        try Fixture.temporary { directory in
            let file = directory.appendingPathComponent("chart.js")
            #expect(
                failure { _ = try HTMLReport.chartLibrary(at: file) }?.contains("apt-get install libjs-chart.js")
                    == true)
            try Data("alert(1)".utf8).write(to: file)
            #expect(failure { _ = try HTMLReport.chartLibrary(at: file) }?.contains("is not the Chart.js") == true)
            let output = directory.appendingPathComponent("out")
            #expect(failure { try ReportFiles.write(Fixture.results(), to: output, chartLibrary: file) } != nil)
            #expect(!FileManager.default.fileExists(atPath: output.path), "nothing was begun")
        }
    }

    @Test func markdownKeepsItsTables() throws {
        let results = try hostileResults()
        let text = MarkdownReport.markdown(results, KPIEvaluation(results))
        #expect(!text.contains("<script") && !text.contains("\u{1B}") && !text.contains("[a]("))
        // Each table's rows have as many bars as its head.
        var bars: Int?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            guard line.hasPrefix("|") else {
                bars = nil
                continue
            }
            let count = line.replacingOccurrences(of: "\\|", with: "").count { $0 == "|" }
            if let bars { #expect(bars == count, "\(line)") } else { bars = count }
        }
        #expect(text.contains("\n| ✗ **fail** |") || text.contains("\n| ✓ pass |"))
    }

    @Test func junitHasACaseForEachTarget() throws {
        final class Reader: NSObject, XMLParserDelegate {
            var cases: [String] = []
            var skipped = 0
            var failures: [String] = []
            var suite: [String: String] = [:]
            func parser(
                _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
                attributes: [String: String]
            ) {
                switch name {
                case "testsuite": suite = attributes
                case "testcase": cases.append(attributes["name"] ?? "")
                case "skipped": skipped += 1
                case "failure": failures.append(attributes["message"] ?? "")
                default: break
                }
            }
        }
        for results in [Fixture.results(targets: try KPIFile.read(Fixture.kpi)), try hostileResults()] {
            let evaluation = KPIEvaluation(results)
            let parser = XMLParser(data: Data(JUnitReport.xml(evaluation, results: results).utf8))
            let reader = Reader()
            parser.delegate = reader
            #expect(parser.parse(), "\(String(describing: parser.parserError))")
            #expect(reader.cases == evaluation.results.map(\.target.id))
            #expect(reader.skipped == evaluation.notMeasured && reader.failures.count == evaluation.failed)
            #expect(reader.suite["failures"] == "\(evaluation.failed)" && reader.suite["tests"] == "12")
        }
    }

    @Test func terminalTable() throws {
        var results = Fixture.results(targets: try KPIFile.read(Fixture.kpi))
        results.targets = Array(results.targets.prefix(2)) + [results.targets[6]]
        results.targets[1].title = "吞吐量"
        let evaluation = KPIEvaluation(results)
        #expect(
            VerdictTable.text(evaluation) == """
                      target               measured            must be  margin
                FAIL  Latency, p99           6.93 s           < 2.00 s  −246 %
                FAIL  吞吐量        10.0 requests/s  > 10.0 requests/s   0.0 %
                n/m   Availability                —           > 99.5 %       —
                      the run did not record it

                0 passed, 2 failed, 1 not measured

                """)
        #expect(VerdictTable.text(KPIEvaluation(Fixture.results())).hasPrefix("No targets were given"))
        #expect(VerdictTable.text(evaluation, colour: true).contains("\u{1B}[31mFAIL"))
        let attack = try hostileResults()
        #expect(!VerdictTable.text(KPIEvaluation(attack)).contains("\u{1B}"))
        #expect(VerdictTable.wantsColour(isTerminal: true, environment: ["TERM": "xterm"]))
        #expect(VerdictTable.wantsColour(isTerminal: true, environment: ["NO_COLOR": ""]))
        #expect(!VerdictTable.wantsColour(isTerminal: true, environment: ["NO_COLOR": "1"]))
        #expect(!VerdictTable.wantsColour(isTerminal: false, environment: [:]))
    }

    @Test func filesOfAReport() throws {
        try Fixture.temporary { directory in
            let library = directory.appendingPathComponent("chart.js")
            try Data("/* Chart.js v3.9.1 */".utf8).write(to: library)
            let output = directory.appendingPathComponent("a/b")
            let results = Fixture.results(count: 5)
            let written = try ReportFiles.write(results, to: output, chartLibrary: library)
            #expect(written.map(\.lastPathComponent) == ReportFiles.names)
            let said = failure { try ReportFiles.write(results, to: output, chartLibrary: library) }
            #expect(said?.contains("exists already") == true && said?.contains("--force") == true)
            // The recorded file itself is left alone.
            let source = output.appendingPathComponent("results.json")
            try Data("untouched".utf8).write(to: source)
            try ReportFiles.write(results, to: output, source: source, overwrite: true, chartLibrary: library)
            #expect(try String(contentsOf: source, encoding: .utf8) == "untouched")
            #expect(
                failure { try ReportFiles.write(results, to: library, chartLibrary: library) }?.contains(
                    "is not a directory") == true)
        }
    }

    @Test(arguments: [
        (0.0, "0 ms"), (0.25, "250 µs"), (3.14159, "3.14 ms"), (99.96, "100 ms"), (999.6, "1.00 s"), (1999.6, "2.00 s"),
        (125_400, "2 min 5 s"), (9_000_000, "2.50 h"),
    ])
    func durations(_ milliseconds: Double, _ text: String) { #expect(Format.duration(milliseconds) == text) }

    @Test func numbers() {
        #expect(Format.percent(0.99999) == "99.99 %", "never rounded up to all")
        #expect(Format.percent(1) == "100 %")
        #expect(Format.percent(0.8505) == "85.0 %" || Format.percent(0.8505) == "85.1 %")
        #expect(
            Format.grouped(1_036_519) == "1 036 519" && Format.grouped(999) == "999"
                && Format.grouped(-1000) == "−1 000")
        #expect(Format.bytes(6e9) == "6.00 GB" && Format.bytes(0) == "0 B" && Format.bytes(1_500) == "1.50 kB")
        #expect(Format.signedPercent(0.384) == "+38 %" && Format.points(-0.052) == "−5.2 points")
    }
}
