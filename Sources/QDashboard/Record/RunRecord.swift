import Crypto
import Foundation
import Runtime

/// What a run leaves to be put on a chain: record.json holds the Merkle root over its answers and a signature of each
/// node, proofs.jsonl an inclusion proof of each answer.
///
/// An answer's digest is SHA-256 over its canonical JSON without `node_id`: nodes that agree have the same digest. Who
/// answered is in each node's own root, over its own answers' digests.
public struct RunRecord: Sendable, Equatable {
    /// A node's part.
    public struct Node: Sendable, Equatable {
        public let id: String
        public let answers: Int
        /// Over the digests of this node's answers, in the results' order.
        public let root: String
        public let publicKey: String
        public let signature: String

        var json: JSONValue {
            object([
                ("node_id", .string(id)), ("answers", .integer(answers)), ("merkle_root", .string(root)),
                ("public_key", .string(publicKey)), ("signature", .string(signature)),
            ])
        }
    }

    public static let version = 1
    public static let fileName = "record.json"
    public static let proofsName = "proofs.jsonl"

    public let configuration: AnswerConfiguration
    public let answers: Int
    public let root: String
    public let nodes: [Node]

    /// Writes the record of a finished run's folder. `sign` has the nodes that answered sign, each with its own key.
    ///
    /// Throws `RecordError`, also for a signature that is not its key's, `FileWriteError`, and what `sign` throws.
    @discardableResult
    public static func write(
        directory: URL, configuration: AnswerConfiguration,
        sign: (_ node: String, _ statement: [UInt8]) throws -> NodeSignature
    ) throws -> RunRecord {
        let results = directory.appending(path: "results.jsonl")
        let answers = try RecordFile.lines(results).enumerated().map { index, line in
            guard let answer = RecordedAnswer(line) else {
                throw RecordError.malformed(
                    place: "\(results.path), line \(index + 1)", expected: "an answer", got: nil)
            }
            return answer
        }
        let tree = MerkleTree(answers.map(\.digest))
        let root = Hex.text(tree.root)
        let proofs = try AtomicFile(directory.appending(path: proofsName))
        for (index, answer) in answers.enumerated() {
            let line = object([
                ("index", .integer(index)), ("id", .string(answer.id)), ("node_id", .string(answer.node)),
                ("digest", .string(Hex.text(answer.digest))),
                ("path", .array(tree.path(to: index).map { .string(Hex.text($0)) })),
            ])
            try proofs.write(line.serialized(indent: nil) + [0x0A])
        }
        try proofs.commit()
        let digest = configuration.digest
        let nodes = try Dictionary(grouping: answers, by: \.node).sorted { $0.key < $1.key }.map { id, own in
            let ownRoot = Hex.text(MerkleTree(own.map(\.digest)).root)
            let text = statement(node: id, answers: own.count, nodeRoot: ownRoot, root: root, configuration: digest)
            let signed = try sign(id, text)
            guard NodeKey.isValid(signed.signature, of: text, by: signed.publicKey) else {
                throw RecordError.signature(path: directory.appending(path: fileName).path, node: id)
            }
            return Node(
                id: id, answers: own.count, root: ownRoot, publicKey: signed.publicKey, signature: signed.signature)
        }
        let record = RunRecord(configuration: configuration, answers: answers.count, root: root, nodes: nodes)
        try AtomicFile.write(record.json.serialized() + [0x0A], to: directory.appending(path: fileName))
        return record
    }

    /// What a node signs.
    static func statement(node: String, answers: Int, nodeRoot: String, root: String, configuration: String) -> [UInt8]
    {
        object([
            ("version", .integer(version)), ("node_id", .string(node)), ("answers", .integer(answers)),
            ("node_merkle_root", .string(nodeRoot)), ("merkle_root", .string(root)),
            ("configuration_digest", .string(configuration)),
        ]).canonicalJSON
    }

    var json: JSONValue {
        object([
            ("version", .integer(Self.version)), ("answers", .integer(answers)), ("merkle_root", .string(root)),
            ("configuration_digest", .string(configuration.digest)), ("configuration", configuration.json),
            ("nodes", .array(nodes.map(\.json))),
        ])
    }

    init(configuration: AnswerConfiguration, answers: Int, root: String, nodes: [Node]) {
        self.configuration = configuration
        self.answers = answers
        self.root = root
        self.nodes = nodes
    }

    /// Throws `RecordError`.
    public init(contentsOf url: URL) throws {
        func malformed(_ expected: String, _ got: String? = nil) -> RecordError {
            .malformed(place: url.path, expected: expected, got: got)
        }
        let text = try RecordFile.text(url, limit: 1 << 20)
        guard let value = try? JSONValue(parsing: Data(text.utf8), place: url.path) else { throw malformed("JSON") }
        guard value["version"]?.int == Self.version else {
            throw malformed("version \(Self.version)", value["version"]?.int.map(String.init))
        }
        guard let answers = value["answers"]?.int, answers >= 0, let root = value["merkle_root"]?.string,
            let configuration = value["configuration"].flatMap(AnswerConfiguration.init),
            let digest = value["configuration_digest"]?.string, let nodes = value["nodes"]?.array
        else { throw malformed("answers, merkle_root, configuration, configuration_digest and nodes") }
        guard digest == configuration.digest else {
            throw RecordError.inconsistent(
                place: url.path, what: "configuration_digest", expected: configuration.digest, got: digest)
        }
        self.init(
            configuration: configuration, answers: answers, root: root,
            nodes: try nodes.map { node in
                guard let id = node["node_id"]?.string, let answers = node["answers"]?.int,
                    let root = node["merkle_root"]?.string, let key = node["public_key"]?.string,
                    let signature = node["signature"]?.string
                else { throw malformed("node_id, answers, merkle_root, public_key and signature of each node") }
                return Node(id: id, answers: answers, root: root, publicKey: key, signature: signature)
            })
    }
}

/// What the record keeps of an answer.
struct RecordedAnswer {
    let id: String
    let node: String
    /// See `RunRecord`.
    let digest: MerkleTree.Hash

    /// Nil where the line is no JSON object with an id and a node.
    init?(_ line: Data) {
        guard let value = try? JSONValue(parsing: line, place: ""), let id = value["id"]?.string,
            let node = value["node_id"]?.string, let members = value.object?.members
        else { return nil }
        self.id = id
        self.node = node
        let content = object(members.filter { $0.key != "node_id" }.map { ($0.key, $0.value) })
        digest = Array(SHA256.hash(data: content.canonicalJSON))
    }
}
