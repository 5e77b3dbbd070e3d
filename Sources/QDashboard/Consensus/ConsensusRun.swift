import Crypto
import Foundation
import Runtime

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

        init(_ votes: [Consensus]) {
            requests = votes.count
            reached = votes.count(where: \.isReached)
            unanimous = votes.count { $0.dissent.isEmpty }
            weightedOtherwise = votes.count { $0.weighted != $0.majority }
            if requests > 0 { agreement = votes.reduce(0) { $0 + $1.agreement } / Double(requests) }
        }
    }

    public static let fileName = "consensus.jsonl"
    public static let summaryName = "consensus.json"

    /// Writes consensus.jsonl (a line a request, in the input's order as far as the first node knows it) and
    /// consensus.json (the whole) into `directory`.
    ///
    /// - Parameter replicas: each node's name and the folder of its run.
    /// - Throws: `RecordError`, `FileWriteError`.
    @discardableResult
    public static func write(
        _ replicas: [(node: String, folder: URL)], threshold: Double = defaultThreshold, to directory: URL
    ) throws -> Summary {
        let votes = try votes(replicas, threshold: threshold)
        let roots = try replicas.map { try RunRecord(contentsOf: $0.folder.appending(path: RunRecord.fileName)).root }
        let file = try AtomicFile(directory.appending(path: fileName))
        for vote in votes { try file.write(vote.json.serialized(indent: nil) + [0x0A]) }
        try file.commit()
        let summary = Summary(votes)
        let whole = json(summary, votes, nodes: replicas.map(\.node), roots: roots, threshold: threshold)
        try AtomicFile.write(whole.serialized() + [0x0A], to: directory.appending(path: summaryName))
        return summary
    }

    /// What each request's replicas say, in the input's order as far as the first node knows it.
    static func votes(_ replicas: [(node: String, folder: URL)], threshold: Double) throws -> [Consensus] {
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
                    node: replica.node, label: answer.sentiment.isEmpty ? nil : answer.sentiment,
                    confidence: answer.confidence)
            }
        }
        return ids.map { id in
            Consensus(
                id: id,
                votes: replicas.enumerated().map { index, replica in
                    votes[id]?[index] ?? Vote(node: replica.node, label: nil, confidence: 0)
                }, threshold: threshold)
        }
    }

    /// The whole vote. `merkle_root` is over the SHA-256 of each request's canonical JSON: what a chain can hold.
    static func json(
        _ summary: Summary, _ votes: [Consensus], nodes: [String], roots: [String], threshold: Double
    ) -> JSONValue {
        let digests = votes.map { Array(SHA256.hash(data: $0.json.canonicalJSON)) }
        return object([
            ("replicas", .array(nodes.map { .string($0) })),
            ("replica_merkle_roots", .array(roots.map { .string($0) })), ("threshold", .number(threshold)),
            ("requests", .integer(summary.requests)), ("consensus", .integer(summary.reached)),
            ("no_consensus", .integer(summary.requests - summary.reached)),
            ("unanimous", .integer(summary.unanimous)), ("agreement", .number(summary.agreement)),
            ("weighted_otherwise", .integer(summary.weightedOtherwise)),
            ("merkle_root", .string(Hex.text(MerkleTree(digests).root))),
        ])
    }
}
