import QDashboard

/// An answer as it is scored: nothing of how it came about.
public struct TaskAnswer: Sendable, Equatable {
    public struct Choice: Sendable, Equatable {
        public var name: String
        public var values: [String]
        /// In the order of `values`.
        public var probabilities: [Double]
        public var said: String

        public init(name: String, values: [String], probabilities: [Double], said: String) {
            (self.name, self.values, self.probabilities, self.said) = (name, values, probabilities, said)
        }
    }

    public var id: String
    public var task: String
    public var language: String
    public var choices: [Choice]
    public var text: String
    public var grounding: GroundingRecord?
    /// What the request says of the network.
    public var facts: Facts

    public init(
        id: String, task: String, language: String, choices: [Choice], text: String, grounding: GroundingRecord?,
        facts: Facts
    ) {
        self.id = id
        self.task = task
        self.language = language
        self.choices = choices
        self.text = text
        self.grounding = grounding
        self.facts = facts
    }
}
