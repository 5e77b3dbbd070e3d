import Foundation
import Runtime

/// Checks a run's folder against its record: each answer against its digest and its inclusion proof, the roots against
/// the answers, and the signatures against the roots.
public enum RunVerifier {
    /// - Parameter trusting: the keys that nodes must have signed with; of others the one that the record names is taken,
    ///   so that only who keeps the root elsewhere knows that the record itself is the old one.
    /// - Returns: the record that was found to be right.
    /// - Throws: `RecordError`, `.touched` for the first answer that is not as it was.
    public static func verify(_ directory: URL, trusting keys: TrustedKeys = TrustedKeys()) throws -> RunRecord {
        let recordURL = directory.appending(path: RunRecord.fileName)
        let record = try RunRecord(contentsOf: recordURL)
        let results = directory.appending(path: "results.jsonl")
        let proofsURL = directory.appending(path: RunRecord.proofsName)
        let lines = try RecordFile.lines(results)
        let proofs = try RecordFile.lines(proofsURL)
        guard proofs.count == record.answers else {
            throw RecordError.inconsistent(
                place: proofsURL.path, what: "number of proofs", expected: "\(record.answers)", got: "\(proofs.count)")
        }
        var digests: [MerkleTree.Hash] = []
        var nodes: [String: [MerkleTree.Hash]] = [:]
        for (index, line) in proofs.enumerated() {
            let place = "\(proofsURL.path), line \(index + 1)"
            guard let proof = Proof(line, index: index) else {
                throw RecordError.malformed(place: place, expected: "an inclusion proof", got: nil)
            }
            guard index < lines.count else {
                throw RecordError.missing(path: results.path, line: index + 1, id: proof.id)
            }
            func touched(_ what: String, _ expected: String, _ got: String) -> RecordError {
                .touched(path: results.path, line: index + 1, id: proof.id, what: what, expected: expected, got: got)
            }
            guard let answer = RecordedAnswer(lines[index]) else {
                throw touched("form", "an answer", "a line that is none")
            }
            guard answer.digest == proof.digest else {
                throw touched("digest", Hex.text(proof.digest), Hex.text(answer.digest))
            }
            guard answer.node == proof.node else { throw touched("node", proof.node, answer.node) }
            let root = MerkleTree.root(of: proof.digest, at: index, of: record.answers, path: proof.path)
            guard let root, Hex.text(root) == record.root else {
                throw RecordError.inconsistent(
                    place: place, what: "proof of answer \(proof.id)", expected: "the root \(record.root)",
                    got: root.map { Hex.text($0) } ?? "a path of another length")
            }
            digests.append(answer.digest)
            nodes[answer.node, default: []].append(answer.digest)
        }
        guard lines.count == proofs.count else {
            throw RecordError.extra(path: results.path, line: proofs.count + 1)
        }
        func same(_ what: String, _ expected: String, _ got: String) throws {
            guard expected == got else {
                throw RecordError.inconsistent(place: recordURL.path, what: what, expected: got, got: expected)
            }
        }
        if let unknown = keys.nodes.first(where: { node in !record.nodes.contains { $0.id == node } }) {
            throw RecordError.inconsistent(
                place: recordURL.path, what: "signature of node \(unknown)", expected: "one",
                got: "those of " + record.nodes.map(\.id).joined(separator: ", "))
        }
        try same("root", record.root, Hex.text(MerkleTree(digests).root))
        try same(
            "list of nodes", record.nodes.map(\.id).joined(separator: ", "), nodes.keys.sorted().joined(separator: ", ")
        )
        for node in record.nodes {
            let own = nodes[node.id] ?? []
            try same("number of answers of node \(node.id)", "\(node.answers)", "\(own.count)")
            try same("root of node \(node.id)", node.root, Hex.text(MerkleTree(own).root))
            if let key = keys.key(of: node.id), key != node.publicKey {
                throw RecordError.otherKey(path: recordURL.path, node: node.id, expected: key, got: node.publicKey)
            }
            let statement = RunRecord.statement(
                node: node.id, answers: node.answers, nodeRoot: node.root, root: record.root,
                configuration: record.configuration.digest)
            guard NodeKey.isValid(node.signature, of: statement, by: node.publicKey) else {
                throw RecordError.signature(path: recordURL.path, node: node.id)
            }
        }
        return record
    }

    private struct Proof {
        let id, node: String
        let digest: MerkleTree.Hash
        let path: [MerkleTree.Hash]

        init?(_ line: Data, index: Int) {
            guard let value = try? JSONValue(parsing: line, place: ""), value["index"]?.int == index,
                let id = value["id"]?.string, let node = value["node_id"]?.string,
                let digest = Hex.bytes(value["digest"]?.string), let siblings = value["path"]?.array
            else { return nil }
            self.id = id
            self.node = node
            self.digest = digest
            path = siblings.compactMap { Hex.bytes($0.string) }
            guard path.count == siblings.count else { return nil }
        }
    }
}
