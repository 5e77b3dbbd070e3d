import Foundation
import Runtime

/// A row of an OpenAI batch file, as far as this engine can do what it asks.
public struct BatchRow: Sendable, Equatable {
    /// How the text is to be shaped.
    public enum Format: Sendable, Equatable {
        case text
        case json(JSONSchema)
    }

    public var customID: String
    public var messages: [ChatMessage]
    /// Nil where the row does not say.
    public var maxTokens: Int?
    public var sampling: Sampling
    public var stop: [String]
    /// Likeliest tokens beside each one; nil tells no probabilities.
    public var topLogProbabilities: Int?
    public var format: Format

    static let url = "/v1/chat/completions"
}

/// Why a row is not answered, in the API's words.
public struct BatchError: Error, Sendable, Equatable {
    /// E.g. `invalid_request_error`, `unsupported_parameter`.
    public var code: String
    public var message: String
    /// The option, as the row spells it.
    public var parameter: String?

    init(_ parameter: String?, _ message: String, code: String = "invalid_value") {
        (self.code, self.message, self.parameter) = (code, message, parameter)
    }

    static func unsupported(_ parameter: String, _ why: String = "is not supported") -> BatchError {
        BatchError(parameter, "\(parameter) \(why)", code: "unsupported_parameter")
    }
}

extension BatchRow {
    /// Options that change nothing about an answer here.
    private static let idle: Set = ["user", "metadata", "safety_identifier", "prompt_cache_key", "model"]
    /// Options taken at the value that asks for nothing.
    private static let neutral: [String: Set<String>] = [
        "n": ["1"], "stream": ["false"], "store": ["false"], "frequency_penalty": ["0", "0.0"],
        "presence_penalty": ["0", "0.0"], "logit_bias": ["{}"], "tools": ["[]"], "tool_choice": ["\"none\""],
        "service_tier": ["\"auto\"", "\"default\""], "modalities": ["[\"text\"]"],
        "parallel_tool_calls": ["true", "false"],
    ]

    /// Reads a row. A null option is one that is not there.
    ///
    /// - Throws: `BatchError`, naming the option.
    public init(_ row: JSONValue) throws {
        guard let id = row["custom_id"]?.string, !id.isEmpty else {
            throw BatchError("custom_id", "custom_id must be a text that is not empty")
        }
        customID = id
        guard row["method"]?.string == "POST" else { throw BatchError("method", "method must be \"POST\"") }
        guard row["url"]?.string == Self.url else { throw BatchError("url", "url must be \"\(Self.url)\"") }
        guard let body = row["body"]?.object else { throw BatchError("body", "body must be an object") }
        var options = JSONObject()
        for member in body.members where !member.value.isNull { options[member.key] = member.value }

        messages = try Self.messages(options["messages"])
        maxTokens = try Self.maxTokens(options)
        sampling = try Self.sampling(options)
        stop = try Self.stop(options["stop"])
        topLogProbabilities = try Self.logProbabilities(options)
        format = try Self.format(options["response_format"])
        if case .json = format, !stop.isEmpty {
            throw BatchError.unsupported("stop", "is not supported beside a JSON schema")
        }
        let read: Set = [
            "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop", "logprobs",
            "top_logprobs", "response_format",
        ]
        for member in options.members where !read.contains(member.key) && !Self.idle.contains(member.key) {
            guard let values = Self.neutral[member.key] else { throw BatchError.unsupported(member.key) }
            let text = String(decoding: member.value.serialized(indent: nil), as: UTF8.self)
            guard values.contains(text) else {
                throw BatchError.unsupported(
                    member.key, "is supported only as \(values.sorted().joined(separator: " or "))")
            }
        }
    }

    private static func messages(_ value: JSONValue?) throws -> [ChatMessage] {
        guard let list = value?.array, !list.isEmpty else {
            throw BatchError("messages", "messages must be a list that is not empty")
        }
        return try list.enumerated().map { index, message in
            let place = "messages[\(index)]"
            guard let object = message.object, let role = object["role"]?.string else {
                throw BatchError(place, "\(place) must be an object with a role")
            }
            guard ["system", "developer", "user", "assistant"].contains(role) else {
                throw BatchError.unsupported("\(place).role", "\"\(Quoting.plain(role, limit: 40))\" is not supported")
            }
            for member in object.members
            where !["role", "content", "refusal"].contains(member.key) && !member.value.isNull {
                throw BatchError.unsupported("\(place).\(member.key)")
            }
            if object["refusal"].map({ !$0.isNull }) == true { throw BatchError.unsupported("\(place).refusal") }
            return ChatMessage(
                role: role == "developer" ? "system" : role, content: try content(object["content"], place))
        }
    }

    private static func content(_ value: JSONValue?, _ place: String) throws -> String {
        if let text = value?.string { return text }
        guard let parts = value?.array else {
            throw BatchError("\(place).content", "\(place).content must be a text or a list of texts")
        }
        return try parts.enumerated().map { index, part in
            guard part["type"]?.string == "text", let text = part["text"]?.string else {
                throw BatchError.unsupported("\(place).content[\(index)]", "is no text")
            }
            return text
        }.joined()
    }

    private static func maxTokens(_ options: JSONObject) throws -> Int? {
        let counts = try ["max_tokens", "max_completion_tokens"].compactMap { name -> Int? in
            guard let value = options[name] else { return nil }
            guard let count = value.int, count >= 1 else {
                throw BatchError(name, "\(name) must be a whole number from 1")
            }
            return count
        }
        guard Set(counts).count < 2 else {
            throw BatchError("max_tokens", "max_tokens and max_completion_tokens differ; give one")
        }
        return counts.first
    }

    private static func sampling(_ options: JSONObject) throws -> Sampling {
        func number(_ name: String, _ range: ClosedRange<Double>, _ standard: Double) throws -> Double {
            guard let value = options[name] else { return standard }
            guard let number = value.double, range.contains(number) else {
                throw BatchError(
                    name, "\(name) must be a number from \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }
        // The API's own defaults.
        let topP = try number("top_p", 0...1, 1)
        guard topP > 0 else { throw BatchError("top_p", "top_p must be above 0") }
        let seed = try options["seed"].map { value in
            guard let seed = value.int else { throw BatchError("seed", "seed must be a whole number") }
            return seed
        }
        return Sampling(
            temperature: Float(try number("temperature", 0...2, 1)), topP: Float(topP),
            seed: UInt64(bitPattern: Int64(seed ?? 0)))
    }

    private static func stop(_ value: JSONValue?) throws -> [String] {
        guard let value else { return [] }
        let texts = value.string.map { [JSONValue.string($0)] } ?? value.array
        let stops = texts?.compactMap(\.string) ?? []
        guard let texts, stops.count == texts.count, stops.count <= 4, stops.allSatisfy({ !$0.isEmpty }) else {
            throw BatchError("stop", "stop must be a text or at most 4 of them, none empty")
        }
        return stops
    }

    private static func logProbabilities(_ options: JSONObject) throws -> Int? {
        let wanted = options["logprobs"]
        guard wanted == nil || wanted?.bool != nil else {
            throw BatchError("logprobs", "logprobs must be true or false")
        }
        guard let value = options["top_logprobs"] else { return wanted?.bool == true ? 0 : nil }
        guard let count = value.int, (0...20).contains(count) else {
            throw BatchError("top_logprobs", "top_logprobs must be a whole number from 0 to 20")
        }
        guard wanted?.bool == true else { throw BatchError("top_logprobs", "top_logprobs needs logprobs to be true") }
        return count
    }

    private static func format(_ value: JSONValue?) throws -> Format {
        guard let value else { return .text }
        let name = "response_format"
        switch value["type"]?.string {
        case "text": return .text
        case "json_object":
            throw BatchError.unsupported(
                "\(name).type", "\"json_object\" is not supported: give the shape as json_schema")
        case "json_schema":
            guard let schema = value["json_schema"]?["schema"] else {
                throw BatchError("\(name).json_schema.schema", "\(name).json_schema.schema is missing")
            }
            do {
                return .json(try JSONSchema(schema, place: "\(name).json_schema.schema"))
            } catch {
                throw BatchError("\(name).json_schema.schema", "\(error)")
            }
        default: throw BatchError("\(name).type", "\(name).type must be \"text\" or \"json_schema\"")
        }
    }
}
