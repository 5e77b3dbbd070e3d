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

/// The vote over the finished runs of several nodes.
public struct ConsensusRun: Sendable {
    /// Fewer cannot outvote a wrong one.
    public static let fewestReplicas = 3
    /// Two of three agree.
    public static let defaultThreshold = 0.6

    public struct Summary: Sendable, Equatable {
        public var requests = 0
        public var reached = 0
        /// Requests where all nodes gave the same label.
        public var unanimous = 0
        /// Mean over the requests.
        public var agreement = 0.0
        /// Requests where confidence would have decided otherwise.
        public var weightedOtherwise = 0
    }

    /// Writes consensus.jsonl (a line a request, in the input's order as far as the first node knows it) and
    /// consensus.json (the whole) into `directory`.
    ///
    /// - Parameter replicas: each node's name and the folder of its run.
    /// - Throws: `RecordError`, `FileWriteError`.
    @discardableResult
    public static func write(
        _ replicas: [(node: String, folder: URL)], threshold: Double = defaultThreshold, to directory: URL
    ) throws -> Summary {
        var ids: [String] = []
        var votes: [String: [Int: Vote]] = [:]
        for (index, replica) in replicas.enumerated() {
            let results = replica.folder.appending(path: "results.jsonl")
            for (number, line) in try RecordFile.lines(results).enumerated() {
                guard let answer = (try? JSONValue(parsing: line, place: "")).flatMap(AnswerRecord.init) else {
                    throw RecordError.malformed(
                        place: "\(results.path), line \(number + 1)", expected: "an answer", got: nil)
                }
                if votes[answer.id] == nil { ids.append(answer.id) }
                votes[answer.id, default: [:]][index] = Vote(
                    node: replica.node, label: answer.vote.isEmpty ? nil : answer.vote,
                    confidence: answer.main == nil ? 1 : answer.confidence)
            }
        }
        var summary = Summary()
        let file = try AtomicFile(directory.appending(path: "consensus.jsonl"))
        for id in ids {
            let consensus = Consensus(
                id: id,
                votes: replicas.enumerated().map { index, replica in
                    votes[id]?[index] ?? Vote(node: replica.node, label: nil, confidence: 0)
                }, threshold: threshold)
            try file.write(consensus.json.serialized(indent: nil) + [0x0A])
            summary.requests += 1
            summary.reached += consensus.isReached ? 1 : 0
            summary.unanimous += consensus.dissent.isEmpty ? 1 : 0
            summary.agreement += consensus.agreement
            summary.weightedOtherwise += consensus.weighted != consensus.majority ? 1 : 0
        }
        if summary.requests > 0 { summary.agreement /= Double(summary.requests) }
        try file.commit()
        let whole = object([
            ("replicas", .array(replicas.map { .string($0.node) })), ("threshold", .number(threshold)),
            ("requests", .integer(summary.requests)), ("consensus", .integer(summary.reached)),
            ("no_consensus", .integer(summary.requests - summary.reached)),
            ("unanimous", .integer(summary.unanimous)), ("agreement", .number(summary.agreement)),
            ("weighted_otherwise", .integer(summary.weightedOtherwise)),
        ])
        try AtomicFile.write(whole.serialized() + [0x0A], to: directory.appending(path: "consensus.json"))
        return summary
    }
}
