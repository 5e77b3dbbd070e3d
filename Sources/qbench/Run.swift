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

    @Option(help: ArgumentHelp("Directory of recordings (*.jsonl).", valueName: "dir"))
    var dataset: String

    @Option(help: ArgumentHelp("The targets.", valueName: "file"))
    var kpi: String

    @Option(help: ArgumentHelp("Directory to write.", valueName: "dir"))
    var output: String

    @Option(
        help: "single-stream: one at a time; multi-stream: eight at a time; server: at --rate; offline: all at once.")
    var scenario = Scenario.offline

    @Option(help: ArgumentHelp("Mean arrivals of the server scenario (Poisson).", valueName: "requests/s"))
    var rate: Double?

    @Option(help: "Of the server scenario's arrivals.")
    var seed: UInt64 = 0

    @Option(help: ArgumentHelp("A full-precision checkpoint to compare answers and tokens with.", valueName: "dir"))
    var reference: String?

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

    @Option(help: ArgumentHelp("Directory of the prompts.", valueName: "dir"))
    var prompts = "Datasets/prompts"

    @Flag(help: "End with status 1 where a target is missed.")
    var strict = false

    @Flag(help: "Replace reports that exist.")
    var force = false

    @OptionGroup var engine: EngineFlags

    func validate() throws {
        if scenario == .server, rate == nil { throw ValidationError("--scenario server needs --rate") }
        if let rate, !(rate > 0 && rate.isFinite) { throw ValidationError("--rate: expected more than 0, got \(rate)") }
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
        let requests = try Self.requests(dataset, limit: limit)
        try ReportFiles.check(directory, overwrite: force)
        let benchmark = SnapshotBenchmark(
            model: URL(fileURLWithPath: model), engine: try engine.options, chatTemplate: engine.chatTemplate,
            prompts: URL(fileURLWithPath: prompts), language: language,
            load: Load(scenario, requestsPerSecond: rate ?? 1, seed: seed))
        let progress = Progress("requests", total: requests.count)
        let measured = try benchmark.run(requests) { progress.update($0) }
        progress.finish()
        var quality: [QualityMeasure] = []
        var notes = ["No --reference was given, so no agreement was measured."]
        if let reference {
            notes = ["Accuracy is agreement with the reference model: no claim that its answers are right."]
            var other = benchmark
            other.model = URL(fileURLWithPath: reference)
            let step = max(1, requests.count / agreementRequests)
            let sample = requests.indices.filter { $0.isMultiple(of: step) }.prefix(agreementRequests).map {
                requests[$0]
            }
            quality = try await Agreement(of: benchmark, with: other, texts: agreementTexts).measure(
                measured, on: sample)
        }
        var observations: [Observation] = []
        if traceRequests > 0 {
            observations.append(
                try TraceCheck(benchmark).measure(
                    Array(requests.prefix(traceRequests)), to: trace.map { URL(fileURLWithPath: $0) }, force: force))
        }
        let results = try benchmark.results(
            measured, dataset: RunConfiguration.Dataset(path: dataset, digest: nil, items: requests.count),
            quality: quality, observations: observations, targets: targets, notes: notes)
        let written = try ReportFiles.write(results, to: directory, overwrite: force)
        let evaluation = KPIEvaluation(results)
        let colour = VerdictTable.wantsColour(
            isTerminal: isatty(STDOUT_FILENO) == 1, environment: ProcessInfo.processInfo.environment)
        print(VerdictTable.text(evaluation, colour: colour))
        for url in written { print(url.relativePath) }
        return evaluation
    }

    /// All requests of the folder's recordings, in the order of the files' names.
    static func requests(_ folder: String, limit: Int?) throws -> [AnalysisRequest] {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".jsonl") }
        guard !names.isEmpty else { throw BenchmarkError.noRecordings(folder: folder) }
        let reader = try RequestReader(paths: names.sorted().map { folder + "/" + $0 })
        var requests: [AnalysisRequest] = []
        while requests.count < limit ?? .max, let item = try reader.next() {
            switch item {
            case .request(let request): requests.append(request)
            case .rejected(let record): note("rejected: \(record.file):\(record.line): \(record.reason)")
            }
        }
        try reader.requireRequests()
        return requests
    }
}

extension Language: ExpressibleByArgument {}
extension Scenario: ExpressibleByArgument {}
