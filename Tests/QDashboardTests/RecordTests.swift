import Crypto
import Foundation
import QDashboard
import Testing

@Suite struct RecordTests {
    /// RFC 6962's test vectors (certificate-transparency, `merkletree/merkle_tree_test`): there the leaves' data is hashed
    /// as it is, here a digest; so the tree is built again, by the RFC's own recursive definition.
    private func reference(_ leaves: ArraySlice<[UInt8]>) -> [UInt8] {
        func sha(_ bytes: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: bytes)) }
        switch leaves.count {
        case 0: return sha([])
        case 1: return sha([0] + leaves.first!)
        default:
            var split = 1
            while split * 2 < leaves.count { split *= 2 }
            let middle = leaves.startIndex + split
            return sha([1] + reference(leaves[..<middle]) + reference(leaves[middle...]))
        }
    }

    @Test func treeIsTheRFCs() {
        for count in [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 33, 100] {
            let digests = (0..<count).map { Array(SHA256.hash(data: Data("\($0)".utf8))) }
            let tree = MerkleTree(digests)
            #expect(tree.root == reference(digests[...]), "\(count)")
            for index in digests.indices {
                let path = tree.path(to: index)
                func root(_ digest: [UInt8], _ index: Int, _ count: Int, _ path: [[UInt8]]) -> [UInt8]? {
                    MerkleTree.root(of: digest, at: index, of: count, path: path)
                }
                #expect(root(digests[index], index, count, path) == tree.root)
                #expect(root(digests[index], index, count, path + [[]]) == nil)
                #expect(root(digests[index], count, count, path) == nil)
                #expect(root(digests[(index + 1) % count], index, count, path) != tree.root || count == 1)
                if count > 1 { #expect(root(digests[index], index, count, path.dropLast()) == nil) }
            }
        }
    }

    private func consensus(_ votes: (String?, Double)..., threshold: Double = 0.6) -> Consensus {
        Consensus(
            id: "r", votes: votes.enumerated().map { Vote(node: "n\($0)", label: $1.0, confidence: $1.1) },
            threshold: threshold)
    }

    @Test func votes() {
        let two = consensus(("a", 0.4), ("b", 0.9), ("a", 0.4))
        #expect(two.majority == "a" && two.isReached && two.dissent.map(\.node) == ["n1"])
        #expect(two.agreement == 2.0 / 3)
        #expect(two.weighted == "b" && abs(two.weightedAgreement - 0.9 / 1.7) < 1e-12)
        let none = consensus(("a", 0.4), ("b", 0.9), ("c", 0.5))
        #expect(none.majority == "b" && !none.isReached && none.dissent.count == 2)
        #expect(none.json["status"]?.string == "no-consensus" && none.json["label"]?.isNull == true)
        // Who says nothing does not agree.
        let silent = consensus(("a", 0.9), (nil, 0), (nil, 0))
        #expect(!silent.isReached && silent.agreement == 1.0 / 3 && silent.dissent.count == 2)
        let nobody = consensus((nil, 0), (nil, 0), (nil, 0))
        #expect(nobody.majority == nil && !nobody.isReached && nobody.dissent.count == 3)
        #expect(consensus(("a", 0.5), ("b", 0.5), threshold: 0.5).majority == "a", "a tie has one answer, always")
        #expect(!consensus(("a", 1), ("a", 1), ("b", 1), threshold: 1).isReached)
        #expect(consensus(("a", 1), ("a", 0), ("a", 1), threshold: 1).isReached)
    }
}
