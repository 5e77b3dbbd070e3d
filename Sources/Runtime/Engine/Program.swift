/// Labels among which the model picks one by its own likelihood.
public struct ChoiceSet: Sendable, Equatable, Codable {
    /// What is chosen, e.g. "sentiment"; answers refer to the choice by it.
    public let name: String
    /// The texts that may be appended, verbatim: a label that needs a space before it begins with one.
    public let labels: [String]

    public init(name: String, labels: [String]) {
        self.name = name
        self.labels = labels
    }
}

/// One step of what the engine does for a request; the steps run in order on one sequence.
public enum ProgramStep: Sendable, Equatable, Codable {
    /// Appended to the prompt verbatim (already chat-rendered).
    case text(String)
    /// Appended to the prompt as it is: for callers that bring tokens.
    case tokens([Int32])
    /// The model picks a label by its likelihood; the chosen label is appended.
    case choose(ChoiceSet)
    /// The model writes up to `maxTokens` tokens, ending before the first of the `stop` texts or at its end token.
    case generate(name: String, maxTokens: Int, stop: [String])
    /// The model writes JSON of this shape. Where `maxTokens` do not suffice, the text is closed on the shortest way, so
    /// that it keeps to the schema all the same.
    case json(name: String, schema: JSONSchema, maxTokens: Int)
}
