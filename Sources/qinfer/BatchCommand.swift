import ArgumentParser
import Foundation
import QDashboard
import Runtime
import ToolSupport

struct BatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "batch", abstract: "Answer an OpenAI batch file (/v1/chat/completions).",
        discussion: """
            Takes messages, max_tokens, max_completion_tokens, temperature, top_p,
            seed, stop, n 1, logprobs, top_logprobs, response_format json_schema.
            A row that asks for more fails by that option's name, and alone. Rows
            are written as they are done. Status 2: rows failed.

            EXAMPLES
              qinfer batch models/SmolLM2 requests.jsonl --output answers.jsonl
              qinfer batch models/SmolLM2 requests.jsonl --output answers.jsonl \\
                --resume
            """)

    @Argument(help: "Directory of a Hugging Face checkpoint.")
    var model: String

    @Argument(help: ArgumentHelp("A request a line.", valueName: "input.jsonl"))
    var input: String

    @Option(help: ArgumentHelp("The file to write.", valueName: "file"))
    var output: String

    @Option(help: ArgumentHelp("Most tokens of rows that do not say.", valueName: "count"))
    var maxTokens = 512

    @Flag(help: "Go on with a batch that was interrupted.")
    var resume = false

    @Flag(help: "Replace an earlier output.")
    var force = false

    @OptionGroup var engine: EngineFlags

    func validate() throws {
        guard maxTokens >= 1 else { throw ValidationError("--max-tokens: expected at least 1, got \(maxTokens)") }
        guard URL(fileURLWithPath: input).standardizedFileURL != URL(fileURLWithPath: output).standardizedFileURL else {
            throw ValidationError("--output names the input")
        }
        if resume && force { throw ValidationError("give either --resume or --force") }
    }

    func run() async throws {
        let counts = try reportingErrors {
            let directory = URL(fileURLWithPath: model)
            let checkpoint = try Checkpoint(directory: directory)
            let tokenizer = try Tokenizer(directory: directory)
            let template = try ChatTemplate(directory: directory, override: engine.chatTemplate)
            let digest = try checkpoint.digest()
            let runner = try Engine(checkpoint, tokenizer: tokenizer, options: engine.options)
            defer { runner.stop() }
            let run = BatchRun(
                engine: runner, tokenizer: tokenizer, template: template, model: directory.lastPathComponent,
                digest: digest, maxTokens: maxTokens, inFlight: engine.batch * 2)
            let progress = Progress("rows", total: nil)
            defer { progress.finish() }
            return try run.answerAll(
                input, output: URL(fileURLWithPath: output), existing: resume ? .resume : force ? .overwrite : .refuse
            ) { progress.update($0.answered + $0.failed) }
        }
        let resumed = counts.resumed > 0 ? ", \(counts.resumed) of them before" : ""
        note("\(counts.answered) answered, \(counts.failed) failed\(resumed): \(output)")
        if counts.failed > 0 { throw ExitCode.doneWithRejections }
    }
}
