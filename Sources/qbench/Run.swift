import ArgumentParser
import Benchmark
import Foundation
import QDashboard
import Reporting
import Runtime
import ToolSupport

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Answer a dataset, measure it against the KPI targets, and report.",
        discussion: """
            Writes results.json, report.md, report.html and junit.xml.

            EXAMPLES
              qbench run models/SmolLM2-int4 --dataset Datasets/recorded \\
                --kpi Datasets/kpi.yaml --output Reports/run
              qbench run models/SmolLM2-int4 --dataset Datasets/recorded \\
                --kpi Datasets/kpi.yaml --output Reports/server \\
                --scenario server --rate 4 --reference models/SmolLM2
            """)

    @Argument(help: "Directory of a Hugging Face checkpoint.")
    var model: String

    @Option(
        help: ArgumentHelp(
            "Directory of recordings (*.jsonl, *.jsonl.gz), and labels beside them (*.labels.jsonl).", valueName: "dir")
    )
    var dataset: String

    @Option(help: ArgumentHelp("The targets.", valueName: "file"))
    var kpi: String

    @Option(help: ArgumentHelp("Directory to write.", valueName: "dir"))
    var output: String

    @Option(
        help:
            "single-stream: one at a time; multi-stream: --streams at a time; server: at --rate; offline: all at once.")
    var scenario = Scenario.offline

    @Option(help: ArgumentHelp("Mean arrivals of the server scenario (Poisson).", valueName: "requests/s"))
    var rate: Double?

    @Option(
        help: ArgumentHelp(
            "Offline: keep this many requests in the system; the next arrives when one is answered.",
            valueName: "count"))
    var maxConcurrency: Int?

    @Option(
        help: ArgumentHelp("Requests of one query of the multi-stream scenario.", valueName: "count"))
    var streams = Load.usualStreams

    @Option(help: "Of the server scenario's arrivals.")
    var seed: UInt64 = 0

    @Option(help: ArgumentHelp("A full-precision checkpoint to compare answers and tokens with.", valueName: "dir"))
    var reference: String?

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Further checkpoints whose answers are scored beside, e.g. fp32 and int4.", valueName: "dir")
    )
    var also: [String] = []

    @Option(help: ArgumentHelp("Requests that the reference answers too.", valueName: "count"))
    var agreementRequests = 24

    @Option(help: ArgumentHelp("Texts for the comparison of tokens.", valueName: "count"))
    var agreementTexts = 8

    @Option(help: ArgumentHelp("Requests answered again with a trace, to check it; 0 for none.", valueName: "count"))
    var traceRequests = 1

    @Option(help: ArgumentHelp("Keep that trace in this file.", valueName: "FILE.h5"))
    var trace: String?

    @Option(help: ArgumentHelp("Answer this many requests at the most.", valueName: "count"))
    var limit: Int?

    @Option(help: "Language of the answers: en or zh.")
    var language = Language.english

    @Option(
        help: ArgumentHelp(
            "Directory of the prompts. (default: the model's own, else Datasets/prompts)", valueName: "dir"))
    var prompts: String?

    @Flag(help: "End with status 1 where a target is missed.")
    var strict = false

    @Flag(help: "Replace reports that exist.")
    var force = false

    @OptionGroup var engine: EngineFlags

    func validate() throws {
        if scenario == .server, rate == nil { throw ValidationError("--scenario server needs --rate") }
        if let rate, !(rate > 0 && rate.isFinite) { throw ValidationError("--rate: expected more than 0, got \(rate)") }
        if let maxConcurrency {
            guard scenario == .offline else { throw ValidationError("--max-concurrency needs --scenario offline") }
            guard maxConcurrency >= 1 else {
                throw ValidationError("--max-concurrency: expected at least 1, got \(maxConcurrency)")
            }
        }
        guard streams >= 1 else { throw ValidationError("--streams: expected at least 1, got \(streams)") }
        guard scenario == .multiStream || streams == Load.usualStreams else {
            throw ValidationError("--streams needs --scenario multi-stream")
        }
        guard agreementRequests >= 1, agreementTexts >= 1 else {
            throw ValidationError("--agreement-requests and --agreement-texts: expected at least 1")
        }
        guard traceRequests >= 0 else { throw ValidationError("--trace-requests: expected 0 or more") }
        guard trace == nil || traceRequests > 0 else { throw ValidationError("--trace needs --trace-requests above 0") }
        if let limit, limit < 1 { throw ValidationError("--limit: expected at least 1, got \(limit)") }
    }

    func run() async throws {
        let evaluation = try await reportingErrorsAsync { try await measure() }
        if strict && evaluation.failed > 0 { throw ExitCode.failed }
    }

    private func measure() async throws -> KPIEvaluation {
        let directory = URL(fileURLWithPath: output, isDirectory: true)
        let targets = try KPIFile.read(URL(fileURLWithPath: kpi))
        let data = try Dataset(folder: dataset, limit: limit)
        let requests = data.requests
        for record in data.rejected { note("rejected: \(record.file):\(record.line): \(record.reason)") }
        try ReportFiles.check(directory, overwrite: force)
        let benchmark = SnapshotBenchmark(
            model: URL(fileURLWithPath: model), engine: try engine.options, chatTemplate: engine.chatTemplate,
            prompts: PromptLibrary.folder(prompts, model: URL(fileURLWithPath: model)), language: language,
            load: Load(
                scenario, requestsPerSecond: rate ?? 1, seed: seed, maxConcurrency: maxConcurrency,
                streams: streams))
        let progress = Progress("requests", total: requests.count)
        let measured = try benchmark.run(requests) { progress.update($0) }
        progress.finish()
        var quality: [QualityMeasure] = []
        var notes = ["No --reference was given, so no agreement was measured."]
        if let reference {
            notes = ["Agreement is with the reference model: no claim that its answers are right."]
            var other = benchmark
            other.model = URL(fileURLWithPath: reference)
            quality = try await Agreement(of: benchmark, with: other, texts: agreementTexts).measure(
                measured, on: data.sample(agreementRequests))
        }
        let others = also.map { path in
            var other = benchmark
            other.model = URL(fileURLWithPath: path)
            return other
        }
        let tasks = try benchmark.tasks(measured, requests: requests, labels: data.labels, also: others) {
            note("answering with \($0)")
        }
        quality += tasks.measures
        var observations: [Observation] = []
        if traceRequests > 0 {
            observations.append(
                try TraceCheck(benchmark).measure(
                    Array(requests.prefix(traceRequests)), to: trace.map { URL(fileURLWithPath: $0) }, force: force))
        }
        let results = try benchmark.results(
            measured, dataset: RunConfiguration.Dataset(path: dataset, digest: nil, items: requests.count),
            quality: quality, tasks: tasks, observations: observations, targets: targets, notes: notes)
        let written = try ReportFiles.write(results, to: directory, overwrite: force)
        let evaluation = KPIEvaluation(results)
        let colour = VerdictTable.wantsColour(
            isTerminal: isatty(STDOUT_FILENO) == 1, environment: ProcessInfo.processInfo.environment)
        print(VerdictTable.text(evaluation, colour: colour))
        for url in written { print(url.relativePath) }
        return evaluation
    }
}

extension Language: ExpressibleByArgument {}
extension Scenario: ExpressibleByArgument {}
