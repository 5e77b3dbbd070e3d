import Foundation
import QDashboard
import Reporting
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
                if job.place.isHead {
                    // Of another name than rank 0's, since they may share a disk.
                    let key = try NodeKey(keptIn: signingKey.map { "\($0)-\(job.place.replica + 1)" })
                    job.onStatement { try key.sign($0) }
                }
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
            let pipelines: [any Answering] = [OwnPipeline(job, runner)] + others
            let nodes = pipelines.enumerated().map { index, pipeline in
                SnapshotRun.Node(id: others.isEmpty ? nodeID : "\(nodeID)-\(index + 1)", answering: pipeline)
            }
            let counts = try node.answerAll(by: nodes, engine: runner, output: output, job: job)
            let elsewhere = Dictionary(uniqueKeysWithValues: zip(nodes.dropFirst().map(\.id), others))
            try node.writeRecord(output, elsewhere: elsewhere)
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
    /// Signs for it.
    let key: NodeKey
    let reader: RequestReader
    let checkpoint: Checkpoint
    let digest: String
    let prompts: PromptSet
    let cache: CachedAnswers?
    let configuration: AnswerConfiguration

    init(_ run: Run, model: String, name: String, key: String?) throws {
        self.run = run
        self.name = name
        directory = URL(fileURLWithPath: model)
        let news = try run.news.map { try NewsFeed(path: $0) }
        reader = try RequestReader(
            paths: run.snapshots, computesFacts: true, every: run.every?.seconds, task: run.task, news: news)
        checkpoint = try Checkpoint(directory: directory)
        digest = try checkpoint.digest()
        let calibration = try ModelCalibration(model: directory)
        prompts = try PromptSet(
            PromptLibrary(directory: PromptLibrary.folder(run.prompts, model: directory)),
            template: ChatTemplate(directory: directory, override: run.engine.chatTemplate), task: run.task,
            language: run.language, calibration: calibration)
        configuration = AnswerConfiguration(
            modelDigest: digest, prompts: prompts, calibration: calibration, model: directory, nodeID: name,
            options: try run.engine.options,
            task: run.task.rawValue + (run.urgency.map { _ in ", \(run.taskClass?.rawValue ?? "by task")" } ?? "")
                + (news.map { ", news \($0.digest)" } ?? ""),
            every: run.every?.seconds,
            // Rounded hidden states make other answers, and where they are rounded matters.
            wire: run.jobFlags.wire == .fp16 ? "fp16 between \(run.engine.stages) stages" : nil)
        let settled = configuration
        cache = try run.cache.map {
            CachedAnswers(try AnswerCache(URL(fileURLWithPath: $0)), configuration: settled)
        }
        self.key = try NodeKey(keptIn: key)
    }

    func answerAll(
        by nodes: [SnapshotRun.Node], engine: Engine, output: URL, job: Job? = nil
    ) throws -> RunOutput.Counts {
        // It empties what is to be written anew: after everything else that can fail.
        let ledger = try RunLedger(
            directory: output, existing: run.resume ? .resume : run.force ? .overwrite : .refuse,
            configuration: configuration)
        let work = SnapshotRun(
            nodes: nodes, prompts: try prompts.contextual(engine), modelDigest: digest,
            urgency: run.urgency, cache: cache)
        let progress = Progress("answers", total: nil)
        defer { progress.finish() }
        let counts = try LedgeredRun(
            run: work, ledger: ledger, inFlight: run.engine.batch * 2, engine: engine, node: name, job: job
        )
        .answerAll(reader, traced: run.trace != nil) { progress.update($0.answers) }
        if let file = reader.startedAnew {
            note("\(file) begins before the last recording ended: its facts start anew")
        }
        if reader.scrubbed.total > 0 {
            note("\(reader.scrubbed.total) cookies, keys and wallet identities scrubbed from the recordings")
        }
        if let cache, cache.hits > 0 { note("\(cache.hits) answers from the cache") }
        return counts
    }

    /// Each node signs with a key of its own, in its own process. For one that answered in an earlier launch and is not
    /// there any more this one signs: with its own key, so that the record shows it.
    /// - Parameter elsewhere: the nodes of other processes, by name.
    func writeRecord(_ output: URL, elsewhere: [String: RemotePipeline] = [:]) throws {
        try RunRecord.write(directory: output, configuration: configuration) { id, statement in
            try elsewhere[id]?.signature(of: statement) ?? key.sign(statement)
        }
    }
}

extension NodeKey {
    /// The key in a file, made where there is none; without a file one for the run.
    fileprivate init(keptIn path: String?) throws {
        if let path { try self.init(file: URL(fileURLWithPath: path)) } else { self.init() }
    }
}
