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
    /// The names that `--chat-template` takes.
    public enum Kind: String, Sendable, CaseIterable {
        case chatML = "chatml"
        case llama3
        case llama31 = "llama3.1"
        case deepSeekR1 = "deepseek-r1"
        case mistral
    }

    /// The largest chat_template.jinja that is read, in bytes; known ones have some thousand.
    static let largestFile = 1 << 20

    public let kind: Kind
    private let style: ChatStyle
    private let special: SpecialTexts

    /// Whether a conversation may begin with a system message.
    public var takesSystemMessage: Bool { style.takesSystemMessage }

    /// - Parameter name: a kind to take in place of the checkpoint's own template.
    /// - Throws: `ChatTemplateError`: no template, or one that is not recognised and no name given.
    public init(directory: URL, override name: String? = nil) throws {
        let settings = try Self.settings(directory)
        special = SpecialTexts(bos: Self.token(settings["bos_token"]), eos: Self.token(settings["eos_token"]))
        if let name {
            guard let kind = Kind(rawValue: name) else { throw ChatTemplateError.unknownName(name) }
            self.kind = kind
            style = ChatStyle(kind)
            return
        }
        let file = directory.appending(path: "chat_template.jinja")
        let source: String
        let place: String
        if FileManager.default.fileExists(atPath: file.path) {
            source = String(decoding: try readText(file, limit: Self.largestFile), as: UTF8.self)
            place = file.path
        } else if let text = Self.template(settings["chat_template"]) {
            source = text
            place = directory.appending(path: "tokenizer_config.json").path
        } else {
            throw ChatTemplateError.missing(directory: directory.path)
        }
        guard let (kind, style) = ChatStyle.recognise(source) else { throw ChatTemplateError.unknown(place: place) }
        self.kind = kind
        self.style = style
    }

    /// The conversation as text, with the beginning of the assistant's turn if wanted.
    /// - Throws: `ChatTemplateError.roles` where the template refuses this order of roles.
    public func render(_ messages: [ChatMessage], addGenerationPrompt: Bool) throws -> String {
        try style.render(messages, addGenerationPrompt: addGenerationPrompt, special)
    }

    /// A text, or a list of named ones, of which "default" is for conversations.
    private static func template(_ value: JSONValue?) -> String? {
        value?.string ?? value?.array?.first { $0["name"]?.string == "default" }?["template"]?.string
    }

    private static func settings(_ directory: URL) throws -> JSONObject {
        let file = directory.appending(path: "tokenizer_config.json")
        guard FileManager.default.fileExists(atPath: file.path) else { return [:] }
        guard
            let object = try JSONValue(
                parsing: try readText(file, limit: Tokenizer.largestFile), place: file.path
            ).object
        else {
            throw ChatTemplateError.file(path: file.path, problem: "is not a JSON object")
        }
        return object
    }

    /// A special token is a text, or an object that holds one.
    private static func token(_ value: JSONValue?) -> String { value?.string ?? value?["content"]?.string ?? "" }
}
