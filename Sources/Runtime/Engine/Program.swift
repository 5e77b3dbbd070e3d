import Foundation

/// Labels among which the model picks one by its own likelihood.
public struct ChoiceSet: Sendable, Equatable {
    /// What is chosen, e.g. "sentiment"; answers refer to the choice by it.
    public let name: String
    /// The texts that may be appended, verbatim: a label that needs a space before it begins with one.
    public let labels: [String]
    public let scoring: ChoiceScoring

    public init(name: String, labels: [String], scoring: ChoiceScoring = ChoiceScoring()) {
        self.name = name
        self.labels = labels
        self.scoring = scoring
    }
}

/// How the likelihoods of labels become a choice and its probabilities.
public struct ChoiceScoring: Sendable, Equatable {
    /// The mean over a label's tokens, rather than their sum: for labels of different lengths.
    public var perToken = false
    /// Taken off each label's log-probability; as many as labels, or none.
    public var offsets: [Double] = []
    /// The scores are divided by it before the softmax; the choice stays.
    public var temperature = 1.0

    public init(perToken: Bool = false, offsets: [Double] = [], temperature: Double = 1) {
        (self.perToken, self.offsets, self.temperature) = (perToken, offsets, temperature)
    }

    /// - Parameters: log-probabilities of labels, and how many tokens each has.
    /// - Returns: a score for each, the likeliest label's the highest, and their softmax.
    func weigh(_ logProbabilities: [Double], tokens: [Int]) -> (scores: [Double], probabilities: [Double]) {
        precondition(offsets.isEmpty || offsets.count == logProbabilities.count)
        let scores = logProbabilities.indices.map { index in
            (logProbabilities[index] - (offsets.isEmpty ? 0 : offsets[index]))
                / (perToken ? Double(max(tokens[index], 1)) : 1)
        }
        let top = scores.max()!
        let weights = scores.map { exp(($0 - top) / temperature) }
        let total = weights.reduce(0, +)
        return (scores, weights.map { $0 / total })
    }
}

/// One step of what the engine does for a request; the steps run in order on one sequence.
public enum ProgramStep: Sendable, Equatable {
    /// Appended to the prompt verbatim (already chat-rendered).
    case text(String)
    /// Appended to the prompt as it is: for callers that bring tokens.
    case tokens([Int32])
    /// The model picks a label by its likelihood; the chosen label is appended.
    case choose(ChoiceSet)
    /// The model writes up to `maxTokens` tokens, ending before the first of the `stop` texts or at its end token.
    case generate(name: String, maxTokens: Int, stop: [String])
    /// As `generate`, and no number is spelled but these; a number that `maxTokens` cut short is left out of the text.
    case generateWithNumbers(name: String, maxTokens: Int, stop: [String], numbers: NumberSpellings)
    /// The model writes JSON of this shape. Where `maxTokens` do not suffice, the text is closed on the shortest way, so
    /// that it keeps to the schema all the same.
    case json(name: String, schema: JSONSchema, maxTokens: Int)
}
