import Foundation
import Runtime

/// What a node says of one request.
public struct Vote: Sendable, Equatable {
    public let node: String
    /// Nil where it gave none: it rejected the request, or the deadline came first.
    public let label: String?
    /// 0–1.
    public let confidence: Double

    public init(node: String, label: String?, confidence: Double) {
        self.node = node
        self.label = label
        self.confidence = confidence
    }
}

/// What several nodes say together: a line of consensus.jsonl.
public struct Consensus: Sendable, Equatable {
    public let id: String
    /// The label with the most votes; of equally many, the one with more confidence, then the first by its letters. Nil
    /// where nobody voted.
    public let majority: String?
    /// The label with the largest sum of confidences.
    public let weighted: String?
    /// Votes for the majority's label, divided by the number of nodes, those without a vote included.
    public let agreement: Double
    /// Confidences for the weighted label, divided by all confidences.
    public let weightedAgreement: Double
    /// Whether the agreement reaches the threshold.
    public let isReached: Bool
    public let votes: [Vote]

    /// Those who did not vote with the majority.
    public var dissent: [Vote] { votes.filter { $0.label != majority || $0.label == nil } }

    public init(id: String, votes: [Vote], threshold: Double) {
        self.id = id
        self.votes = votes
        var counts: [String: Int] = [:]
        var weights: [String: Double] = [:]
        for vote in votes {
            guard let label = vote.label else { continue }
            counts[label, default: 0] += 1
            weights[label, default: 0] += vote.confidence
        }
        let labels = counts.keys.sorted()
        majority = labels.max { (counts[$0]!, weights[$0]!, $1) < (counts[$1]!, weights[$1]!, $0) }
        weighted = labels.max { (weights[$0]!, $1) < (weights[$1]!, $0) }
        agreement = majority.map { Double(counts[$0]!) / Double(votes.count) } ?? 0
        // Summed in one order: the order of a dictionary changes from run to run.
        let all = labels.reduce(0) { $0 + weights[$1]! }
        weightedAgreement = all > 0 ? weights[weighted!]! / all : 0
        isReached = majority != nil && agreement >= threshold
    }

    public var json: JSONValue {
        func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
        func json(_ vote: Vote) -> JSONValue {
            object([
                ("node_id", .string(vote.node)), ("label", text(vote.label)), ("confidence", .number(vote.confidence)),
            ])
        }
        return object([
            ("id", .string(id)), ("status", .string(isReached ? "consensus" : "no-consensus")),
            ("label", isReached ? text(majority) : .null), ("majority_label", text(majority)),
            ("weighted_label", text(weighted)), ("agreement", .number(agreement)),
            ("weighted_agreement", .number(weightedAgreement)), ("votes", .array(votes.map(json))),
            ("dissent", .array(dissent.map(json))),
        ])
    }
}
