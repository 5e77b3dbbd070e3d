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
    var model: String?

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Recordings: HAR, JSON Lines, bodies, .gz, folders.", valueName: "file"))
    var snapshots: [String]

    @Option(help: "Directory to write.")
    var output: String

    @Option(help: "Of requests that name no task: analysis, prediction, anomaly, oracle, ask.")
    var task = AnswerTask.analysis

    @Option(help: "Of requests that name no language: en or zh.")
    var language = Language.english

    @Option(help: ArgumentHelp("Of recordings, take moments this far apart: 30s, 10m, 1h.", valueName: "time"))
    var every: Interval?

    @Option(
        help: ArgumentHelp(
            "Directory of the prompts. (default: the model's own, else Datasets/prompts)", valueName: "dir"))
    var prompts: String?

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

    @Option(help: ArgumentHelp("Have so many replicas answer, and vote: 3 or more.", valueName: "count"))
    var consensus: Int?

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Have these checkpoints answer, and vote: 3 or more.", valueName: "dir"))
    var consensusModels: [String] = []

    @Option(help: "Share of the replicas that must agree, 0 to 1.")
    var consensusThreshold = ConsensusRun.defaultThreshold

    @Option(
        help: ArgumentHelp("Serve answers known already from this SQLite file, and keep new ones.", valueName: "file"))
    var cache: String?

    @Flag(help: "Go on with a run that was interrupted.")
    var resume = false

    @Flag(help: "Replace an earlier run.")
    var force = false

    @OptionGroup var engine: EngineFlags

    func validate() throws {
        guard (model == nil) != consensusModels.isEmpty else {
            throw ValidationError("give either a checkpoint or --consensus-models")
        }
        let count = consensusModels.isEmpty ? consensus : consensusModels.count
        if let count, count < ConsensusRun.fewestReplicas {
            throw ValidationError("a vote needs at least \(ConsensusRun.fewestReplicas) replicas, got \(count)")
        }
        if consensus != nil && !consensusModels.isEmpty {
            throw ValidationError("give either --consensus or --consensus-models")
        }
        guard (0...1).contains(consensusThreshold) else {
            throw ValidationError("--consensus-threshold: expected 0 to 1, got \(consensusThreshold)")
        }
        if count != nil && trace != nil { throw ValidationError("--trace takes one run, not several replicas") }
        if resume && force { throw ValidationError("give either --resume or --force") }
        if cache != nil && trace != nil { throw ValidationError("--trace needs all answers computed, without --cache") }
        if resume && trace != nil {
            throw ValidationError("--trace cannot go on with --resume: a trace is written whole")
        }
    }

    func run() throws {
        let counts = try reportingErrors { try replicas.isEmpty ? answerOnce() : answerByConsensus() }
        if counts.rejected > 0 { throw ExitCode.doneWithRejections }
    }

    private func answerOnce() throws -> RunOutput.Counts {
        let counts = try answerAll(model: model!, output: URL(fileURLWithPath: output), node: nodeID, key: signingKey)
        note("\(counts.answers) answered, \(counts.rejected) rejected: \(output)/results.jsonl")
        return counts
    }

    /// The models of the replicas; empty without a vote.
    private var replicas: [String] {
        consensusModels.isEmpty ? consensus.map { Array(repeating: model!, count: $0) } ?? [] : consensusModels
    }

    /// One replica after the other, so that only one model is in memory.
    private func answerByConsensus() throws -> RunOutput.Counts {
        let folder = URL(fileURLWithPath: output)
        var counts = RunOutput.Counts()
        var nodes: [(node: String, folder: URL)] = []
        for (index, model) in replicas.enumerated() {
            let name = "\(nodeID)-\(index + 1)"
            nodes.append((name, folder.appending(path: "replica-\(index + 1)")))
            let own = try answerAll(
                model: model, output: nodes[index].folder, node: name, key: signingKey.map { "\($0)-\(index + 1)" })
            note("\(name): \(own.answers) answered, \(own.rejected) rejected")
            counts.rejected = max(counts.rejected, own.rejected)
        }
        let summary = try ConsensusRun.write(nodes, threshold: consensusThreshold, to: folder)
        note(
            "\(summary.reached) of \(summary.requests) by consensus, \(summary.unanimous) unanimously: "
                + "\(output)/consensus.jsonl")
        return counts
    }
}

extension Language: ExpressibleByArgument {}
extension Deadlines: ExpressibleByArgument {}
extension TaskClass: ExpressibleByArgument {}
