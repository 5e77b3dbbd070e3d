/// The tokens that may come next, a bit each.
package final class TokenMask: Sendable {
    let words: [UInt64]

    init(words: [UInt64]) { self.words = words }

    init(vocabulary: Int, allowed: some Sequence<Int32>) {
        var words = [UInt64](repeating: 0, count: (vocabulary + 63) / 64)
        for token in allowed { words[Int(token) / 64] |= 1 << UInt64(token % 64) }
        self.words = words
    }

    /// Tokens past the mask's end, such as the padding of a head, are not allowed.
    package func contains(_ token: Int32) -> Bool {
        Int(token) / 64 < words.count && words[Int(token) / 64] >> UInt64(token % 64) & 1 == 1
    }

    var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

    /// The first allowed token with the greatest value.
    func max(by value: (Int32) -> Float) -> Int32? {
        var best: (token: Int32, value: Float)?
        for (index, word) in words.enumerated() {
            var left = word
            while left != 0 {
                let token = Int32(index * 64 + left.trailingZeroBitCount)
                left &= left - 1
                let candidate = value(token)
                if best.map({ candidate > $0.value }) ?? true { best = (token, candidate) }
            }
        }
        return best?.token
    }
}
