import Foundation
import QDashboard
import Reporting
import Runtime
import ToolSupport

extension Run {
    /// One node's run: opens what it needs, answers, and writes the record.
    func answerAll(model: String, output: URL, node: String, key: String?) throws -> RunOutput.Counts {
        let directory = URL(fileURLWithPath: model)
        let reader = try RequestReader(paths: snapshots, computesFacts: true, every: every?.seconds)
        let checkpoint = try Checkpoint(directory: directory)
        let digest = try checkpoint.digest()
        let calibration = try ModelCalibration(model: directory)
        let prompts = try PromptSet(
            PromptLibrary(directory: PromptLibrary.folder(self.prompts, model: directory)),
            template: ChatTemplate(directory: directory, override: engine.chatTemplate), task: task,
            language: language, calibration: calibration)
        let writer = try trace.map {
            try Trace(
                url: URL(fileURLWithPath: $0), level: traceLevel, model: checkpoint.configuration,
                attributes: ["model": directory.lastPathComponent, "model_digest": digest], force: force)
        }
        let signer = try key.map { try NodeKey(file: URL(fileURLWithPath: $0)) } ?? NodeKey()
        let runner = try Engine(
            checkpoint, tokenizer: Tokenizer(directory: directory), options: engine.options, trace: writer)
        defer { runner.stop() }
        let configuration = AnswerConfiguration(
            modelDigest: digest, prompts: prompts, calibration: calibration, model: directory, nodeID: node,
            options: engine.options,
            task: task.rawValue + (deadlines == .on ? ", \(taskClass.rawValue)" : ""), every: every?.seconds)
        let known = try cache.map {
            CachedAnswers(try AnswerCache(URL(fileURLWithPath: $0)), configuration: configuration)
        }
        // Last: it empties what is to be written anew.
        let ledger = try RunLedger(
            directory: output, existing: resume ? .resume : force ? .overwrite : .refuse, configuration: configuration,
            nodeID: node)
        let run = SnapshotRun(
            engine: runner, prompts: try prompts.contextual(runner), modelDigest: digest, nodeID: node,
            urgency: deadlines == .on ? taskClass : nil, cache: known)
        let progress = Progress("answers", total: nil)
        defer { progress.finish() }
        let counts = try LedgeredRun(run: run, ledger: ledger, inFlight: engine.batch * 2)
            .answerAll(reader, traced: trace != nil) { progress.update($0.answers) }
        if reader.scrubbed.total > 0 {
            note("\(reader.scrubbed.total) cookies, keys and wallet identities scrubbed from the recordings")
        }
        if let known, known.hits > 0 { note("\(known.hits) answers from the cache") }
        try writer?.finish()
        try RunRecord.write(directory: output, configuration: configuration) { _ in signer }
        return counts
    }
}
