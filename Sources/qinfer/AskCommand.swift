import ArgumentParser
import Foundation
import QDashboard
import Reporting
import Runtime
import ToolSupport

struct AskCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ask", abstract: "Answer a question over recordings, from their facts.",
        discussion: """
            Every number of the answer is checked against the facts. Where one is
            none of them, the answer is written again with its digits held to the
            facts; what stays is said on standard error, and "grounded" is false.

            EXAMPLES
              qinfer ask models/SmolLM2 "How is the network doing?" \\
                --snapshots Datasets/recorded/latest_stats.jsonl
              qinfer ask models/SmolLM2 "目前網路狀況如何？" \\
                --snapshots Datasets/recorded/poller.jsonl --json
            """)

    @Argument(help: "Directory of a Hugging Face checkpoint.")
    var model: String

    @Argument(help: "In English or Chinese, at most \(Question.limit) characters.")
    var question: String

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Recordings: HAR, JSON Lines, bodies, .gz, folders.", valueName: "file"))
    var snapshots: [String]

    @Option(help: "Language of the answer: en or zh. (default: the question's)")
    var language: Language?

    @Option(
        help: ArgumentHelp(
            "Directory of the prompts. (default: the model's own, else Datasets/prompts)", valueName: "dir"))
    var prompts: String?

    @Option(
        help: ArgumentHelp("Serve answers known already from this SQLite file, and keep new ones.", valueName: "file"))
    var cache: String?

    @Flag(help: "Print JSON: the answer, its numbers and their facts, the facts.")
    var json = false

    @OptionGroup var engine: EngineFlags

    func run() async throws {
        let rejected = try await reportingErrorsAsync {
            let question = try Question(question)
            let reader = try RequestReader(paths: snapshots, digestsInput: false)
            let facts = try Facts.of(reader)
            let answer = try await answer(question, facts, reader.paths)
            print(json ? String(decoding: answer.json.serialized(), as: UTF8.self) : answer.answer)
            if !answer.grounding.isGrounded {
                note("warning: no fact bears out " + answer.grounding.ungrounded.joined(separator: ", "))
            }
            if answer.cached { note("from the cache") }
            return reader.rejected
        }
        if rejected > 0 {
            note("\(rejected) records of the recordings were rejected; see qinfer inspect")
            throw ExitCode.doneWithRejections
        }
    }

    private func answer(_ question: Question, _ facts: Facts, _ paths: [String]) async throws -> AskAnswer {
        let directory = URL(fileURLWithPath: model)
        let checkpoint = try Checkpoint(directory: directory)
        let digest = try checkpoint.digest()
        let prompt = try PromptLibrary(directory: PromptLibrary.folder(prompts, model: directory))
            .prompt("ask", language: language ?? question.language)
            .prepared(for: ChatTemplate(directory: directory, override: engine.chatTemplate))
        let configuration = AnswerConfiguration(
            modelDigest: digest, prompts: PromptSet(prompt), calibration: ModelCalibration(), model: directory,
            nodeID: "", options: try engine.options, task: "ask")
        let known = try cache.map {
            CachedAnswers(try AnswerCache(URL(fileURLWithPath: $0)), configuration: configuration)
        }
        let runner = try Engine(checkpoint, tokenizer: Tokenizer(directory: directory), options: engine.options)
        defer { runner.stop() }
        return try await Asking(engine: runner, prompt: prompt, modelDigest: digest, cache: known)
            .answer(question, facts: facts, paths: paths)
    }
}
