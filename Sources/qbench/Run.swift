import ArgumentParser
import Benchmark
import QDashboard
import Reporting
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
}

extension Language: ExpressibleByArgument {}
extension Scenario: ExpressibleByArgument {}
