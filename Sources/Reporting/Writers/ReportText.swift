import Foundation

/// Sentences and rows that the Markdown and the HTML report share, so that the two cannot disagree.
struct ReportText {
    let results: BenchmarkResults
    let summary: BenchmarkSummary
    let evaluation: KPIEvaluation

    init(_ results: BenchmarkResults, _ evaluation: KPIEvaluation) {
        self.results = results
        self.evaluation = evaluation
        summary = BenchmarkSummary(results)
    }

    /// "3 stages × 1 thread, batch 16, server scenario".
    var setup: String {
        let c = results.configuration
        return [
            "\(count(c.stages, "stage")) × \(count(c.threadsPerStage, "thread"))", "batch \(c.batch)",
            "\(c.scenario.rawValue) scenario",
        ].joined(separator: ", ")
    }

    /// "700 requests in 58.1 s".
    var extent: String {
        "\(count(summary.requests, "request")) in \(Format.duration(results.wallSeconds * 1000))"
    }

    func count(_ n: Int, _ word: String) -> String { "\(Format.grouped(Double(n))) \(word)\(n == 1 ? "" : "s")" }

    var timeRows: [(name: String, values: Distribution)] {
        [
            ("Total (E2E)", summary.total), ("First token (TTFT)", summary.ttft), ("Per token (TPOT)", summary.tpot),
            ("Queue", summary.queue), ("Prefill", summary.prefill), ("Decode", summary.decode),
        ].compactMap { row in row.1.map { (row.0, $0) } }
    }

    static let timeColumns = ["n", "p50", "p90", "p95", "p99", "max", "mean", "95 % interval", "MAD"]

    func timeCells(_ d: Distribution) -> [String] {
        func cell(_ value: Double?) -> String { value.map(Format.duration) ?? "—" }
        let interval = d.meanInterval.map { "\(Format.duration($0.low)) – \(Format.duration($0.high))" } ?? "—"
        return [
            Format.grouped(Double(d.count)), cell(d.p50), cell(d.p90), cell(d.p95), cell(d.p99), cell(d.max),
            cell(d.mean),
            interval, cell(d.medianAbsoluteDeviation),
        ]
    }

    static let stageColumns = [
        "layers", "threads", "utilization", "bubble", "batches", "hop, mean", "longest queue", "CPU", "resident",
        "peak",
        "handed over",
    ]

    func stageCells(_ s: StageUsage) -> [String] {
        func bytes(_ value: Int?) -> String { value.map { Format.bytes(Double($0)) } ?? "—" }
        return [
            s.layers ?? "—", s.threads.map(String.init) ?? "—", s.utilization.map(Format.percent) ?? "—",
            s.bubbleSeconds.map { Format.duration($0 * 1000) } ?? "—",
            s.batches.map { Format.grouped(Double($0)) } ?? "—", s.hopMs.map(Format.duration) ?? "—",
            s.longestQueue.map(String.init) ?? "—", s.cpuSeconds.map { Format.duration($0 * 1000) } ?? "—",
            bytes(s.residentBytes), bytes(s.peakBytes),
            bytes(s.handedOverBytes),
        ]
    }

    /// Facts with their names; nil where the run does not tell.
    var machineFacts: [(String, String?)] {
        let m = results.machine
        return [
            ("Processor", m.cpu), ("Architecture", m.architecture), ("Cores", "\(m.cores)"),
            ("Memory", m.memoryBytes.map { Format.bytes(Double($0)) }), ("System", m.operatingSystem),
            ("Kernels", m.kernelSet), ("Compiler", m.compiler),
            ("Noise", results.observation(.machineNoise).map { Format.percent(min(1, $0.value)) }),
        ]
    }

    var modelFacts: [(String, String?)] {
        let m = results.model
        return [
            ("Name", m.name), ("Weights", m.scheme),
            ("Parameters", m.parameters.map { Format.grouped(Double($0)) }),
            ("Size", m.bytes.map { Format.bytes(Double($0)) }), ("Digest", m.digest),
        ]
    }

    var runFacts: [(String, String?)] {
        let c = results.configuration
        return [
            ("Started", results.startedAt), ("Took", Format.duration(results.wallSeconds * 1000)),
            ("Scenario", c.scenario.rawValue), ("At once", c.maxConcurrency.map { "at most \(count($0, "request"))" }),
            ("Arrivals", c.requestsPerSecond.map { "\(Format.significant($0)) requests/s" }),
            ("Stages", "\(c.stages), \(count(c.threadsPerStage, "thread")) each"), ("Batch", "\(c.batch)"),
            ("Transport", c.transport), ("Output limit", c.maxTokens.map { count($0, "token") }),
            ("Seed", c.seed.map(String.init)), ("Warm-up", c.warmupRequests.map { count($0, "request") }),
            ("Dataset", c.dataset.path), ("Items", c.dataset.items.map { Format.grouped(Double($0)) }),
            ("Dataset digest", c.dataset.digest),
            ("Tool", "\(results.tool.name) \(results.tool.version)"), ("Commit", results.tool.commit),
        ]
    }

    /// How the words of this report are meant.
    var definitions: [(String, String)] {
        var list: [(String, String)] = [
            ("TTFT", "arrival to first token"),
            ("TPOT", "(last token − first token) / (tokens − 1)"),
            ("E2E", "arrival to last token"),
            (
                "Percentile",
                "nearest rank: the smallest sample that at least p % of all samples do not exceed. It is shown only from "
                    + "enough samples, so that with 99 % confidence and one miss allowed it holds: "
                    + [Percentile.p50, .p90, .p95, .p99].map { "\($0.requiredSamples()) for \($0)" }.joined(
                        separator: ", ")
            ),
            ("95 % interval of a mean", "percentile bootstrap, 1000 resamples, fixed seed"),
            ("95 % interval of a share", "Wilson’s score interval"),
            ("MAD", "median absolute deviation from the median, unscaled"),
            ("Margin", "room to the target: relative to it, or in points where the target is a share"),
            ("Times", "of succeeded requests only, queueing included"),
            ("GB", "10⁹ bytes"),
        ]
        if results.tasks?.models.contains(where: { !$0.choices.isEmpty }) == true {
            list += [
                ("Macro-F1", "mean over the labels of 2 · precision · recall / (precision + recall)"),
                ("ECE", "expected calibration error: mean distance of confidence and accuracy over ten bins"),
                ("Brier", "mean squared distance of the probabilities from the truth, 0 to 2"),
                ("Majority", "always the most frequent label of this set"),
            ]
        }
        for metric in Set(evaluation.results.map(\.target.metric)).sorted(by: { $0.rawValue < $1.rawValue })
        where metric != .latency && metric != .timeToFirstToken && metric != .timePerOutputToken {
            list.append((metric.rawValue, metric.formula))
        }
        return list
    }

    /// Requests that did not succeed, by reason, the most frequent first.
    var failures: [(reason: String, count: Int)] {
        var counts: [String: Int] = [:]
        for r in results.requests where r.status != .succeeded {
            counts[
                "\(r.status.rawValue): \(r.error.map { String($0.prefix(200)) } ?? "no reason recorded")", default: 0] +=
                1
        }
        return counts.sorted { $0.value != $1.value ? $0.value > $1.value : $0.key < $1.key }
            .map { (reason: $0.key, count: $0.value) }
    }
}
