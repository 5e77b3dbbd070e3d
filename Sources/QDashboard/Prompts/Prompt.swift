import Runtime

/// The language that an answer is asked in.
public enum Language: String, Sendable, CaseIterable {
    case english = "en"
    /// Traditional Chinese.
    case chinese = "zh"
}

/// One prompt file, read: what is said to the model, and what the model decides and writes.
public struct Prompt: Sendable, Equatable {
    /// A choice that the model makes: labels as the model sees them, values as results name them.
    public struct Choice: Sendable, Equatable {
        public let name: String
        public let options: [Option]
        public var scoring = Scoring()

        /// How the prompt file wants labels to be weighed.
        public struct Scoring: Sendable, Equatable {
            public var perToken = false
            /// A text in place of the facts that says nothing, of which the labels' own worth is taken; nil for none.
            public var contentFree: String?
        }

        public struct Option: Sendable, Equatable {
            /// As results name it, e.g. "positive".
            public let value: String
            /// As it is appended for the model, e.g. " positive" or "正面".
            public let label: String
        }
    }

    /// A text that the model writes.
    public struct Generation: Sendable, Equatable {
        public let name: String
        public let maxTokens: Int
        public let stop: [String]
        /// Whether the model writes slots in place of numbers (`FactSlots`).
        public var hasSlots = false
    }

    /// A piece of the answer that is begun for the model.
    package enum AnswerPart: Sendable, Equatable {
        case text(String)
        case choose(Choice)
        case generate(Generation)
    }

    /// A line of facts: said only where all its facts are there.
    package struct FactLine: Sendable, Equatable {
        package enum Piece: Sendable, Equatable {
            case text(String)
            case fact(name: String, style: FactStyle)
        }
        package var pieces: [Piece]

        /// Each piece as the prompt says it; nil where one of the facts is not there.
        func said(of facts: Facts) -> [String]? {
            var said: [String] = []
            for piece in pieces {
                switch piece {
                case .text(let literal): said.append(literal)
                case .fact(let name, let style):
                    guard let value = facts[name] else { return nil }
                    said.append(style.text(value))
                }
            }
            return said
        }
    }

    public let name: String
    public let language: Language
    public let version: Int
    /// SHA-256 over the file's text (lines ended by LF) and the version of the rules that turn it into a program.
    public let digest: String
    /// For messages.
    public let file: String

    package let messages: [ChatMessage]
    package let answer: [AnswerPart]
    package let factLines: [FactLine]

    public var choices: [Choice] { answer.compactMap { if case .choose(let choice) = $0 { choice } else { nil } } }

    /// Whether a text has slots.
    var hasSlots: Bool {
        answer.contains { if case .generate(let generation) = $0 { generation.hasSlots } else { false } }
    }

    /// The facts as the prompt says them, one a line.
    public func text(of facts: Facts) -> String {
        factLines.compactMap { $0.said(of: facts)?.joined() }.joined(separator: "\n")
    }

    /// Rendered once for a model; the programs of all requests come from it.
    ///
    /// Throws what `render` throws, and `PromptError.templateDropsText`.
    public func prepared(for template: ChatTemplate) throws -> PreparedPrompt {
        try prepared {
            try template.render(
                template.takesSystemMessage ? $0 : Self.withoutSystem($0), addGenerationPrompt: true)
        }
    }

    /// The system message put before the user's first one, for templates that know none.
    private static func withoutSystem(_ messages: [ChatMessage]) -> [ChatMessage] {
        guard let system = messages.first, system.role == "system" else { return messages }
        var rest = Array(messages.dropFirst())
        if let user = rest.firstIndex(where: { $0.role == "user" }) {
            rest[user].content = system.content + "\n\n" + rest[user].content
        }
        return rest
    }

    /// As above, with the rendering given: messages to text, the beginning of the assistant's turn included.
    public func prepared(render: ([ChatMessage]) throws -> String) throws -> PreparedPrompt {
        let rendered = try render(messages)
        let parts = rendered.split(separator: Self.factsPlace, omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw PromptError.templateDropsText(file: file) }
        var ending = String(parts[1])
        // DeepSeek-R1's template begins the answer inside of a thought. The labels are asked for without one.
        if ending.hasSuffix("<think>\n") { ending += "\n</think>\n\n" }
        return PreparedPrompt(prompt: self, fixedPrefix: String(parts[0]), ending: ending)
    }

    /// What the engine does for a request. For many requests, prepare once instead.
    public func program(for request: AnalysisRequest, template: ChatTemplate) throws -> [ProgramStep] {
        try prepared(for: template).program(for: request)
    }

    /// Where the facts come in, in `messages`. No prompt file and no fact can spell it: it holds a character that neither
    /// may contain.
    package static let factsPlace = "\u{E000}facts\u{E000}"
}

/// A prompt rendered for one model's chat template.
public struct PreparedPrompt: Sendable, Equatable {
    public let prompt: Prompt
    /// The text that all programs of this prompt begin with.
    public let fixedPrefix: String
    private let ending: String
    /// How each choice's labels are weighed, by its name.
    public var scoring: [String: ChoiceScoring] = [:]
    /// Leaves out what is written after the last choice.
    public var labelsOnly = false

    init(prompt: Prompt, fixedPrefix: String, ending: String) {
        self.prompt = prompt
        self.fixedPrefix = fixedPrefix
        self.ending = ending
        for choice in prompt.choices { scoring[choice.name] = ChoiceScoring(perToken: choice.scoring.perToken) }
    }

    public func program(for request: AnalysisRequest) -> [ProgramStep] { program(for: request.allFacts) }

    public func program(for facts: Facts) -> [ProgramStep] {
        let steps = program(saying: prompt.text(of: facts))
        guard labelsOnly, let last = steps.lastIndex(where: \.isChoice) else { return steps }
        return Array(steps[...last])
    }

    /// What is asked to learn what labels are worth of themselves, and of which choices; nil where none wants that.
    var contentFree: (program: [ProgramStep], choices: Set<String>)? {
        let asking = prompt.choices.filter { $0.scoring.contentFree != nil }
        guard let text = asking.first?.scoring.contentFree else { return nil }
        let steps = program(saying: text)
        guard let last = steps.lastIndex(where: \.isChoice) else { return nil }
        return (Array(steps[...last]), Set(asking.map(\.name)))
    }

    private func program(saying text: String) -> [ProgramStep] {
        var steps: [ProgramStep] = [.text(fixedPrefix + text + ending)]
        for part in prompt.answer {
            switch part {
            case .text(let text):
                // The first one joins what the template ends with: a tokenizer must see them together.
                if case .text(let before)? = steps.last {
                    steps[steps.count - 1] = .text(before + text)
                } else {
                    steps.append(.text(text))
                }
            case .choose(let choice):
                steps.append(
                    .choose(
                        ChoiceSet(
                            name: choice.name, labels: choice.options.map(\.label),
                            scoring: scoring[choice.name] ?? ChoiceScoring())))
            case .generate(let generation):
                steps.append(
                    .generate(name: generation.name, maxTokens: generation.maxTokens, stop: generation.stop))
            }
        }
        return steps
    }
}

extension ProgramStep {
    var isChoice: Bool { if case .choose = self { true } else { false } }
}
