import ArgumentParser
import Foundation
import Runtime
import ToolSupport

struct Generate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Continue one prompt.",
        discussion: """
            EXAMPLES
              qinfer generate models/SmolLM2 --prompt "The Qubic network is"
              qinfer generate models/SmolLM2 --chat --prompt "What is a quorum?" \\
                --temperature 0.7 --seed 1
            """)

    @Argument(help: "Directory of a Hugging Face checkpoint.")
    var model: String

    @Option(help: "The text to continue, or with --chat the user's message.")
    var prompt: String?

    @Option(help: ArgumentHelp("Token numbers instead of a text.", valueName: "1,2,3"))
    var promptTokens: String?

    @Flag(help: "Render the prompt through the checkpoint's chat template.")
    var chat = false

    @Option(help: "The system message, with --chat.")
    var system: String?

    @Option(help: ArgumentHelp("Most tokens to write.", valueName: "count"))
    var maxTokens = 128

    @Option(help: "0 takes the likeliest token each time.")
    var temperature: Float = 0

    @Option(help: "Draw among the k likeliest tokens; 0 for all.")
    var topK = 0

    @Option(help: "Draw among the likeliest tokens that sum up to this probability.")
    var topP: Float = 1

    @Option(help: "Same seed, same text.")
    var seed: UInt64 = 0

    @Option(help: ArgumentHelp("End before this text; can be given several times.", valueName: "text"))
    var stop: [String] = []

    @Option(help: ArgumentHelp("Write activations to this HDF5 file.", valueName: "FILE.h5"))
    var trace: String?

    @Option(help: "What the trace holds: logits, residuals, full (with attention patterns).")
    var traceLevel = TraceLevel.residuals

    @Flag(help: "Replace an existing trace.")
    var force = false

    @Flag(help: "Print JSON: prompt_tokens, tokens, text, timings_ms.")
    var json = false

    @OptionGroup var engine: EngineFlags

    func validate() throws {
        guard (prompt == nil) != (promptTokens == nil) else {
            throw ValidationError("give either --prompt or --prompt-tokens")
        }
        guard maxTokens >= 1 else { throw ValidationError("--max-tokens: expected at least 1, got \(maxTokens)") }
        guard !chat || prompt != nil else { throw ValidationError("--chat needs --prompt") }
    }

    func run() async throws {
        try await reportingErrorsAsync {
            let directory = URL(fileURLWithPath: model)
            let checkpoint = try Checkpoint(directory: directory)
            let tokenizer = try Tokenizer(directory: directory)
            let tokens = try tokenize(tokenizer, directory)
            let writer = try trace.map {
                try Trace(
                    url: URL(fileURLWithPath: $0), level: traceLevel, model: checkpoint.configuration,
                    attributes: ["model": directory.lastPathComponent, "model_digest": try checkpoint.digest()],
                    force: force)
            }
            let runner = try Engine(checkpoint, tokenizer: tokenizer, options: engine.options, trace: writer)
            defer { runner.stop() }
            let completion = try await runner.run(
                Request(
                    id: "prompt",
                    program: [.tokens(tokens), .generate(name: "text", maxTokens: maxTokens, stop: stop)],
                    sampling: Sampling(temperature: temperature, topK: topK, topP: topP, seed: seed),
                    traced: trace != nil))
            try writer?.finish()
            let text = completion.texts[0]
            if json {
                print(try GenerateOutput(prompt: tokens, text: text, timings: completion.timings).json())
            } else {
                print(text.text)
            }
        }
    }

    private func tokenize(_ tokenizer: Tokenizer, _ directory: URL) throws -> [Int32] {
        if let promptTokens {
            return try promptTokens.split(separator: ",").map { part in
                guard let token = Int32(part.trimmingCharacters(in: .whitespaces)) else {
                    throw ValidationError("--prompt-tokens: expected numbers with commas between, got \"\(part)\"")
                }
                return token
            }
        }
        guard chat else { return tokenizer.encode(prompt!) }
        let template = try ChatTemplate(directory: directory, override: engine.chatTemplate)
        var messages = system.map { [ChatMessage(role: "system", content: $0)] } ?? []
        messages.append(ChatMessage(role: "user", content: prompt!))
        return tokenizer.encode(try template.render(messages, addGenerationPrompt: true), addSpecialTokens: false)
    }
}

/// What `generate --json` prints.
private struct GenerateOutput: Encodable {
    let promptTokens: [Int32]
    let tokens: [Int32]
    let text: String
    let finishReason: String
    let timings: [String: Double]

    enum CodingKeys: String, CodingKey {
        case promptTokens = "prompt_tokens"
        case tokens, text
        case finishReason = "finish_reason"
        case timings = "timings_ms"
    }

    init(prompt: [Int32], text: GeneratedText, timings: RequestTimings) {
        promptTokens = prompt
        tokens = text.tokens
        self.text = text.text
        finishReason = text.finishReason.rawValue
        self.timings = [
            "queue": timings.queue, "prefill": timings.prefill, "decode": timings.decode, "total": timings.total,
            "ttft": timings.timeToFirstToken,
        ].mapValues { ($0 * 1e6).rounded() / 1e3 }
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}
