import Foundation
import Runtime

/// Checks a vote's folder: each replica's run against its record, and the vote against what the replicas said.
public enum ConsensusVerifier {
    public struct Verified: Sendable {
        public let replicas: [RunRecord]
        public let requests: Int
        /// Over the votes: what consensus.json names.
        public let root: String
    }

    /// Whether the folder holds a vote of several replicas, and no run of its own.
    public static func isVote(_ directory: URL) -> Bool {
        FileManager.default.fileExists(atPath: directory.appending(path: ConsensusRun.summaryName).path)
    }

    /// - Throws: `RecordError`; `.touched` for the first answer, or the first vote, that is not as it was.
    public static func verify(_ directory: URL) throws -> Verified {
        let summaryURL = directory.appending(path: ConsensusRun.summaryName)
        func malformed(_ expected: String) -> RecordError {
            .malformed(place: summaryURL.path, expected: expected, got: nil)
        }
        let text = try RecordFile.text(summaryURL, limit: 1 << 20)
        guard let stated = try? JSONValue(parsing: Data(text.utf8), place: summaryURL.path) else {
            throw malformed("JSON")
        }
        guard let nodes = stated["replicas"]?.array?.map(\.string), !nodes.contains(nil),
            nodes.count >= ConsensusRun.fewestReplicas, let threshold = stated["threshold"]?.double
        else { throw malformed("replicas, \(ConsensusRun.fewestReplicas) or more, and threshold") }
        let replicas = nodes.enumerated().map { index, node in
            (node: node!, folder: directory.appending(path: "replica-\(index + 1)"))
        }
        let records = try replicas.map { try RunVerifier.verify($0.folder) }
        let votes = try ConsensusRun.votes(replicas, threshold: threshold)

        let votesURL = directory.appending(path: ConsensusRun.fileName)
        let lines = try RecordFile.lines(votesURL)
        for (index, vote) in votes.enumerated() {
            guard index < lines.count else {
                throw RecordError.missing(path: votesURL.path, line: index + 1, id: vote.id)
            }
            let expected = vote.json.canonicalJSON
            let got = (try? JSONValue(parsing: lines[index], place: ""))?.canonicalJSON
            guard got == expected else {
                throw RecordError.touched(
                    path: votesURL.path, line: index + 1, id: vote.id, what: "vote",
                    expected: Digest.hex(Data(expected)), got: got.map { Digest.hex(Data($0)) } ?? "no JSON")
            }
        }
        guard lines.count == votes.count else {
            throw RecordError.extra(path: votesURL.path, line: votes.count + 1)
        }
        let whole = ConsensusRun.json(
            ConsensusRun.Summary(votes), votes, nodes: replicas.map(\.node), roots: records.map(\.root),
            threshold: threshold)
        for member in whole.object?.members ?? [] where stated[member.key]?.canonicalJSON != member.value.canonicalJSON
        {
            throw RecordError.inconsistent(
                place: summaryURL.path, what: member.key,
                expected: String(decoding: member.value.canonicalJSON, as: UTF8.self),
                got: stated[member.key].map { String(decoding: $0.canonicalJSON, as: UTF8.self) } ?? "nothing")
        }
        return Verified(replicas: records, requests: votes.count, root: whole["merkle_root"]?.string ?? "")
    }
}
