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

    @Option(help: "Draw among tokens at least this fraction as likely as the best.")
    var minP: Float = 0

    @Option(help: "Above 1: tokens that were there already become less likely.")
    var repetitionPenalty: Float = 1

    @Option(help: "Same seed, same text.")
    var seed: UInt64 = 0

    @Option(help: ArgumentHelp("End before this text; can be given several times.", valueName: "text"))
    var stop: [String] = []

    @Option(help: ArgumentHelp("Hold the text to this JSON Schema.", valueName: "FILE.json"))
    var jsonSchema: String?

    @Option(
        help: ArgumentHelp(
            "With --json: each token's log-probability, and this many likeliest ones beside it.", valueName: "count"))
    var logprobs: Int?

    @Option(help: ArgumentHelp("Write activations to this HDF5 file.", valueName: "FILE.h5"))
    var trace: String?

    @Option(help: "What the trace holds: logits, residuals, full (with attention patterns).")
    var traceLevel = TraceLevel.residuals

    @Flag(help: "Replace an existing trace.")
    var force = false

    @Flag(help: "Print JSON: prompt_tokens, tokens, text, logprobs, timings_ms.")
    var json = false

    @OptionGroup var engine: EngineFlags

    func validate() throws {
        guard (prompt == nil) != (promptTokens == nil) else {
            throw ValidationError("give either --prompt or --prompt-tokens")
        }
        guard maxTokens >= 1 else { throw ValidationError("--max-tokens: expected at least 1, got \(maxTokens)") }
        guard jsonSchema == nil || stop.isEmpty else { throw ValidationError("--json-schema takes no --stop") }
        guard logprobs == nil || json else { throw ValidationError("--logprobs needs --json") }
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
            let step: ProgramStep
            if let jsonSchema {
                let data = try Data(contentsOf: URL(fileURLWithPath: jsonSchema))
                let schema = try JSONSchema(parsing: data, place: jsonSchema)
                step = .json(name: "text", schema: schema, maxTokens: maxTokens)
            } else {
                step = .generate(name: "text", maxTokens: maxTokens, stop: stop)
            }
            var request = Request(
                id: "prompt", program: [.tokens(tokens), step],
                sampling: Sampling(
                    temperature: temperature, topK: topK, topP: topP, minP: minP,
                    repetitionPenalty: repetitionPenalty, seed: seed),
                traced: trace != nil)
            request.logProbabilities = logprobs
            let completion = try await runner.run(request)
            try writer?.finish()
            let text = completion.texts[0]
            if json {
                print(
                    try GenerateOutput(prompt: tokens, text: text, timings: completion.timings, tokenizer: tokenizer)
                        .json())
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
    let logprobs: [TokenLine]?
    /// Tokens guessed by prompt lookup, and those of them that were right.
    let drafted, accepted: Int
    let timings: [String: Double]

    /// A token with its log-probability, and the likeliest ones in its place; names as in OpenAI's API.
    struct TokenLine: Encodable {
        struct Alternative: Encodable {
            let id: Int32
            let token: String
            let logprob: Double
        }

        let id: Int32
        let token: String
        let logprob: Double
        let top: [Alternative]

        enum CodingKeys: String, CodingKey {
            case id, token, logprob
            case top = "top_logprobs"
        }
    }

    enum CodingKeys: String, CodingKey {
        case promptTokens = "prompt_tokens"
        case tokens, text, logprobs
        case drafted = "drafted_tokens"
        case accepted = "accepted_tokens"
        case finishReason = "finish_reason"
        case timings = "timings_ms"
    }

    init(prompt: [Int32], text: GeneratedText, timings: RequestTimings, tokenizer: Tokenizer) {
        promptTokens = prompt
        tokens = text.tokens
        self.text = text.text
        finishReason = text.finishReason.rawValue
        func spelling(_ token: Int32) -> String { tokenizer.decode([token], skipSpecialTokens: false) }
        let lines = text.logProbabilities.map { picked in
            TokenLine(
                id: picked.token, token: spelling(picked.token), logprob: picked.logProbability ?? 0,
                top: picked.alternatives.map {
                    TokenLine.Alternative(id: $0.token, token: spelling($0.token), logprob: $0.logProbability)
                })
        }
        logprobs = lines.isEmpty ? nil : lines
        drafted = timings.draftedTokens
        accepted = timings.acceptedTokens
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
