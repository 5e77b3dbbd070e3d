import ArgumentParser
import Foundation
import QDashboard
import ToolSupport

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a run's answers against its record.",
        discussion: """
            Holds results.jsonl against record.json and proofs.jsonl: digests,
            inclusion proofs, Merkle root, signatures. Names the first answer that
            was touched. Of a vote (--consensus) it checks all replicas, and the vote
            against what they said.

            EXAMPLES
              qinfer verify Reports/run
              qinfer verify Reports/vote/replica-1
            """)

    @Argument(help: ArgumentHelp("Directory of a finished run.", valueName: "run"))
    var folder: String

    @Option(
        help: ArgumentHelp(
            "The key that every node must have signed with, or NODE=HEX of one node (repeatable).", valueName: "hex"))
    var publicKey: [String] = []

    func validate() throws { _ = try trusted() }

    private func trusted() throws -> TrustedKeys {
        do {
            return try TrustedKeys(publicKey)
        } catch {
            throw ValidationError("--public-key: \(error)")
        }
    }

    func run() throws {
        let url = URL(fileURLWithPath: folder)
        if ConsensusVerifier.isVote(url) { return try verifyVote(url) }
        let record = try reportingErrors { try RunVerifier.verify(url, trusting: trusted()) }
        print("\(record.answers) answers as recorded, Merkle root \(record.root)")
        for node in record.nodes { print("\(node.id): \(node.answers) answers, signed by \(node.publicKey)") }
    }

    private func verifyVote(_ url: URL) throws {
        guard publicKey.isEmpty else {
            throw ValidationError("--public-key: the replicas of a vote have a key each; verify \(folder)/replica-N")
        }
        let verified = try reportingErrors { try ConsensusVerifier.verify(url) }
        print("\(verified.requests) votes as recorded, Merkle root \(verified.root)")
        for node in verified.replicas.flatMap(\.nodes) {
            print("\(node.id): \(node.answers) answers, signed by \(node.publicKey)")
        }
    }
}
