import ArgumentParser
import Foundation
import QDashboard
import Runtime
import ToolSupport

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Answer recorded snapshots.",
        discussion: """
            Writes results.jsonl (the answers, the same bytes in every run),
            timings.jsonl, rejected.jsonl, the ledger run.sqlite, record.json and
            proofs.jsonl for qinfer verify, metrics.prom. Status 2: records were
            rejected.

            EXAMPLES
              qinfer run models/SmolLM2 --snapshots Datasets/recorded/*.jsonl \\
                --output Reports/run
              qinfer run models/SmolLM2 --snapshots Datasets/recorded/*.jsonl \\
                --output Reports/run --stages 3 --resume
            """)

    @Argument(help: "Directory of a Hugging Face checkpoint.")
    var model: String

    @Option(parsing: .upToNextOption, help: ArgumentHelp("Recordings: JSON Lines.", valueName: "file"))
    var snapshots: [String]

    @Option(help: "Directory to write.")
    var output: String

    @Option(help: "Language of the answers: en or zh.")
    var language = Language.english

    @Option(help: ArgumentHelp("Directory of the prompts.", valueName: "dir"))
    var prompts = "Datasets/prompts"

    @Option(help: "How this node is called in the answers.")
    var nodeID = "qubic-node-001"

    @Option(
        help: ArgumentHelp(
            "This node's Ed25519 key, made where there is none. (default: a new key for the run)", valueName: "file"))
    var signingKey: String?

    @Option(help: ArgumentHelp("Write activations of all requests to this HDF5 file.", valueName: "FILE.h5"))
    var trace: String?

    @Option(help: "What the trace holds: logits, residuals, full.")
    var traceLevel = TraceLevel.residuals

    @Option(help: "on: requests end at their class's deadline (see README).")
    var deadlines = Deadlines.off

    @Option(help: "ANALYSIS (high, 30 s), PREDICTION (medium, 60 s), ORACLE (high, 45 s).")
    var taskClass = TaskClass.analysis

    @Flag(help: "Go on with a run that was interrupted.")
    var resume = false

    @Flag(help: "Replace an earlier run.")
    var force = false

    @OptionGroup var engine: EngineFlags

    func validate() throws {
        if resume && force { throw ValidationError("give either --resume or --force") }
        if resume && trace != nil {
            throw ValidationError("--trace cannot go on with --resume: a trace is written whole")
        }
    }

    func run() throws {
        let counts = try reportingErrors { try answerAll() }
        note("\(counts.answers) answered, \(counts.rejected) rejected: \(output)/results.jsonl")
        if counts.rejected > 0 { throw ExitCode.doneWithRejections }
    }

    private func answerAll() throws -> RunOutput.Counts {
        let directory = URL(fileURLWithPath: model)
        let reader = try RequestReader(paths: snapshots)
        let checkpoint = try Checkpoint(directory: directory)
        let digest = try checkpoint.digest()
        let prompt = try PromptLibrary(directory: URL(fileURLWithPath: prompts)).analysis(language: language)
            .prepared(for: ChatTemplate(directory: directory, override: engine.chatTemplate))
        let configuration = RunConfiguration(
            modelDigest: digest, prompt: prompt, model: directory, nodeID: nodeID, options: engine.options,
            task: "analysis")
        let key = try signingKey.map { try NodeKey(file: URL(fileURLWithPath: $0)) } ?? NodeKey()
        let ledger = try RunLedger(
            directory: URL(fileURLWithPath: output), existing: resume ? .resume : force ? .overwrite : .refuse,
            configuration: configuration, nodeID: nodeID)
        let writer = try trace.map {
            try Trace(
                url: URL(fileURLWithPath: $0), level: traceLevel, model: checkpoint.configuration,
                attributes: ["model": directory.lastPathComponent, "model_digest": digest], force: force)
        }
        let runner = try Engine(
            checkpoint, tokenizer: Tokenizer(directory: directory), options: engine.options, trace: writer)
        defer { runner.stop() }
        let run = SnapshotRun(
            engine: runner, prompt: prompt, modelDigest: digest, nodeID: nodeID,
            urgency: deadlines == .on ? taskClass : nil)
        let progress = Progress("answers", total: nil)
        defer { progress.finish() }
        let counts = try LedgeredRun(run: run, ledger: ledger, inFlight: engine.batch * 2)
            .answerAll(reader, traced: trace != nil) { progress.update($0.answers) }
        try writer?.finish()
        try RunRecord.write(directory: URL(fileURLWithPath: output), configuration: configuration) { _ in key }
        return counts
    }
}

extension Language: ExpressibleByArgument {}
extension Deadlines: ExpressibleByArgument {}
extension TaskClass: ExpressibleByArgument {}
