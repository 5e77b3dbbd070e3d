import Foundation

/// The texts of a tokenizer's first and last token.
struct SpecialTexts: Sendable {
    var bos: String
    var eos: String
}

/// How a family of templates writes a conversation; its variants are read off the template's own text.
enum ChatStyle: Sendable {
    /// `<|im_start|>role … <|im_end|>`; some put a system message of their own first.
    case chatML(defaultSystem: String?)
    /// `<|start_header_id|>role<|end_header_id|>`, contents trimmed. The first version always begins the assistant's turn.
    case llama3(alwaysPrompts: Bool)
    /// Llama 3.1: the same, with a system message that always comes and begins with two fixed dates.
    case llama31
    case deepSeekR1(DeepSeek)
    case mistral(Mistral)

    struct DeepSeek: Sendable {
        /// Whether the assistant's turn begins with `<think>`.
        var thinks = true
        /// Whether all system messages are joined; else the last one counts.
        var joinsSystem = false
    }

    struct Mistral: Sendable {
        enum System: Sendable { case refused, first, last }
        /// Around a user's message.
        var opening = "[INST] "
        var closing = "[/INST]"
        /// Before and after an assistant's message; its end token stands between.
        var answerPrefix = " "
        var answerSuffix = ""
        var trimsAnswers = true
        /// Which message of the conversation takes the system message, if it is a user's.
        var system = System.last
    }

    /// A kind that was asked for by name: its newest variant.
    init(_ kind: ChatTemplate.Kind) {
        switch kind {
        case .chatML: self = .chatML(defaultSystem: nil)
        case .llama3: self = .llama3(alwaysPrompts: false)
        case .llama31: self = .llama31
        case .deepSeekR1: self = .deepSeekR1(DeepSeek())
        case .mistral: self = .mistral(Mistral())
        }
    }

    var takesSystemMessage: Bool {
        if case .mistral(let mistral) = self { return mistral.system != .refused }
        return true
    }
}

// MARK: - Recognising

extension ChatStyle {
    /// Nil for a template that none of the styles renders exactly.
    static func recognise(_ source: String) -> (ChatTemplate.Kind, ChatStyle)? {
        if source.contains("<｜User｜>"), source.contains("<｜Assistant｜>") {
            // The version of May 2025 places the assistant's marker by looking ahead.
            guard !source.contains("is_last_user"), source.contains("split('</think>')") else { return nil }
            let style = DeepSeek(
                thinks: source.contains("<｜Assistant｜><think>"), joinsSystem: source.contains("is_first_sp"))
            return (.deepSeekR1, .deepSeekR1(style))
        }
        if source.contains("<|start_header_id|>") {
            if source.contains("Cutting Knowledge Date: December 2023") {
                // Llama 3.2 asks the clock for the date: the same prompt would not give the same bytes.
                return source.contains("strftime_now") ? nil : (.llama31, .llama31)
            }
            guard !source.contains("tools"), source.contains("trim") else { return nil }
            return (.llama3, .llama3(alwaysPrompts: !source.contains("add_generation_prompt")))
        }
        if source.contains("<|im_start|>") {
            // Reasoning models take their old thoughts out of the conversation, others trim: neither is this style.
            guard !source.contains("</think>"), !source.contains("trim") else { return nil }
            return (.chatML, .chatML(defaultSystem: defaultSystem(of: source)))
        }
        return Mistral(source).map { (.mistral, .mistral($0)) }
    }

    /// The text between a ChatML template's own system marker and its end: "<|im_start|>system\\nYou are …<|im_end|>".
    private static func defaultSystem(of source: String) -> String? {
        let opening = #/<\|im_start\|>system(?:\\n|\n)([^'"{}|<]+)<\|im_end\|>/#
        return source.firstMatch(of: opening).map { String($0.1) }
    }
}

extension ChatStyle.Mistral {
    /// Reads the pieces off expressions such as `"[INST] " + message["content"] + "[/INST]"`.
    init?(_ source: String) {
        let user = #/["']( ?\[INST\] ?)["'] ?\+ ?message\[["']content["']\] ?\+ ?["']( ?\[/INST\])["']/#
        let answer =
            #/(?:["']( )["'] ?\+ ?)?message\[["']content["']\]( ?\| ?trim)? ?\+ ?eos_token(?: ?\+ ?["']( )["'])?/#
        guard let user = source.firstMatch(of: user), let answer = source.firstMatch(of: answer) else { return nil }
        opening = String(user.1)
        closing = String(user.2)
        answerPrefix = answer.1.map(String.init) ?? ""
        trimsAnswers = answer.2 != nil
        answerSuffix = answer.3.map(String.init) ?? ""
        if source.contains("loop.last and system_message is defined") {
            system = .last
        } else if source.contains("loop.first and system_message is defined") {
            system = .first
        } else {
            guard !source.contains("system") else { return nil }
            system = .refused
        }
    }
}

// MARK: - Rendering

extension ChatStyle {
    func render(_ messages: [ChatMessage], addGenerationPrompt: Bool, _ special: SpecialTexts) throws -> String {
        switch self {
        case .chatML(let defaultSystem):
            var text = ""
            if messages.first?.role != "system", let defaultSystem {
                text += "<|im_start|>system\n\(defaultSystem)<|im_end|>\n"
            }
            for message in messages { text += "<|im_start|>\(message.role)\n\(message.content)<|im_end|>\n" }
            return addGenerationPrompt ? text + "<|im_start|>assistant\n" : text
        case .llama3(let alwaysPrompts):
            return special.bos + messages.map(Self.llamaTurn).joined()
                + (addGenerationPrompt || alwaysPrompts ? Self.llamaAssistant : "")
        case .llama31:
            let system = messages.first.flatMap { $0.role == "system" ? $0.content : nil }
            let dates = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
            return special.bos + "<|start_header_id|>system<|end_header_id|>\n\n" + dates
                + Self.trimmed(system ?? "") + "<|eot_id|>"
                + messages.dropFirst(system == nil ? 0 : 1).map(Self.llamaTurn).joined()
                + (addGenerationPrompt ? Self.llamaAssistant : "")
        case .deepSeekR1(let style):
            return special.bos + style.render(messages, addGenerationPrompt)
        case .mistral(let style):
            return special.bos + (try style.render(messages, special))
        }
    }

    private static let llamaAssistant = "<|start_header_id|>assistant<|end_header_id|>\n\n"

    private static func llamaTurn(_ message: ChatMessage) -> String {
        "<|start_header_id|>\(message.role)<|end_header_id|>\n\n\(trimmed(message.content))<|eot_id|>"
    }

    /// As Jinja's `trim`: Python's whitespace.
    fileprivate static func trimmed(_ text: String) -> String {
        text.trimmingCharacters(
            in: .whitespacesAndNewlines.union(CharacterSet(charactersIn: "\u{1C}\u{1D}\u{1E}\u{1F}")))
    }
}

extension ChatStyle.DeepSeek {
    fileprivate func render(_ messages: [ChatMessage], _ addGenerationPrompt: Bool) -> String {
        let systems = messages.filter { $0.role == "system" }.map(\.content)
        var text = joinsSystem ? systems.joined(separator: "\n\n") : systems.last ?? ""
        for message in messages {
            switch message.role {
            case "user": text += "<｜User｜>" + message.content
            case "assistant":
                // What it thought is not shown to it again.
                let answer = message.content.components(separatedBy: "</think>").last ?? ""
                text += "<｜Assistant｜>" + answer + "<｜end▁of▁sentence｜>"
            default: continue
            }
        }
        guard addGenerationPrompt else { return text }
        return text + "<｜Assistant｜>" + (thinks ? "<think>\n" : "")
    }
}

extension ChatStyle.Mistral {
    fileprivate func render(_ messages: [ChatMessage], _ special: SpecialTexts) throws -> String {
        var turns = messages[...]
        var systemMessage: String?
        if system != .refused, turns.first?.role == "system" { systemMessage = turns.removeFirst().content }
        var text = ""
        for (index, message) in turns.enumerated() {
            let expected = index % 2 == 0 ? "user" : "assistant"
            guard message.role == expected else {
                throw ChatTemplateError.roles(
                    template: ChatTemplate.Kind.mistral.rawValue, expected: "\(expected) at turn \(index + 1)",
                    got: message.role)
            }
            if expected == "user" {
                let takesSystem = index == (system == .first ? 0 : turns.count - 1)
                let before = takesSystem ? systemMessage.map { $0 + "\n\n" } ?? "" : ""
                text += opening + before + message.content + closing
            } else {
                let answer = trimsAnswers ? ChatStyle.trimmed(message.content) : message.content
                text += answerPrefix + answer + special.eos + answerSuffix
            }
        }
        return text
    }
}
