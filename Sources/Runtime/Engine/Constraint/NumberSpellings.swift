/// The only numbers that a text may spell, and nothing else about it: "592,711" and "97.3", say, so that no other digits
/// can be written. Numbers are told by ASCII digits.
public struct NumberSpellings: Sendable, Hashable {
    struct Node: Sendable, Hashable {
        var next: [UInt8: Int] = [:]
        var isNumber = false
    }

    /// A trie; its root is 0.
    private(set) var nodes = [Node()]
    /// What would make another number of one that it follows, directly or behind spaces: "萬", "million".
    let scales: [[UInt8]]

    /// - Parameters:
    ///   - spellings: each begins with a digit; what follows may be anything: "59.2萬", "1.5 million". Others are left out.
    ///   - scales: words that multiply a number, unless a spelling holds them.
    public init(_ spellings: some Sequence<String>, scales: [String] = []) {
        self.scales = scales.map { Array($0.utf8) }.filter { !$0.isEmpty }
        for spelling in spellings {
            guard let first = spelling.utf8.first, Self.isDigit(first) else { continue }
            var node = 0
            for byte in spelling.utf8 {
                if let next = nodes[node].next[byte] {
                    node = next
                } else {
                    nodes.append(Node())
                    nodes[node].next[byte] = nodes.count - 1
                    node = nodes.count - 1
                }
            }
            nodes[node].isNumber = true
        }
    }

    static func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }
}

/// Where a text stands that may spell certain numbers only.
package enum NumberState: Sendable, Hashable {
    /// Not at a number.
    case outside
    /// In a spelling, at a node of the trie. `tail`: the bytes since a number was whole; nil where none is yet.
    case spelling(node: Int, tail: [UInt8]?)
    /// Behind a whole number that goes no further; the bytes since, as long as they could still change it.
    case after([UInt8])

    /// Takes a byte; false where no allowed text goes on with it, and then nothing changes.
    package mutating func take(_ byte: UInt8, _ spellings: NumberSpellings) -> Bool {
        switch self {
        case .outside:
            guard NumberSpellings.isDigit(byte) else { return true }
            guard let state = Self.entering(0, byte, tail: nil, spellings) else { return false }
            self = state
        case .spelling(let node, let tail):
            if let state = Self.entering(node, byte, tail: tail, spellings) {
                self = state
                return true
            }
            // Not on this way: then the number has ended where it last was whole, if it was.
            guard let tail, var state = Self.replayed(tail, spellings), state.take(byte, spellings) else {
                return false
            }
            self = state
        case .after(let bytes):
            return takeAfter(bytes, byte, spellings)
        }
        return true
    }

    private static func entering(_ node: Int, _ byte: UInt8, tail: [UInt8]?, _ spellings: NumberSpellings) -> Self? {
        guard let next = spellings.nodes[node].next[byte] else { return nil }
        return .spelling(node: next, tail: spellings.nodes[next].isNumber ? [] : tail.map { $0 + [byte] })
    }

    /// The state behind a whole number and these bytes.
    static func replayed(_ tail: [UInt8], _ spellings: NumberSpellings) -> Self? {
        var state = Self.after([])
        for byte in tail where !state.take(byte, spellings) { return nil }
        return state
    }

    private mutating func takeAfter(_ bytes: [UInt8], _ byte: UInt8, _ spellings: NumberSpellings) -> Bool {
        let space = UInt8(ascii: " ")
        let isDigit = NumberSpellings.isDigit(byte)
        switch bytes.first {
        case nil where isDigit || byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E"): return false
        case nil where byte == UInt8(ascii: ",") || byte == UInt8(ascii: "."):
            self = .after([byte])
            return true
        // "5,3" and "5.3" would be other numbers.
        case UInt8(ascii: ","), UInt8(ascii: "."):
            if isDigit { return false }
            self = .outside
            return true
        default: break
        }
        if byte == space, bytes.allSatisfy({ $0 == space }) {
            // One space stands for any number of them.
            self = .after([space])
            return true
        }
        let word = bytes.drop { $0 == space } + [byte]
        if spellings.scales.contains(where: { $0.elementsEqual(word) }) { return false }
        if spellings.scales.contains(where: { $0.starts(with: word) }) {
            self = .after(bytes + [byte])
            return true
        }
        var state = Self.outside
        guard state.take(byte, spellings) else { return false }
        self = state
        return true
    }

    /// Whether the text may end here.
    package func canEnd(_ spellings: NumberSpellings) -> Bool {
        guard case .spelling(_, let tail) = self else { return true }
        return tail.flatMap { Self.replayed($0, spellings) } != nil
    }
}
