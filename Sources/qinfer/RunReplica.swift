import Foundation
import QDashboard
import Runtime
import ToolSupport

extension Run {
    /// One node's run: opens what it needs, answers, and writes the record.
    func answerAll(model: String, output: URL, node: String, key: String?) throws -> RunOutput.Counts {
        let node = try AnsweringNode(self, model: model, name: node, key: key)
        let writer = try trace.map {
            try Trace(
                url: URL(fileURLWithPath: $0), level: traceLevel, model: node.checkpoint.configuration,
                attributes: ["model": node.directory.lastPathComponent, "model_digest": node.digest], force: force)
        }
        let runner = try Engine(
            node.checkpoint, tokenizer: Tokenizer(directory: node.directory), options: engine.options, trace: writer)
        defer { runner.stop() }
        let counts = try node.answerAll(
            by: [.init(id: node.name, answering: runner)], engine: runner, output: output)
        try writer?.finish()
        try node.writeRecord(output)
        return counts
    }

    /// This rank's part: rank 0 reads, hands out and writes; the others compute. Counts are rank 0's.
    func answerInJob(model: String, output: URL) throws -> RunOutput.Counts? {
        try inJob(jobFlags, stages: engine.stages) { job in
            guard job.place.rank == 0 else {
                let checkpoint = try Checkpoint(directory: URL(fileURLWithPath: model))
                try job.assist(JobWork(checkpoint, options: engine.options, format: jobFlags.wire)) {
                    try Tokenizer(directory: checkpoint.directory)
                }
                return nil
            }
            let node = try AnsweringNode(self, model: model, name: nodeID, key: signingKey)
            let (runner, others) = try job.lead(
                JobWork(node.checkpoint, options: engine.options, format: jobFlags.wire),
                tokenizer: Tokenizer(directory: node.directory))
            defer { runner.stop() }
            let pipelines: [any Answering] = [runner] + others
            let nodes = pipelines.enumerated().map { index, pipeline in
                SnapshotRun.Node(id: others.isEmpty ? nodeID : "\(nodeID)-\(index + 1)", answering: pipeline)
            }
            let counts = try node.answerAll(by: nodes, engine: runner, output: output, job: job)
            try node.writeRecord(output)
            return counts
        }
    }
}

extension Run {
    /// The models of the replicas; empty without a vote.
    var replicas: [String] {
        consensusModels.isEmpty ? consensus.map { Array(repeating: model!, count: $0) } ?? [] : consensusModels
    }

    /// One replica after the other, so that only one model is in memory.
    func answerByConsensus() throws -> RunOutput.Counts {
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

/// What one node's run reads and is configured by.
private struct AnsweringNode {
    let run: Run
    let directory: URL
    let name: String
    let key: String?
    let reader: RequestReader
    let checkpoint: Checkpoint
    let digest: String
    let prompt: PreparedPrompt
    let configuration: AnswerConfiguration
    /// For where no key is given: one for the run.
    private let ownKey = NodeKey()

    init(_ run: Run, model: String, name: String, key: String?) throws {
        self.run = run
        self.name = name
        self.key = key
        directory = URL(fileURLWithPath: model)
        reader = try RequestReader(paths: run.snapshots)
        checkpoint = try Checkpoint(directory: directory)
        digest = try checkpoint.digest()
        prompt = try PromptLibrary(directory: URL(fileURLWithPath: run.prompts)).analysis(language: run.language)
            .prepared(for: ChatTemplate(directory: directory, override: run.engine.chatTemplate))
        configuration = AnswerConfiguration(
            modelDigest: digest, prompt: prompt, model: directory, nodeID: name, options: run.engine.options,
            task: run.deadlines == .on ? "analysis, \(run.taskClass.rawValue)" : "analysis",
            // Rounded hidden states make other answers, and where they are rounded matters.
            wire: run.jobFlags.wire == .fp16 ? "fp16 between \(run.engine.stages) stages" : nil)
        _ = try key.map { try NodeKey(file: URL(fileURLWithPath: $0)) }
    }

    func answerAll(
        by nodes: [SnapshotRun.Node], engine: Engine, output: URL, job: Job? = nil
    ) throws -> RunOutput.Counts {
        // It empties what is to be written anew: after everything else that can fail.
        let ledger = try RunLedger(
            directory: output, existing: run.resume ? .resume : run.force ? .overwrite : .refuse,
            configuration: configuration)
        let work = SnapshotRun(
            nodes: nodes, prompt: prompt, modelDigest: digest, urgency: run.deadlines == .on ? run.taskClass : nil)
        let progress = Progress("answers", total: nil)
        defer { progress.finish() }
        let counts = try LedgeredRun(
            run: work, ledger: ledger, inFlight: run.engine.batch * 2, engine: engine, node: name, job: job
        )
        .answerAll(reader, traced: run.trace != nil) { progress.update($0.answers) }
        if reader.scrubbed.total > 0 {
            note("\(reader.scrubbed.total) cookies, keys and wallet identities scrubbed from the recordings")
        }
        return counts
    }

    /// Each node signs with a key of its own: the given one for this node's name, others beside it.
    func writeRecord(_ output: URL) throws {
        try RunRecord.write(directory: output, configuration: configuration) { id in
            guard let key else { return ownKey }
            return try NodeKey(file: URL(fileURLWithPath: key + id.dropFirst(name.count)))
        }
    }
}
