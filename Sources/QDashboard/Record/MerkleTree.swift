import Crypto
import Foundation

/// The hash tree of RFC 6962, section 2.1, over SHA-256 digests: a leaf is SHA-256(0x00 ‖ digest), a node
/// SHA-256(0x01 ‖ left ‖ right), and where a level's count is odd, its last node goes up as it is. The root of no leaves
/// is SHA-256 of nothing.
public struct MerkleTree: Sendable {
    public typealias Hash = [UInt8]

    /// From the leaves up to the root.
    private let levels: [[Hash]]

    /// - Parameter digests: of 32 bytes each.
    public init(_ digests: [Hash]) {
        var levels = [digests.map { Self.hash([0x00], $0) }]
        while let last = levels.last, last.count > 1 {
            levels.append(
                stride(from: 0, to: last.count, by: 2).map { index in
                    index + 1 < last.count ? Self.hash([0x01], last[index], last[index + 1]) : last[index]
                })
        }
        self.levels = levels
    }

    public var root: Hash { levels.last?.first ?? Self.hash() }

    /// The inclusion proof of a digest: its siblings, from the bottom up.
    public func path(to index: Int) -> [Hash] {
        var index = index
        return levels.compactMap { level in
            let sibling = index ^ 1
            index >>= 1
            return level.count > 1 && sibling < level.count ? level[sibling] : nil
        }
    }

    /// The root that a digest at `index` of `count` and its proof give; nil where the proof has not the length that it
    /// must have.
    public static func root(of digest: Hash, at index: Int, of count: Int, path: [Hash]) -> Hash? {
        guard index >= 0, index < count else { return nil }
        var (hash, index, count, rest) = (hash([0x00], digest), index, count, path[...])
        while count > 1 {
            if index ^ 1 < count {
                guard let sibling = rest.popFirst() else { return nil }
                hash = index & 1 == 0 ? Self.hash([0x01], hash, sibling) : Self.hash([0x01], sibling, hash)
            }
            (index, count) = (index >> 1, (count + 1) / 2)
        }
        return rest.isEmpty ? hash : nil
    }

    private static func hash(_ parts: [UInt8]...) -> Hash {
        var hash = SHA256()
        for part in parts { hash.update(data: part) }
        return Array(hash.finalize())
    }
}
