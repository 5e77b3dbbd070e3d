import Foundation

/// The page's sections. Everything that comes from a file passes `Escape.html`.
struct HTMLSections {
    let text: ReportText
    let data: ChartData

    var results: BenchmarkResults { text.results }
    private var summary: BenchmarkSummary { text.summary }
    private var evaluation: KPIEvaluation { text.evaluation }

    func e(_ value: String) -> String { Escape.html(value) }

    // MARK: Top

    var header: String {
        let tool = ["Benchmark report", results.startedAt, results.tool.commit.map { "commit \($0.prefix(12))" }]
            .compactMap { $0 }.joined(separator: " · ")
        let scoreClass = Self.style(evaluation.verdict)
        let judged = evaluation.results.count
        let score =
            judged == 0
            ? ""
            : """
            <div class="score \(scoreClass)">
              <div class="big">\(evaluation.passed)<small> of \(judged)</small></div>
              <p>targets met · \(evaluation.failed) failed · \(evaluation.notMeasured) not measured</p>
            </div>
            """
        let latency = summary.total.flatMap { best($0) }
        let first = summary.ttft.flatMap { best($0) }
        let figures: [(String, String?)] = [
            ("Latency\(latency.map { ", \($0.name)" } ?? "")", latency.map { Format.duration($0.value) }),
            ("Throughput", summary.requestsPerSecond.map { Format.value($0, .requestRate) }),
            ("First token\(first.map { ", \($0.name)" } ?? "")", first.map { Format.duration($0.value) }),
            ("Output", summary.outputTokensPerSecond.map { Format.value($0, .tokenRate) }),
        ]
        return """
            <div class="top"><p class="eyebrow">\(e(tool))</p><button class="theme" type="button" hidden>Dark</button></div>
            <header class="title">
            <div><h1>\(e(results.model.name))</h1>
            <p class="lede">\(e(results.model.scheme)) · \(e(text.setup)) · \(e(text.extent)), on \(e(results.machine.cpu ?? results.machine.architecture))</p></div>
            \(score)
            </header>
            <dl class="figures">\(figures.map { "<div><dt>\(e($0.0))</dt><dd>\(number($0.1))</dd></div>" }.joined())</dl>
            """
    }

    /// "10.2 requests/s" with the unit set smaller.
    private func number(_ value: String?) -> String {
        guard let value else { return "—" }
        guard let unit = value.lastIndex(of: " ") else { return e(value) }
        return "\(e(String(value[..<unit]))) <small>\(e(String(value[unit...].dropFirst())))</small>"
    }

    /// The highest percentile that the samples support.
    private func best(_ d: Distribution) -> (name: String, value: Double)? {
        for (name, value) in [("p99", d.p99), ("p95", d.p95), ("p90", d.p90), ("p50", d.p50)] {
            if let value { return (name, value) }
        }
        return nil
    }

    static func style(_ verdict: KPIVerdict) -> String {
        switch verdict {
        case .pass: "pass"
        case .fail: "fail"
        case .notMeasured: "open"
        }
    }

    var verdicts: String {
        guard !evaluation.results.isEmpty else {
            return section("Verdicts", "", "<p class=\"empty\">No targets were given.</p>")
        }
        let rows = evaluation.results.map { r in
            let remark = r.remark.map { "<p class=\"remark\">\(e($0))</p>" } ?? ""
            return """
                <tr><td class="badgecell"><span class="badge \(Self.style(r.verdict))">\(e(r.verdict.rawValue))</span></td>\
                <td class="what"><p class="name">\(e(r.name))</p>\(remark)</td>\
                <td class="n measured">\(e(r.measuredText ?? "—"))</td><td class="n goal">\(e(r.targetText))</td>\
                <td class="visual">\(gauge(r))</td><td class="n margin">\(e(r.marginText ?? ""))</td></tr>
                """
        }
        return section(
            "Verdicts", "What was not measured does not pass.",
            """
            <div class="card flush"><table class="verdicts">
            <thead><tr><th scope="col">Verdict</th><th scope="col">Target</th><th scope="col" class="n">Measured</th>\
            <th scope="col" class="n">Must be</th><th scope="col"><span hidden>Picture</span></th>\
            <th scope="col" class="n">Margin</th></tr></thead>
            <tbody>
            \(rows.joined(separator: "\n"))
            </tbody></table></div>
            """)
    }

    /// Measured against target, the target's mark in the middle; for shares on 0–100 %.
    private func gauge(_ r: KPIResult) -> String {
        guard let measured = r.measured, r.target.value > 0 else { return "" }
        let isShare = r.target.metric.dimension == .share
        let scale = isShare ? 1 : r.target.value * 2
        return """
            <div class="gauge \(Self.style(r.verdict))" aria-hidden="true"><i style="width:\(css(measured / scale))%"></i>\
            <b style="left:\(css(r.target.value / scale))%"></b></div>
            """
    }

    private func css(_ share: Double) -> String { Format.fixed(min(1, max(0, share)) * 100, 2) }

    // MARK: Times

    var latency: String {
        guard !text.timeRows.isEmpty else {
            return section("Latency", "", "<p class=\"empty\">No times were recorded.</p>")
        }
        let rows = text.timeRows.map { row in
            "<tr><th scope=\"row\">\(e(row.name))</th>"
                + text.timeCells(row.values).map { "<td>\(e($0))</td>" }.joined() + "</tr>"
        }
        let charts =
            data.histogram == nil
            ? ""
            : """
            <div class="pair">
            \(figure("cdf", "How many were answered in time", "Share of succeeded requests within each time"))
            \(figure("histogram", "Where the times lie", "Total time of succeeded requests"))
            </div>
            """
        return section(
            "Latency",
            "From arrival to last token, queueing included. A dash is a percentile that so few samples cannot tell.",
            """
            \(charts)
            <div class="card flush scroll"><table class="plain"><thead><tr><th scope="col">Time</th>\
            \(ReportText.timeColumns.map { "<th scope=\"col\">\(e($0))</th>" }.joined())</tr></thead>
            <tbody>\(rows.joined(separator: "\n"))</tbody></table></div>
            """)
    }

    var tokens: String {
        let charts = [
            data.prompts.isEmpty
                ? nil : figure("prompts", "First token against prompt length", "Each dot a request, queueing included"),
            data.tpot == nil
                ? nil : figure("tpot", "Time per output token", "After the first, requests with two or more"),
        ].compactMap { $0 }
        guard !charts.isEmpty else { return "" }
        return section("Tokens", "", "<div class=\"pair\">\(charts.joined(separator: "\n"))</div>")
    }

    var timeline: String {
        let shown = data.timeline.ids.count
        guard shown > 0 else { return "" }
        let recorded = results.requests.count { $0.arrivalMs != nil && $0.totalMs != nil }
        let about =
            shown < recorded
            ? "\(shown) of \(Format.grouped(Double(recorded))) requests in order of arrival: the slowest and its neighbours."
            : "Every request, in order of arrival."
        return section("Timeline", about, figure("timeline", "", "", size: "tall"))
    }

    // MARK: Stages and quality

    var stages: String {
        guard !results.stages.isEmpty else {
            return section("Stages", "", "<p class=\"empty\">No stages were recorded.</p>")
        }
        let target = evaluation.results.first { $0.target.metric == .utilization }?.target
        let goal = target.map { "<span class=\"goal\" style=\"left:\(css($0.value))%\"></span>" } ?? ""
        let bars = results.stages.compactMap { stage -> String? in
            guard let share = stage.utilization else { return nil }
            let layers = stage.layers.map { " <em>\(e($0))</em>" } ?? ""
            return """
                <div class="bar"><div class="label"><span>Stage \(stage.index)\(layers)</span><span>\(e(Format.percent(share)))</span></div>\
                <div class="track"><span class="fill" style="width:\(css(share))%"></span>\(goal)</div></div>
                """
        }
        let legend = target.map {
            "<p class=\"legend\"><i></i>target \(e($0.comparison.symbol)) \(e(Format.percent($0.value)))</p>"
        }
        let rows = results.stages.map { stage in
            let cells = text.stageCells(stage)
            return "<tr><th scope=\"row\">Stage \(stage.index)</th>"
                + cells.enumerated().map { "<td\($0.offset == 0 ? " class=\"words\"" : "")>\(e($0.element))</td>" }
                .joined()
                + "</tr>"
        }
        let columns = ReportText.stageColumns.enumerated().map {
            "<th scope=\"col\"\($0.offset == 0 ? " class=\"words\"" : "")>\(e($0.element))</th>"
        }
        return section(
            "Stages", "How much of the run each stage of the pipeline computed, and what it held.",
            """
            \(bars.isEmpty ? "" : "<div class=\"card\"><div class=\"bars\">\(bars.joined(separator: "\n"))</div>\(legend ?? "")</div>")
            <div class="card flush scroll"><table class="plain"><thead><tr><th scope="col">Stage</th>\(columns.joined())</tr></thead>
            <tbody>\(rows.joined(separator: "\n"))</tbody></table></div>
            """)
    }

    var quality: String {
        guard !results.quality.isEmpty else {
            return section("Accuracy and agreement", "", "<p class=\"empty\">Not measured.</p>")
        }
        let bars = results.quality.map { q in
            let goal =
                evaluation.results.first { $0.target.metric == .quality && $0.target.measure == q.name }
                .map { "<span class=\"goal\" style=\"left:\(css($0.target.value))%\"></span>" } ?? ""
            let range = q.interval.map {
                "<span class=\"range\" style=\"left:\(css($0.low))%;width:\(css($0.high - $0.low))%\"></span>"
            }
            let facts = [
                q.count.map { "\(Format.grouped(Double($0))) items" },
                q.interval.map { "95 % interval \(Format.percent($0.low)) – \(Format.percent($0.high))" }, q.note,
            ].compactMap { $0 }.joined(separator: " · ")
            return """
                <div class="bar"><div class="label"><span>\(e(q.title)) <em>\(e(q.kind.rawValue))</em></span>\
                <span>\(e(Format.percent(q.value)))</span></div>\
                <div class="track">\(range ?? "")<span class="dot" style="left:\(css(q.value))%"></span>\(goal)</div>\
                <p>\(e(facts))</p></div>
                """
        }
        let about =
            results.quality.contains { $0.kind == .agreement }
            ? "Agreement says how often two models give the same answer, not how often the answer is right." : ""
        return section(
            "Accuracy and agreement", about,
            "<div class=\"card\"><div class=\"bars\">\(bars.joined(separator: "\n"))</div></div>")
    }

    var failures: String {
        guard !text.failures.isEmpty else { return "" }
        let rows = text.failures.prefix(20).map {
            "<tr><td class=\"words\">\(e($0.reason))</td><td>\($0.count)</td></tr>"
        }
        return section(
            "Not succeeded", "",
            """
            <div class="card flush scroll"><table class="plain"><thead><tr><th scope="col">Reason</th>\
            <th scope="col">requests</th></tr></thead><tbody>\(rows.joined())</tbody></table></div>
            """)
    }

    // MARK: Facts

    var facts: String {
        let cards = [("Machine", text.machineFacts), ("Model", text.modelFacts), ("Run", text.runFacts)].map {
            title, facts in
            let list = facts.compactMap { name, value in value.map { "<dt>\(e(name))</dt><dd>\(e($0))</dd>" } }
            return "<div class=\"card\"><h3>\(title)</h3><dl class=\"facts\">\(list.joined())</dl></div>"
        }
        let notes =
            results.notes.isEmpty
            ? ""
            : "<div class=\"card\"><h3>Notes</h3><ul class=\"notes\">"
                + results.notes.map { "<li>\(e($0))</li>" }.joined() + "</ul></div>"
        return section(
            "What was measured, and on what", "", "<div class=\"trio\">\(cards.joined(separator: "\n"))</div>\(notes)")
    }

    var words: String {
        let list = text.definitions.map { "<dt>\(e($0.0))</dt><dd>\(e($0.1))</dd>" }
        return "<section class=\"words\"><h2>What the words mean</h2><dl>\(list.joined())</dl></section>"
    }

    func section(_ title: String, _ about: String, _ body: String) -> String {
        let about = about.isEmpty ? "" : "<p class=\"about\">\(e(about))</p>"
        return "<section><h2>\(e(title))</h2>\(about)\n\(body)</section>"
    }

    func figure(_ id: String, _ title: String, _ caption: String, size: String = "") -> String {
        let head = title.isEmpty ? "" : "<h3>\(e(title))</h3><figcaption>\(e(caption))</figcaption>"
        return """
            <figure class="card">\(head)<div class="chart \(size)"><canvas id="\(id)" role="img" aria-label="\(e(title.isEmpty ? id : title))"></canvas></div></figure>
            """
    }
}
