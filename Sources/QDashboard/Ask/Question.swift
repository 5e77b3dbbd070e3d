import Runtime

/// A person's question over a recording.
public struct Question: Sendable, Equatable {
    /// Characters that a question may have.
    public static let limit = FactStyle.questionLimit

    public let text: String

    /// - Throws: `AskError` for a question without words, or a longer one.
    public init(_ text: String) throws {
        guard text.unicodeScalars.contains(where: { $0.properties.isAlphabetic || $0.properties.numericType != nil })
        else { throw AskError.empty }
        // A character can be made of any number of scalars.
        let length = max(text.count, text.unicodeScalars.count / 4)
        guard length <= Self.limit else { throw AskError.tooLong(characters: length, limit: Self.limit) }
        self.text = text
    }

    /// Chinese where it holds a Chinese character: English names stand in Chinese questions, and not the other way round.
    public var language: Language {
        let isChinese = text.unicodeScalars.contains { scalar in
            (0x4E00...0x9FFF).contains(scalar.value) || (0x3400...0x4DBF).contains(scalar.value)
                || (0x20000...0x2FA1F).contains(scalar.value)
        }
        return isChinese ? .chinese : .english
    }
}

/// Why a question is not answered.
public enum AskError: WordedError, Equatable {
    case empty
    case tooLong(characters: Int, limit: Int)
    /// A recording without a fact that the prompt knows.
    case noFacts(paths: [String])
    /// A prompt that writes no answer, or does not take the question.
    case prompt(file: String, problem: String)

    public var wording: Wording {
        switch self {
        case .empty: Wording("question", "holds no words", advice: "ask something, e.g. \"How is the network?\"")
        case .tooLong(let characters, let limit):
            Wording(
                "question", "is too long", expected: "at most \(limit) characters", got: "\(characters)",
                advice: "shorten it")
        case .noFacts(let paths):
            Wording(
                paths.joined(separator: ", "), "the recordings show no fact that the prompt knows",
                advice: "see them with qinfer inspect")
        case .prompt(let file, let problem): Wording(file, problem, advice: "see Datasets/prompts/ask.en.prompt")
        }
    }
}
