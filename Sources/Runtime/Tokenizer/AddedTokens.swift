/// A token that is found in the text before anything else is done to it.
struct AddedToken: Sendable, Equatable {
    var id: Int32
    var content: String
    /// Left out of decoded text where special tokens are skipped.
    var special = false
    /// Found only where no word character touches it.
    var singleWord = false
    /// Takes the white space before it along.
    var stripsLeft = false
    /// Takes the white space after it along.
    var stripsRight = false
    /// Looked for in the normalized text, by its normalized content.
    var normalized = false
}

/// Finds added tokens: at each place the longest, from left to right.
struct AddedTokenFinder: Sendable {
    enum Piece: Equatable {
        case text(Range<Int>)
        case token(Int32)
    }

    private struct Edge: Hashable {
        var node: Int32
        var byte: UInt8
    }

    private let tokens: [AddedToken]
    /// A trie over the contents' bytes; node 0 is its root.
    private var edges: [Edge: Int32] = [:]
    /// node → index of the token that ends there, −1 where none does
    private var endings: [Int32] = [-1]
    private var begins = [Bool](repeating: false, count: 256)

    /// `contents` are the tokens' spellings as they stand in the text that will be searched.
    init(_ tokens: [AddedToken], contents: [[UInt8]]) {
        self.tokens = tokens
        for (index, content) in contents.enumerated() where !content.isEmpty {
            begins[Int(content[0])] = true
            var node: Int32 = 0
            for byte in content {
                let edge = Edge(node: node, byte: byte)
                if let next = edges[edge] {
                    node = next
                } else {
                    node = Int32(endings.count)
                    edges[edge] = node
                    endings.append(-1)
                }
            }
            // Of two that normalize to the same text the first is found.
            if endings[Int(node)] < 0 { endings[Int(node)] = Int32(index) }
        }
    }

    var isEmpty: Bool { endings.count == 1 }

    /// Calls `body` with the pieces of `text` in order: tokens, and the text between them.
    func forEachPiece(in text: UnsafeBufferPointer<UInt8>, _ body: (Piece) -> Void) {
        var done = 0
        var index = 0
        while index < text.count {
            guard begins[Int(text[index])], let (token, length) = longest(at: index, in: text) else {
                index += 1
                continue
            }
            var start = index
            var stop = index + length
            index = stop
            if token.singleWord, endsWithWord(text, start) || startsWithWord(text, stop) { continue }
            if token.stripsLeft { start = max(Self.skipSpaceBackwards(text, from: start), done) }
            if token.stripsRight { stop = Self.skipSpace(text, from: stop) }
            if done < start { body(.text(done..<start)) }
            body(.token(token.id))
            done = stop
        }
        if done < text.count { body(.text(done..<text.count)) }
    }

    private func longest(at start: Int, in text: UnsafeBufferPointer<UInt8>) -> (AddedToken, Int)? {
        var node: Int32 = 0
        var best: (AddedToken, Int)?
        var index = start
        while index < text.count, let next = edges[Edge(node: node, byte: text[index])] {
            node = next
            index += 1
            if endings[Int(node)] >= 0 { best = (tokens[Int(endings[Int(node)])], index - start) }
        }
        return best
    }

    private func startsWithWord(_ text: UnsafeBufferPointer<UInt8>, _ index: Int) -> Bool {
        index < text.count && decodeScalar(text, at: index).0.isWord
    }

    private func endsWithWord(_ text: UnsafeBufferPointer<UInt8>, _ index: Int) -> Bool {
        index > 0 && decodeScalar(text, at: Self.scalarStart(text, before: index)).0.isWord
    }

    private static func scalarStart(_ text: UnsafeBufferPointer<UInt8>, before index: Int) -> Int {
        var start = index - 1
        while start > 0, text[start] & 0xC0 == 0x80 { start -= 1 }
        return start
    }

    private static func skipSpace(_ text: UnsafeBufferPointer<UInt8>, from index: Int) -> Int {
        var index = index
        while index < text.count, case (let scalar, let length) = decodeScalar(text, at: index),
            scalar.properties.isWhitespace
        {
            index += length
        }
        return index
    }

    private static func skipSpaceBackwards(_ text: UnsafeBufferPointer<UInt8>, from index: Int) -> Int {
        var index = index
        while index > 0, case let start = scalarStart(text, before: index),
            decodeScalar(text, at: start).0.properties.isWhitespace
        {
            index = start
        }
        return index
    }
}
