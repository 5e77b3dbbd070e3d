import Foundation

/// The report as Markdown (GitHub's tables).
public enum MarkdownReport {
    public static func markdown(_ results: BenchmarkResults, _ evaluation: KPIEvaluation) -> String {
        let text = ReportText(results, evaluation)
        let md = Escape.markdown
        var out = "# \(md(results.model.name)): \(evaluation.headline)\n\n"
        out += "\(md(results.model.scheme)) · \(text.setup) · \(text.extent) · \(md(results.startedAt))\n\n"

        out += table(
            ["verdict", "target", "measured", "must be", "margin", "remark"],
            evaluation.results.map { r in
                [
                    mark(r.verdict), md(r.name), md(r.measuredText ?? "—"), md(r.targetText), md(r.marginText ?? "—"),
                    md(r.remark ?? ""),
                ]
            }, right: [2, 3, 4])
        if evaluation.results.isEmpty { out += "No targets were given.\n\n" }

        out += "## Throughput and success\n\n"
        let s = text.summary
        out += table(
            ["figure", "value"],
            [
                ["requests", Format.grouped(Double(s.requests))], ["succeeded", Format.grouped(Double(s.succeeded))],
                ["success", s.successRate.map(Format.percent) ?? "—"],
                [
                    "95 % interval",
                    s.successInterval.map { "\(Format.percent($0.low)) – \(Format.percent($0.high))" } ?? "—",
                ],
                ["throughput", s.requestsPerSecond.map { Format.value($0, .requestRate) } ?? "—"],
                ["output", s.outputTokensPerSecond.map { Format.value($0, .tokenRate) } ?? "—"],
                ["prompt", s.promptTokensPerSecond.map { Format.value($0, .tokenRate) } ?? "—"],
                ["in the system at once, at most", s.peakInSystem.map { Format.grouped(Double($0)) } ?? "—"],
            ], right: [1])
        if !text.failures.isEmpty {
            out += "### Not succeeded\n\n"
            out += table(
                ["reason", "requests"], text.failures.prefix(20).map { [md($0.reason), "\($0.count)"] }, right: [1])
        }

        out += "## Times\n\n"
        if text.timeRows.isEmpty {
            out += "No times were recorded.\n\n"
        } else {
            out += table(
                [""] + ReportText.timeColumns, text.timeRows.map { [$0.name] + text.timeCells($0.values) },
                right: Set(1...ReportText.timeColumns.count))
        }

        out += "## Stages\n\n"
        if results.stages.isEmpty {
            out += "No stages were recorded.\n\n"
        } else {
            out += table(
                ["stage"] + ReportText.stageColumns,
                results.stages.map { stage in ["\(stage.index)"] + text.stageCells(stage).map(md) },
                right: Set(2...ReportText.stageColumns.count))
        }

        out += "## Accuracy and agreement\n\n"
        if results.quality.isEmpty {
            out += "Not measured.\n\n"
        } else {
            out += table(
                ["measure", "kind", "value", "95 % interval", "n", "note"],
                results.quality.map { q in
                    [
                        md(q.title), q.kind.rawValue, Format.percent(q.value),
                        q.interval.map { "\(Format.percent($0.low)) – \(Format.percent($0.high))" } ?? "—",
                        q.count.map { Format.grouped(Double($0)) } ?? "—", md(q.note ?? ""),
                    ]
                }, right: [2, 3, 4])
        }

        out += results.tasks.map(tasks) ?? ""

        for (title, facts) in [
            ("Machine", text.machineFacts), ("Model", text.modelFacts), ("Run", text.runFacts),
        ] {
            out += "## \(title)\n\n"
            out += table(["", ""], facts.compactMap { name, value in value.map { [name, md($0)] } }, right: [])
        }
        if !results.notes.isEmpty {
            out += "## Notes\n\n" + results.notes.map { "- \(md($0))\n" }.joined() + "\n"
        }
        out += "## Words\n\n" + text.definitions.map { "- **\(md($0.0))**: \(md($0.1))\n" }.joined()
        return out
    }

    private static func mark(_ verdict: KPIVerdict) -> String {
        switch verdict {
        case .pass: "✓ pass"
        case .fail: "✗ **fail**"
        case .notMeasured: "– not measured"
        }
    }

    static func table(_ header: [String], _ rows: [[String]], right: Set<Int>) -> String {
        guard !rows.isEmpty else { return "" }
        func line(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |\n" }
        let rule = header.indices.map { right.contains($0) ? "---:" : "---" }
        return line(header) + line(rule) + rows.map(line).joined() + "\n"
    }
}
