import Foundation
import Runtime

/// What `generate --json` prints.
struct GenerateOutput: Encodable {
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
