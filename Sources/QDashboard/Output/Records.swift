import Runtime

/// A line of results.jsonl: an answer, with nothing in it that varies from run to run.
public struct AnswerRecord: Sendable, Equatable {
    /// A label and the model's normalized probability for it.
    public struct Probability: Sendable, Equatable {
        public let label: String
        public let value: Double

        public init(_ label: String, _ value: Double) { (self.label, self.value) = (label, value) }
    }

    public var id: String
    public var analysis: String
    /// positive, neutral or negative; empty where the deadline came before the label.
    public var sentiment: String
    /// The chosen label's probability, 0–1.
    public var confidence: Double
    public var nodeID: String
    public var promptTokens: Int
    public var outputTokens: Int
    /// SHA-256, hex.
    public var modelDigest: String
    /// SHA-256, hex.
    public var promptDigest: String
    /// In the prompt's order.
    public var probabilities: [Probability]
    /// Why the text ended: "stop", "length" or "timeout".
    public var finishReason: String
    /// Whether the text's numbers are facts that the prompt showed; nil where it was not checked.
    public var grounding: GroundingRecord?

    public init(
        id: String, analysis: String, sentiment: String, confidence: Double, nodeID: String, promptTokens: Int,
        outputTokens: Int, modelDigest: String, promptDigest: String, probabilities: [Probability],
        finishReason: String, grounding: GroundingRecord? = nil
    ) {
        self.id = id
        self.analysis = analysis
        self.sentiment = sentiment
        self.confidence = confidence
        self.nodeID = nodeID
        self.promptTokens = promptTokens
        self.outputTokens = outputTokens
        self.modelDigest = modelDigest
        self.promptDigest = promptDigest
        self.probabilities = probabilities
        self.finishReason = finishReason
        self.grounding = grounding
    }

    /// The keys always in this order, numbers as the shortest text that reads back as the same number.
    ///
    /// Throws `OutputError.notANumber` for NaN and infinities, which JSON does not have.
    public func json() throws -> JSONValue {
        var labels = JSONObject()
        for probability in probabilities {
            labels[probability.label] = try finite(probability.value, "probability of \(probability.label)")
        }
        return object(
            [
                ("id", .string(id)), ("analysis", .string(analysis)), ("sentiment", .string(sentiment)),
                ("confidence", try finite(confidence, "confidence")), ("node_id", .string(nodeID)),
                ("prompt_tokens", .integer(promptTokens)), ("output_tokens", .integer(outputTokens)),
                ("model_digest", .string(modelDigest)), ("prompt_digest", .string(promptDigest)),
                ("label_probabilities", .object(labels)), ("finish_reason", .string(finishReason)),
            ] + (grounding.map { [("grounding", $0.json)] } ?? []))
    }

    /// Nil where it is no such record.
    public init?(_ value: JSONValue) {
        guard let id = value["id"]?.string, let analysis = value["analysis"]?.string,
            let sentiment = value["sentiment"]?.string, let confidence = value["confidence"]?.double,
            let nodeID = value["node_id"]?.string, let promptTokens = value["prompt_tokens"]?.int,
            let outputTokens = value["output_tokens"]?.int, let modelDigest = value["model_digest"]?.string,
            let promptDigest = value["prompt_digest"]?.string, let labels = value["label_probabilities"]?.object,
            let finishReason = value["finish_reason"]?.string
        else { return nil }
        let probabilities = labels.members.compactMap { member in
            member.value.double.map { Probability(member.key, $0) }
        }
        guard probabilities.count == labels.count else { return nil }
        var grounding: GroundingRecord?
        if let member = value["grounding"] {
            grounding = GroundingRecord(member)
            if grounding == nil { return nil }
        }
        self.init(
            id: id, analysis: analysis, sentiment: sentiment, confidence: confidence, nodeID: nodeID,
            promptTokens: promptTokens, outputTokens: outputTokens, modelDigest: modelDigest,
            promptDigest: promptDigest,
            probabilities: probabilities, finishReason: finishReason, grounding: grounding)
    }

    private func finite(_ value: Double, _ what: String) throws -> JSONValue {
        guard value.isFinite else { throw OutputError.notANumber(id: id, what: what, value: "\(value)") }
        return .number(value)
    }
}

/// A line of timings.jsonl: how long an answer took, joined to it by id. All in milliseconds.
public struct TimingRecord: Sendable, Equatable {
    public var id: String
    /// From arrival until work on it began.
    public var queue: Double
    public var prefill: Double
    public var decode: Double
    /// From arrival to the last token.
    public var total: Double
    /// From arrival to the first token.
    public var timeToFirstToken: Double
    /// Work of each pipeline stage, in the stages' order.
    public var stages: [Double]

    public init(
        id: String, queue: Double, prefill: Double, decode: Double, total: Double, timeToFirstToken: Double,
        stages: [Double]
    ) {
        self.id = id
        self.queue = queue
        self.prefill = prefill
        self.decode = decode
        self.total = total
        self.timeToFirstToken = timeToFirstToken
        self.stages = stages
    }

    /// Of an answer that the cache knew: it took no time.
    public static func cached(id: String) -> TimingRecord {
        TimingRecord(
            id: id, queue: .nan, prefill: .nan, decode: .nan, total: .nan, timeToFirstToken: .nan, stages: [])
    }

    /// The ledger keeps no times for such an answer, so that a resumed run knows it again.
    public var isCached: Bool { total.isNaN && queue.isNaN && stages.isEmpty }

    /// To the microsecond. A time that is no number is null: a broken clock must not lose an answer.
    public var json: JSONValue {
        func milliseconds(_ value: Double) -> JSONValue {
            value.isFinite ? .number((value * 1e3).rounded() / 1e3) : .null
        }
        return object(
            [
                ("id", .string(id)), ("queue_ms", milliseconds(queue)), ("prefill_ms", milliseconds(prefill)),
                ("decode_ms", milliseconds(decode)), ("total_ms", milliseconds(total)),
                ("ttft_ms", milliseconds(timeToFirstToken)), ("stages_ms", .array(stages.map(milliseconds))),
            ] + (isCached ? [("cached", .bool(true))] : []))
    }

    /// Nil where it is no such record.
    public init?(_ value: JSONValue) {
        func milliseconds(_ key: String) -> Double? { value[key].flatMap { $0.isNull ? .nan : $0.double } }
        guard let id = value["id"]?.string, let queue = milliseconds("queue_ms"),
            let prefill = milliseconds("prefill_ms"),
            let decode = milliseconds("decode_ms"), let total = milliseconds("total_ms"),
            let first = milliseconds("ttft_ms"), let stages = value["stages_ms"]?.array
        else { return nil }
        self.init(
            id: id, queue: queue, prefill: prefill, decode: decode, total: total, timeToFirstToken: first,
            stages: stages.map { $0.double ?? .nan })
    }
}

/// An object with its members in the given order.
func object(_ members: [(String, JSONValue)]) -> JSONValue {
    var object = JSONObject()
    for (key, value) in members { object[key] = value }
    return .object(object)
}
