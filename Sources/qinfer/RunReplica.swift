import Foundation
import QDashboard
import Runtime
import ToolSupport

extension Run {
    /// One node's run: opens what it needs, answers, and writes the record.
    func answerAll(model: String, output: URL, node: String, key: String?) throws -> RunOutput.Counts {
        let directory = URL(fileURLWithPath: model)
        let reader = try RequestReader(paths: snapshots)
        let checkpoint = try Checkpoint(directory: directory)
        let digest = try checkpoint.digest()
        let prompt = try PromptLibrary(directory: URL(fileURLWithPath: prompts)).analysis(language: language)
            .prepared(for: ChatTemplate(directory: directory, override: engine.chatTemplate))
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
            modelDigest: digest, prompt: prompt, model: directory, nodeID: node, options: try engine.options,
            task: deadlines == .on ? "analysis, \(taskClass.rawValue)" : "analysis")
        // Last: it empties what is to be written anew.
        let ledger = try RunLedger(
            directory: output, existing: resume ? .resume : force ? .overwrite : .refuse, configuration: configuration,
            nodeID: node)
        let run = SnapshotRun(
            engine: runner, prompt: prompt, modelDigest: digest, nodeID: node,
            urgency: deadlines == .on ? taskClass : nil)
        let progress = Progress("answers", total: nil)
        defer { progress.finish() }
        let counts = try LedgeredRun(run: run, ledger: ledger, inFlight: engine.batch * 2)
            .answerAll(reader, traced: trace != nil) { progress.update($0.answers) }
        if reader.scrubbed.total > 0 {
            note("\(reader.scrubbed.total) cookies, keys and wallet identities scrubbed from the recordings")
        }
        try writer?.finish()
        try RunRecord.write(directory: output, configuration: configuration) { _ in signer }
        return counts
    }
}
