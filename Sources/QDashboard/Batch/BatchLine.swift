import Foundation
import Runtime

/// Lines of a batch's output file, in the API's shape.
struct BatchLine {
    /// Lines are told by the input's line: a row without a usable custom_id has one too.
    static func id(line: Int) -> String { "batch_req_\(line)" }

    /// The model's name, and what decided the answer beside the row: a batch is resumed by the same only.
    var model: String
    var fingerprint: String

    func answer(_ row: BatchRow, line: Int, _ completion: Completion, tokenizer: Tokenizer, created: Int) -> JSONValue {
        let text = completion.texts[0]
        var choice: [(String, JSONValue)] = [
            ("index", .integer(0)),
            (
                "message",
                object([("role", .string("assistant")), ("content", .string(text.text)), ("refusal", .null)])
            ),
        ]
        choice.append(
            (
                "logprobs",
                row.topLogProbabilities == nil
                    ? .null : object([("content", .array(Self.tokens(text, tokenizer))), ("refusal", .null)])
            ))
        choice.append(("finish_reason", .string(text.finishReason == .stop ? "stop" : "length")))
        let body = object([
            ("id", .string("chatcmpl-\(line)")), ("object", .string("chat.completion")), ("created", .integer(created)),
            ("model", .string(model)), ("choices", .array([object(choice)])),
            (
                "usage",
                object([
                    ("prompt_tokens", .integer(completion.promptTokens)),
                    ("completion_tokens", .integer(completion.outputTokens)),
                    ("total_tokens", .integer(completion.promptTokens + completion.outputTokens)),
                ])
            ), ("system_fingerprint", .string(fingerprint)),
        ])
        return self.line(line, row.customID, status: 200, body, error: .null)
    }

    func failure(_ error: BatchError, line: Int, customID: String?) -> JSONValue {
        let parameter: JSONValue = error.parameter.map(JSONValue.string) ?? .null
        let body = object([
            (
                "error",
                object([
                    ("message", .string(error.message)), ("type", .string("invalid_request_error")),
                    ("param", parameter), ("code", .string(error.code)),
                ])
            )
        ])
        return self.line(
            line, customID, status: 400, body,
            error: object([("code", .string(error.code)), ("message", .string(error.message)), ("param", parameter)]))
    }

    private func line(_ line: Int, _ customID: String?, status: Int, _ body: JSONValue, error: JSONValue) -> JSONValue {
        object([
            ("id", .string(Self.id(line: line))), ("custom_id", customID.map(JSONValue.string) ?? .null),
            (
                "response",
                object([
                    ("status_code", .integer(status)), ("request_id", .string("req_\(line)")), ("body", body),
                ])
            ), ("error", error),
        ])
    }

    /// The tokens of the text itself: those behind a stop text are none of it.
    private static func tokens(_ text: GeneratedText, _ tokenizer: Tokenizer) -> [JSONValue] {
        func entry(_ token: Int32, _ logProbability: Double, _ more: [(String, JSONValue)] = []) -> JSONValue {
            let bytes = tokenizer.bytes(of: token, skipSpecialTokens: false).map(Array.init) ?? []
            // JSON has no −∞; the API writes −9999 for what is as good as impossible.
            let value = logProbability.isFinite ? max(logProbability, -9999) : -9999
            return object(
                [
                    ("token", .string(tokenizer.decode([token], skipSpecialTokens: false))),
                    ("bytes", .array(bytes.map { .integer(Int($0)) })), ("logprob", .number(value)),
                ] + more)
        }
        var left = text.text.utf8.count
        return text.logProbabilities.prefix { picked in
            defer { left -= tokenizer.bytes(of: picked.token, skipSpecialTokens: true)?.count ?? 0 }
            return left > 0
        }.map { picked in
            entry(
                picked.token, picked.logProbability ?? 0,
                [("top_logprobs", .array(picked.alternatives.map { entry($0.token, $0.logProbability) }))])
        }
    }
}
