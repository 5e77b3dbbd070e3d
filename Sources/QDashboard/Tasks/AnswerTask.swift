/// What is asked of the network's state. The names are those of requests, prompt files and results.
public enum AnswerTask: String, Sendable, CaseIterable {
    case analysis, prediction, anomaly, oracle, ask

    /// The label that nodes vote on, and whose confidence the answer has; a question has none.
    public var mainChoice: String? {
        switch self {
        case .analysis: "sentiment"
        case .prediction: "direction"
        case .anomaly: "kind"
        case .oracle: "sentiment"
        case .ask: nil
        }
    }

    /// The text that the model writes.
    public var text: String { self == .ask ? "answer" : "analysis" }
}
