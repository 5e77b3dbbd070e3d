import Foundation
import QDashboard
import Reporting
import Runtime
import ToolSupport

extension Run {
    /// One node's run: opens what it needs, answers, and writes the record.
    func answerAll(model: String, output: URL, node: String, key: String?) throws -> RunOutput.Counts {
        let reader = try requests()
        let model = try OpenedModel(model)
        let node = try AnsweringNode(self, model: model, name: node, key: key)
        let writer = try trace.map {
            try Trace(
                url: URL(fileURLWithPath: $0), level: traceLevel, model: model.checkpoint.configuration,
                attributes: ["model": model.directory.lastPathComponent, "model_digest": model.digest], force: force)
        }
        let runner = try Engine(
            model.checkpoint, tokenizer: Tokenizer(directory: model.directory), options: engine.options, trace: writer)
        defer { runner.stop() }
        let counts = try node.answerAll(
            reader, by: [.init(id: node.name, answering: runner)], engine: runner, ledger: node.ledger(output))
        try writer?.finish()
        try node.writeRecord(output)
        return counts
    }

    /// This rank's part: rank 0 reads, hands out and writes; the others compute. Counts are rank 0's.
    func answerInJob(model: String, output: URL) throws -> RunOutput.Counts? {
        try inJob(jobFlags, stages: engine.stages) { job in
            if let consensus, consensus != job.place.replicas {
                throw EngineError.invalidOption(
                    name: "--consensus", expected: "\(job.place.replicas), the job's pipelines", got: "\(consensus)")
            }
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
            let reader = try requests()
            let model = try OpenedModel(model)
            // In a vote each replica has a node and a key of its own; those of other processes sign there.
            let voting = try consensus.map { _ in
                try voters.enumerated().map { index, voter in
                    try AnsweringNode(self, model: model, name: voter.node, key: index == 0 ? voter.key : nil)
                }
            }
            let node = try voting?[0] ?? AnsweringNode(self, model: model, name: nodeID, key: signingKey)
            let (runner, others) = try job.lead(
                JobWork(model.checkpoint, options: engine.options, format: jobFlags.wire),
                tokenizer: Tokenizer(directory: model.directory))
            defer { runner.stop() }
            let pipelines: [any Answering] = [OwnPipeline(job, runner)] + others
            if let voting {
                return try answerByConsensus(of: voting, by: pipelines, signing: others, engine: runner, job: job)
            }
            let nodes = pipelines.enumerated().map { index, pipeline in
                SnapshotRun.Node(id: others.isEmpty ? nodeID : "\(nodeID)-\(index + 1)", answering: pipeline)
            }
            let counts = try node.answerAll(reader, by: nodes, engine: runner, ledger: node.ledger(output), job: job)
            let elsewhere = Dictionary(uniqueKeysWithValues: zip(nodes.dropFirst().map(\.id), others))
            try node.writeRecord(output, elsewhere: elsewhere)
            return counts
        }
    }

    /// Looks at every file of the input, so that a missing one is said before a large model is read.
    private func requests() throws -> RequestReader {
        try RequestReader(
            paths: snapshots, computesFacts: true, looksAhead: horizonFlags.parsed() != nil, every: every?.seconds,
            task: task, news: news.map { try NewsFeed(path: $0) })
    }
}

extension Run {
    /// The models of the replicas; empty without a vote.
    var replicas: [String] {
        consensusModels.isEmpty ? consensus.map { Array(repeating: model!, count: $0) } ?? [] : consensusModels
    }

    /// Each replica's name, folder and key.
    private var voters: [(node: String, folder: URL, key: String?)] {
        replicas.indices.map { index in
            (
                "\(nodeID)-\(index + 1)", URL(fileURLWithPath: output).appending(path: "replica-\(index + 1)"),
                signingKey.map { "\($0)-\(index + 1)" }
            )
        }
    }

    /// One replica after the other, so that only one model is in memory.
    func answerByConsensus() throws -> RunOutput.Counts {
        try vote(
            zip(voters, replicas).map { voter, model in
                try answerAll(model: model, output: voter.folder, node: voter.node, key: voter.key)
            })
    }

    /// A pipeline of the job for each replica, all at once; each signs what it has answered.
    /// - Parameter others: the pipelines but the first.
    private func answerByConsensus(
        of nodes: [AnsweringNode], by pipelines: [any Answering], signing others: [RemotePipeline], engine: Engine,
        job: Job
    ) throws -> RunOutput.Counts {
        let folders = voters.map(\.folder)
        // What refuses one folder is said before any replica begins.
        let ledgers = try zip(nodes, folders).map { try $0.ledger($1) }
        return try vote(
            onThreads(nodes.count) { index in
                let node = nodes[index]
                let counts = try node.answerAll(
                    requests(), by: [.init(id: node.name, answering: pipelines[index])], engine: engine,
                    ledger: ledgers[index], job: job, pipeline: index)
                try node.writeRecord(folders[index], elsewhere: index == 0 ? [:] : [node.name: others[index - 1]])
                return counts
            })
    }

    private func vote(_ counts: [RunOutput.Counts]) throws -> RunOutput.Counts {
        for (voter, counts) in zip(voters, counts) {
            note("\(voter.node): \(counts.answers) answered, \(counts.rejected) rejected")
        }
        let summary = try ConsensusRun.write(
            voters.map { ($0.node, $0.folder) }, threshold: consensusThreshold, to: URL(fileURLWithPath: output))
        note(
            "\(summary.reached) of \(summary.requests) by consensus, \(summary.unanimous) unanimously: "
                + "\(output)/consensus.jsonl")
        var all = RunOutput.Counts()
        all.rejected = counts.map(\.rejected).max() ?? 0
        return all
    }
}

/// A checkpoint, and the digest by which answers name it.
private struct OpenedModel {
    let directory: URL
    let checkpoint: Checkpoint
    let digest: String

    init(_ path: String) throws {
        directory = URL(fileURLWithPath: path)
        checkpoint = try Checkpoint(directory: directory)
        digest = try checkpoint.digest()
    }
}

/// What one node's run reads and is configured by.
private struct AnsweringNode {
    let run: Run
    let model: OpenedModel
    let name: String
    /// Signs for it.
    let key: NodeKey
    let prompts: PromptSet
    let cache: CachedAnswers?
    let horizons: Horizons?
    let configuration: AnswerConfiguration

    init(_ run: Run, model: OpenedModel, name: String, key: String?) throws {
        self.run = run
        self.model = model
        self.name = name
        let news = try run.news.map { try NewsFeed(path: $0) }
        let calibration = try ModelCalibration(model: model.directory)
        prompts = try PromptSet(
            PromptLibrary(directory: PromptLibrary.folder(run.prompts, model: model.directory)),
            template: ChatTemplate(directory: model.directory, override: run.engine.chatTemplate), task: run.task,
            language: run.language, calibration: calibration)
        horizons = try run.horizonFlags.parsed()
        configuration = AnswerConfiguration(
            modelDigest: model.digest, prompts: prompts, calibration: calibration, model: model.directory, nodeID: name,
            options: try run.engine.options,
            task: run.task.rawValue + (run.urgency.map { _ in ", \(run.taskClass?.rawValue ?? "by task")" } ?? "")
                + (news.map { ", news \($0.digest)" } ?? ""),
            every: run.every?.seconds,
            // Rounded hidden states make other answers, and where they are rounded matters.
            wire: run.jobFlags.wire == .fp16 ? "fp16 between \(run.engine.stages) stages" : nil, horizons: horizons)
        let settled = configuration
        cache = try run.cache.map {
            CachedAnswers(try AnswerCache(URL(fileURLWithPath: $0)), configuration: settled)
        }
        self.key = try NodeKey(keptIn: key)
    }

    /// It empties what is to be written anew: to be opened after everything else that can fail.
    func ledger(_ output: URL) throws -> RunLedger {
        try RunLedger(
            directory: output, existing: run.resume ? .resume : run.force ? .overwrite : .refuse,
            configuration: configuration)
    }

    func answerAll(
        _ reader: RequestReader, by nodes: [SnapshotRun.Node], engine: Engine, ledger: RunLedger, job: Job? = nil,
        pipeline: Int? = nil
    ) throws -> RunOutput.Counts {
        let work = SnapshotRun(
            nodes: nodes, prompts: try prompts.contextual(nodes[0].answering), modelDigest: model.digest,
            urgency: run.urgency, cache: cache, horizons: horizons)
        // One of several that answer side by side shows it for all.
        let progress = pipeline ?? 0 == 0 ? Progress("answers", total: nil) : nil
        defer { progress?.finish() }
        let counts = try LedgeredRun(
            run: work, ledger: ledger, inFlight: run.engine.batch * 2, engine: engine, node: name, job: job,
            pipeline: pipeline
        )
        .answerAll(reader, traced: run.trace != nil) { progress?.update($0.answers) }
        if let file = reader.startedAnew {
            note("\(file) begins before the last recording ended: its facts start anew")
        }
        if reader.scrubbed.total > 0 {
            note("\(reader.scrubbed.total) cookies, keys and wallet identities scrubbed from the recordings")
        }
        if let cache, cache.hits > 0 { note("\(cache.hits) answers from the cache") }
        if let without = horizons?.predictionsWithout, without > 0 {
            note(
                "predictions without horizons: \(without); their requests bring facts of their own, or no time, and no "
                    + "recording to forecast from")
        }
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
