import Runtime

/// A line of results.jsonl: an answer, with nothing in it that varies from run to run. What the model said and what was
/// computed stand apart: `computed` is arithmetic, everything else that judges is the model's.
public struct AnswerRecord: Sendable, Equatable {
    /// A label and the model's normalized probability for it.
    public struct Probability: Sendable, Equatable {
        public let label: String
        public let value: Double

        public init(_ label: String, _ value: Double) { (self.label, self.value) = (label, value) }
    }

    /// A choice that the model made.
    public struct Choice: Sendable, Equatable {
        /// As the prompt names it, e.g. "sentiment".
        public let name: String
        /// In the prompt's order; empty where the deadline came before it.
        public let probabilities: [Probability]
        public let label: String
        /// The label's probability, 0–1.
        public let confidence: Double

        /// The likeliest label.
        public init(_ name: String, _ probabilities: [Probability]) {
            let best = probabilities.max { $0.value < $1.value }
            self.init(name, label: best?.label ?? "", confidence: best?.value ?? 0, probabilities)
        }

        public init(_ name: String, label: String, confidence: Double, _ probabilities: [Probability]) {
            (self.name, self.label, self.confidence, self.probabilities) = (name, label, confidence, probabilities)
        }
    }

    public var id: String
    public var task: AnswerTask
    public var language: Language
    /// The model's text; of a question its answer.
    public var analysis: String
    public var choices: [Choice]
    public var nodeID: String
    public var promptTokens: Int
    public var outputTokens: Int
    /// SHA-256, hex.
    public var modelDigest: String
    /// SHA-256, hex.
    public var promptDigest: String
    /// Why the text ended: "stop", "length" or "timeout".
    public var finishReason: String
    /// What was computed of the facts, without a model; nil where there is nothing.
    public var computed: JSONValue?
    /// Whether the text's numbers are facts that the prompt showed; nil where it was not checked.
    public var grounding: GroundingRecord?

    public init(
        id: String, task: AnswerTask, language: Language, analysis: String, choices: [Choice], nodeID: String,
        promptTokens: Int, outputTokens: Int, modelDigest: String, promptDigest: String, finishReason: String,
        computed: JSONValue? = nil, grounding: GroundingRecord? = nil
    ) {
        (self.id, self.task, self.language, self.analysis, self.choices) = (id, task, language, analysis, choices)
        (self.nodeID, self.promptTokens, self.outputTokens) = (nodeID, promptTokens, outputTokens)
        (self.modelDigest, self.promptDigest, self.finishReason) = (modelDigest, promptDigest, finishReason)
        (self.computed, self.grounding) = (computed, grounding)
    }

    /// An analysis with one choice.
    public init(
        id: String, analysis: String, sentiment: String, confidence: Double, nodeID: String, promptTokens: Int,
        outputTokens: Int, modelDigest: String, promptDigest: String, probabilities: [Probability],
        finishReason: String, grounding: GroundingRecord? = nil
    ) {
        self.init(
            id: id, task: .analysis, language: .english, analysis: analysis,
            choices: [Choice("sentiment", label: sentiment, confidence: confidence, probabilities)], nodeID: nodeID,
            promptTokens: promptTokens, outputTokens: outputTokens, modelDigest: modelDigest,
            promptDigest: promptDigest, finishReason: finishReason, grounding: grounding)
    }

    /// The choice that nodes vote on: the task's, else the prompt's first.
    public var main: Choice? { choices.first { $0.name == task.mainChoice } ?? choices.first }
    /// The main choice's label; empty where there is none, or the deadline came before it.
    public var label: String { main?.label ?? "" }
    /// What nodes vote on: the label; of a question, which has none, the answer itself.
    public var vote: String { main == nil ? analysis : label }
    /// The main choice's confidence; 0 without one.
    public var confidence: Double { main?.confidence ?? 0 }
    /// The model's own word on the sentiment; empty where it was not asked for one.
    public var sentiment: String { choices.first { $0.name == "sentiment" }?.label ?? "" }

    /// Choices that stand at the top by their names; others are in `choices` alone.
    private static let shown = ["sentiment", "direction", "kind", "severity", "risk"]

    /// The keys always in this order, numbers as the shortest text that reads back as the same number.
    ///
    /// Throws `OutputError.notANumber` for NaN and infinities, which JSON does not have.
    public func json() throws -> JSONValue {
        var all = JSONObject()
        for choice in choices {
            var probabilities = JSONObject()
            for probability in choice.probabilities {
                probabilities[probability.label] = try finite(
                    probability.value, "probability of \(probability.label)")
            }
            all[choice.name] = object([
                ("label", .string(choice.label)), ("confidence", try finite(choice.confidence, "confidence")),
                ("probabilities", .object(probabilities)),
            ])
        }
        var members: [(String, JSONValue)] = [
            ("id", .string(id)), ("task", .string(task.rawValue)), ("language", .string(language.rawValue)),
            (task.text, .string(analysis)),
        ]
        for choice in choices where Self.shown.contains(choice.name) {
            members.append((choice.name, .string(choice.label)))
        }
        if let main { members.append(("confidence", try finite(main.confidence, "confidence"))) }
        members += [
            ("node_id", .string(nodeID)), ("prompt_tokens", .integer(promptTokens)),
            ("output_tokens", .integer(outputTokens)), ("model_digest", .string(modelDigest)),
            ("prompt_digest", .string(promptDigest)), ("choices", .object(all)),
            ("finish_reason", .string(finishReason)),
        ]
        if let grounding { members.append(("grounding", grounding.json)) }
        if let computed { members.append(("computed", computed)) }
        return object(members)
    }

    /// Nil where it is no such record.
    public init?(_ value: JSONValue) {
        guard let id = value["id"]?.string, let task = value["task"]?.string.flatMap(AnswerTask.init(rawValue:)),
            let language = value["language"]?.string.flatMap(Language.init(rawValue:)),
            let analysis = value[task.text]?.string, let nodeID = value["node_id"]?.string,
            let promptTokens = value["prompt_tokens"]?.int, let outputTokens = value["output_tokens"]?.int,
            let modelDigest = value["model_digest"]?.string, let promptDigest = value["prompt_digest"]?.string,
            let all = value["choices"]?.object, let finishReason = value["finish_reason"]?.string
        else { return nil }
        var choices: [Choice] = []
        for (name, choice) in all.members {
            guard let label = choice["label"]?.string, let confidence = choice["confidence"]?.double,
                let members = choice["probabilities"]?.object
            else { return nil }
            let probabilities = members.members.compactMap { member in
                member.value.double.map { Probability(member.key, $0) }
            }
            guard probabilities.count == members.count else { return nil }
            choices.append(Choice(name, label: label, confidence: confidence, probabilities))
        }
        var grounding: GroundingRecord?
        if let member = value["grounding"] {
            grounding = GroundingRecord(member)
            if grounding == nil { return nil }
        }
        self.init(
            id: id, task: task, language: language, analysis: analysis, choices: choices, nodeID: nodeID,
            promptTokens: promptTokens, outputTokens: outputTokens, modelDigest: modelDigest,
            promptDigest: promptDigest, finishReason: finishReason, computed: value["computed"], grounding: grounding)
    }

    private func finite(_ value: Double, _ what: String) throws -> JSONValue {
        guard value.isFinite else { throw OutputError.notANumber(id: id, what: what, value: "\(value)") }
        return .number(value)
    }
}
