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

            Over several machines: scripts/mpirun.sh -np 3 qinfer run … --transport mpi
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
            "For the oracle over recordings: news, {at, source, title} a line.", valueName: "FILE.jsonl"))
    var news: String?

    @Option(
        help: ArgumentHelp(
            "Directory of the prompts. (default: the model's own, else Datasets/prompts)", valueName: "dir"))
    var prompts: String?

    @Option(help: "How this node is called in the answers.")
    var nodeID = "qubic-node-001"

    @Option(
        help: ArgumentHelp(
            "This node's Ed25519 key, made where there is none; replica k of a vote has FILE-k, as has pipeline k ≥ 2 of an MPI job. (default: a new key)",
            valueName: "file"))
    var signingKey: String?

    @Option(help: ArgumentHelp("Write activations of all requests to this HDF5 file.", valueName: "FILE.h5"))
    var trace: String?

    @Option(help: "What the trace holds: logits, residuals, full.")
    var traceLevel = TraceLevel.residuals

    @Option(help: "on: requests end at their class's deadline (see README).")
    var deadlines = Deadlines.off

    @Option(
        help: """
            Of all requests: ANALYSIS (high, 30 s), PREDICTION (medium, 60 s), ORACLE (high, 45 s). (default: each by its
            task; anomaly and ask are ANALYSIS)
            """)
    var taskClass: TaskClass?

    @Option(
        help: ArgumentHelp(
            "Have so many replicas answer, and vote: 3 or more; with mpi a pipeline each.", valueName: "count"))
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

    @OptionGroup var horizonFlags: HorizonFlags
    @OptionGroup var jobFlags: JobFlags
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
        if consensus != nil && cache != nil {
            throw ValidationError("--cache would answer for the other replicas: leave it out with --consensus")
        }
        if count != nil, let pipe = snapshots.first(where: Self.isPipe) {
            throw ValidationError("\(pipe) is a pipe, which can be read once: a vote needs files")
        }
        if news != nil && task != .oracle { throw ValidationError("--news needs --task oracle") }
        if !horizonFlags.horizon.isEmpty && task != .prediction {
            throw ValidationError("--horizon needs --task prediction")
        }
        guard taskClass == nil || deadlines == .on else { throw ValidationError("--task-class needs --deadlines on") }
        if jobFlags.transport == .mpi, !consensusModels.isEmpty || trace != nil {
            throw ValidationError("--transport mpi takes neither --trace nor --consensus-models: use threads")
        }
        if count != nil && trace != nil { throw ValidationError("--trace takes one run, not several replicas") }
        if resume && force { throw ValidationError("give either --resume or --force") }
        if cache != nil && trace != nil { throw ValidationError("--trace needs all answers computed, without --cache") }
        if resume && trace != nil {
            throw ValidationError("--trace cannot go on with --resume: a trace is written whole")
        }
    }

    private static func isPipe(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
    }

    /// Nil where requests wait in order, and for ever.
    var urgency: Urgency? {
        guard deadlines == .on else { return nil }
        return taskClass.map(Urgency.all) ?? .byTask
    }

    func run() throws {
        guard let counts = try answers() else { return }
        if counts.rejected > 0 { throw ExitCode.doneWithRejections }
    }

    /// Nil on ranks that only compute.
    private func answers() throws -> RunOutput.Counts? {
        guard jobFlags.transport == .mpi else {
            return try reportingErrors { try replicas.isEmpty ? answerOnce() : answerByConsensus() }
        }
        let counts = try answerInJob(model: model!, output: URL(fileURLWithPath: output))
        if let counts, consensus == nil { tell(counts) }
        return counts
    }

    private func answerOnce() throws -> RunOutput.Counts {
        let counts = try answerAll(model: model!, output: URL(fileURLWithPath: output), node: nodeID, key: signingKey)
        tell(counts)
        return counts
    }

    private func tell(_ counts: RunOutput.Counts) {
        note("\(counts.answers) answered, \(counts.rejected) rejected: \(output)/results.jsonl")
    }
}

extension Language: ExpressibleByArgument {}
extension Deadlines: ExpressibleByArgument {}
extension TaskClass: ExpressibleByArgument {}
