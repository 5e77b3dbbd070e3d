import Foundation

/// One message of a conversation.
public struct ChatMessage: Sendable, Codable, Equatable {
    public var role: String
    public var content: String

    public init(role: String, content: String) {
        self.role = role
        self.content = content
    }
}

/// What can go wrong with a chat template.
public enum ChatTemplateError: WordedError, Equatable {
    case missing(directory: String)
    case unknown(place: String)
    case unknownName(String)
    case roles(template: String, expected: String, got: String)
    case file(path: String, problem: String)

    private static let advice =
        "choose one with --chat-template \(ChatTemplate.Kind.allCases.map(\.rawValue).joined(separator: "|"))"

    public var wording: Wording {
        switch self {
        case .missing(let directory): Wording(directory, "the checkpoint has no chat template", advice: Self.advice)
        case .unknown(let place): Wording(place, "this chat template is not supported", advice: Self.advice)
        case .unknownName(let name):
            Wording("--chat-template", "no template has this name", got: name, advice: Self.advice)
        case .roles(let template, let expected, let got):
            Wording(
                "messages", "the \(template) template does not take this order of roles", expected: expected, got: got)
        case .file(let path, let problem): Wording(path, problem)
        }
    }
}

/// Renders conversations as a checkpoint's own template does, for the templates that are recognised by their markers.
public struct ChatTemplate: Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        case chatML = "chatml"
        case llama3
        case deepSeekR1 = "deepseek-r1"
        case mistral
    }

    public let kind: Kind
    private let bosToken: String
    private let eosToken: String
    /// What the template puts first where the conversation has no system message.
    private let defaultSystem: String?

    /// - Throws: `ChatTemplateError`: no template, or one that is not recognised and no name given.
    public init(directory: URL, override name: String? = nil) throws {
        let settings = try Self.settings(directory)
        bosToken = Self.token(settings["bos_token"])
        eosToken = Self.token(settings["eos_token"])
        if let name {
            guard let kind = Kind(rawValue: name) else { throw ChatTemplateError.unknownName(name) }
            self.kind = kind
            defaultSystem = nil
            return
        }
        let file = directory.appending(path: "chat_template.jinja")
        let source: String
        let place: String
        if FileManager.default.fileExists(atPath: file.path) {
            source = String(decoding: try Self.read(file), as: UTF8.self)
            place = file.path
        } else if let text = settings["chat_template"]?.string {
            source = text
            place = directory.appending(path: "tokenizer_config.json").path
        } else {
            throw ChatTemplateError.missing(directory: directory.path)
        }
        guard let kind = Self.recognise(source) else { throw ChatTemplateError.unknown(place: place) }
        self.kind = kind
        defaultSystem = kind == .chatML ? Self.defaultSystem(of: source) : nil
    }

    /// The conversation as text, with the beginning of the assistant's turn if wanted.
    public func render(_ messages: [ChatMessage], addGenerationPrompt: Bool) throws -> String {
        switch kind {
        case .chatML:
            var text = ""
            if messages.first?.role != "system", let defaultSystem {
                text += "<|im_start|>system\n\(defaultSystem)<|im_end|>\n"
            }
            for message in messages { text += "<|im_start|>\(message.role)\n\(message.content)<|im_end|>\n" }
            return addGenerationPrompt ? text + "<|im_start|>assistant\n" : text
        case .llama3:
            var text = bosToken
            for message in messages {
                text += "<|start_header_id|>\(message.role)<|end_header_id|>\n\n"
                text += message.content.trimmingCharacters(in: .whitespacesAndNewlines) + "<|eot_id|>"
            }
            return addGenerationPrompt ? text + "<|start_header_id|>assistant<|end_header_id|>\n\n" : text
        case .deepSeekR1:
            var text = bosToken + (messages.last { $0.role == "system" }?.content ?? "")
            for message in messages {
                switch message.role {
                case "user": text += "<｜User｜>" + message.content
                case "assistant":
                    let answer = message.content.components(separatedBy: "</think>").last ?? ""
                    text += "<｜Assistant｜>" + answer + "<｜end▁of▁sentence｜>"
                default: continue
                }
            }
            return addGenerationPrompt ? text + "<｜Assistant｜><think>\n" : text
        case .mistral:
            var text = bosToken
            for (index, message) in messages.enumerated() {
                let expected = index % 2 == 0 ? "user" : "assistant"
                guard message.role == expected else {
                    throw ChatTemplateError.roles(
                        template: kind.rawValue, expected: "\(expected) at turn \(index + 1)", got: message.role)
                }
                text += expected == "user" ? "[INST] \(message.content) [/INST]" : message.content + eosToken
            }
            return text
        }
    }

    private static func recognise(_ source: String) -> Kind? {
        if source.contains("<｜User｜>"), source.contains("<｜Assistant｜>") { return .deepSeekR1 }
        if source.contains("<|start_header_id|>") { return source.contains("tools") ? nil : .llama3 }
        // Templates with tools render differently where tools are given, and the same where they are not.
        if source.contains("<|im_start|>") { return .chatML }
        if source.contains("'[INST] '"), !source.contains("tools") { return .mistral }
        return nil
    }

    /// The text between a ChatML template's own system marker and its end: "<|im_start|>system\nYou are …<|im_end|>".
    private static func defaultSystem(of source: String) -> String? {
        let opening = #/<\|im_start\|>system(?:\\n|\n)([^'"{}|<]+)<\|im_end\|>/#
        return source.firstMatch(of: opening).map { String($0.1) }
    }

    private static func settings(_ directory: URL) throws -> JSONObject {
        let file = directory.appending(path: "tokenizer_config.json")
        guard FileManager.default.fileExists(atPath: file.path) else { return [:] }
        guard let object = try JSONValue(parsing: try read(file), place: file.path).object else {
            throw ChatTemplateError.file(path: file.path, problem: "is not a JSON object")
        }
        return object
    }

    private static func read(_ file: URL) throws -> Data {
        do {
            return try Data(contentsOf: file)
        } catch {
            throw ChatTemplateError.file(path: file.path, problem: error.localizedDescription)
        }
    }

    /// A special token is a text, or an object that holds one.
    private static func token(_ value: JSONValue?) -> String { value?.string ?? value?["content"]?.string ?? "" }
}
