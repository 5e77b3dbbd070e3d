import ArgumentParser
import Foundation
import QDashboard
import Runtime
import Synchronization
import ToolSupport

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Answer recorded snapshots.",
        discussion: """
            Writes results.jsonl (the answers, the same bytes in every run),
            timings.jsonl and rejected.jsonl. Status 2: records were rejected.

            EXAMPLES
              qinfer run models/SmolLM2 --snapshots Datasets/recorded/*.jsonl \\
                --output Reports/run
              qinfer run models/SmolLM2 --snapshots Datasets/recorded/*.jsonl \\
                --output Reports/run --stages 3 --resume
            """)

    @Argument(help: "Directory of a Hugging Face checkpoint.")
    var model: String

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Recordings: HAR, JSON Lines, bodies, .gz, folders.", valueName: "file"))
    var snapshots: [String]

    @Option(help: "Directory to write.")
    var output: String

    @Option(help: "Language of the answers: en or zh.")
    var language = Language.english

    @Option(help: ArgumentHelp("Directory of the prompts.", valueName: "dir"))
    var prompts = "Datasets/prompts"

    @Option(help: "How this node is called in the answers.")
    var nodeID = "qubic-node-001"

    @Option(help: ArgumentHelp("Write activations of all requests to this HDF5 file.", valueName: "FILE.h5"))
    var trace: String?

    @Option(help: "What the trace holds: logits, residuals, full.")
    var traceLevel = TraceLevel.residuals

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
        let files = try RunOutput(
            directory: URL(fileURLWithPath: output), existing: resume ? .resume : force ? .overwrite : .refuse,
            modelDigest: digest, promptDigest: prompt.prompt.digest, nodeID: nodeID)
        let writer = try trace.map {
            try Trace(
                url: URL(fileURLWithPath: $0), level: traceLevel, model: checkpoint.configuration,
                attributes: ["model": directory.lastPathComponent, "model_digest": digest], force: force)
        }
        let runner = try Engine(
            checkpoint, tokenizer: Tokenizer(directory: directory), options: engine.options, trace: writer)
        defer { runner.stop() }
        let run = SnapshotRun(engine: runner, prompt: prompt, modelDigest: digest, nodeID: nodeID)
        let done = Set(files.resumedIDs)
        let failure = Mutex<(any Error)?>(nil)
        let progress = Progress("answers", total: nil)
        try run.run(inFlight: engine.batch * 2, traced: trace != nil) {
            while let item = try reader.next() {
                if let error = failure.withLock({ $0 }) { throw error }
                switch item {
                case .rejected(let record): try files.reject(record, before: reader.accepted)
                case .request(let request) where done.contains(request.id): try files.skip(request.ordinal)
                case .request(let request): return request
                }
            }
            return nil
        } finished: { outcome in
            do {
                switch outcome.result {
                case .success(let (answer, timing, _)):
                    try files.submit(answer, timing: timing, at: outcome.request.ordinal)
                case .failure(let error):
                    let origin = outcome.request.origin
                    try files.reject(
                        RejectedRecord(file: origin.file, line: origin.line, reason: "\(error)"),
                        at: outcome.request.ordinal)
                }
                progress.update(files.counts.answers)
            } catch {
                failure.withLock { $0 = $0 ?? error }
            }
        }
        progress.finish()
        if let error = failure.withLock({ $0 }) { throw error }
        let counts = try files.close()
        if reader.scrubbed.total > 0 {
            note("\(reader.scrubbed.total) cookies, keys and wallet identities scrubbed from the recordings")
        }
        try reader.requireRequests()
        try writer?.finish()
        return counts
    }
}

extension Language: ExpressibleByArgument {}
