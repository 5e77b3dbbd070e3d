/// Cuts text into the words that are encoded each by itself. Works on UTF-8 and hands out ranges of it; the byte alphabet
/// that Hugging Face's ByteLevel translates to is only a spelling, and needs no pass of its own here.
struct PreTokenizer: Sendable {
    enum Behavior: String, Sendable, CaseIterable {
        case isolated = "Isolated"
        case removed = "Removed"
        case mergedWithPrevious = "MergedWithPrevious"
        case mergedWithNext = "MergedWithNext"
        case contiguous = "Contiguous"
    }

    enum Step: Sendable {
        case split(Pattern, Behavior, inverted: Bool)
        /// Numeric characters (general category N), each alone or in runs.
        case digits(individual: Bool)
    }

    var steps: [Step] = []
    /// ByteLevel: a space before each piece that does not begin with one.
    var addPrefixSpace = false
    /// ByteLevel's own pattern, where it is used.
    var byteLevelPattern: Pattern?

    /// GPT-2's pattern, which ByteLevel uses unless told otherwise.
    static let gpt2 = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    /// What the cutting needs, kept from piece to piece.
    struct Scratch: ~Copyable {
        fileprivate let matcher = PatternMatcher()
        fileprivate var pieces: [Range<Int>] = []
        fileprivate var cut = Cut()
    }

    /// Calls `word` with each word of `text[range]`, in order; never with an empty one.
    func forEachWord(
        in text: UnsafeBufferPointer<UInt8>, range: Range<Int>, scratch: inout Scratch,
        _ word: (UnsafeBufferPointer<UInt8>) -> Void
    ) {
        if range.isEmpty { return }
        scratch.pieces.removeAll(keepingCapacity: true)
        scratch.pieces.append(range)
        for step in steps {
            scratch.cut.result.removeAll(keepingCapacity: true)
            for piece in scratch.pieces {
                switch step {
                case .split(let pattern, let behavior, let inverted):
                    scratch.cut.begin(piece, behavior, inverted: inverted)
                    scratch.matcher.forEachMatch(of: pattern, in: text, range: piece) { scratch.cut.match($0) }
                case .digits(let individual):
                    scratch.cut.begin(piece, individual ? .isolated : .contiguous, inverted: false)
                    Self.forEachNumeric(in: text, range: piece) { scratch.cut.match($0) }
                }
                scratch.cut.end()
            }
            swap(&scratch.pieces, &scratch.cut.result)
        }
        for piece in scratch.pieces {
            if addPrefixSpace, text[piece.lowerBound] != 0x20 {
                // The pattern sees the space as part of the piece, so such a piece is copied.
                let prefixed = [0x20] + text[piece]
                prefixed.withUnsafeBufferPointer { finish($0, 0..<$0.count, scratch.matcher, word) }
            } else {
                finish(text, piece, scratch.matcher, word)
            }
        }
    }

    /// ByteLevel's share: its pattern's matches, and what lies between them, are the words.
    private func finish(
        _ text: UnsafeBufferPointer<UInt8>, _ piece: Range<Int>, _ matcher: borrowing PatternMatcher,
        _ word: (UnsafeBufferPointer<UInt8>) -> Void
    ) {
        guard let byteLevelPattern else {
            word(UnsafeBufferPointer(rebasing: text[piece]))
            return
        }
        var end = piece.lowerBound
        matcher.forEachMatch(of: byteLevelPattern, in: text, range: piece) { match in
            if end < match.lowerBound { word(UnsafeBufferPointer(rebasing: text[end..<match.lowerBound])) }
            if !match.isEmpty { word(UnsafeBufferPointer(rebasing: text[match])) }
            end = match.upperBound
        }
        if end < piece.upperBound { word(UnsafeBufferPointer(rebasing: text[end..<piece.upperBound])) }
    }

    private static func forEachNumeric(
        in text: UnsafeBufferPointer<UInt8>, range: Range<Int>, _ body: (Range<Int>) -> Void
    ) {
        var index = range.lowerBound
        while index < range.upperBound {
            let byte = text[index]
            if byte < 0x80 {
                if byte &- 0x30 < 10 { body(index..<index + 1) }
                index += 1
                continue
            }
            let (scalar, length) = decodeScalar(text, at: index)
            if scalar.isNumeric { body(index..<index + length) }
            index += length
        }
    }
}

/// Turns the matches in a piece into new pieces, as Hugging Face's `SplitDelimiterBehavior` does.
private struct Cut {
    var result: [Range<Int>] = []

    private var piece = 0..<0
    private var behavior = PreTokenizer.Behavior.isolated
    private var inverted = false
    /// End of the last match; what follows it is the next gap.
    private var position = 0
    /// Where this piece's results begin, so that merging never reaches into the piece before.
    private var first = 0
    private var previousWasMatch = false
    /// A match that waits for what follows it, for `mergedWithNext`.
    private var waiting: Range<Int>?

    mutating func begin(_ piece: Range<Int>, _ behavior: PreTokenizer.Behavior, inverted: Bool) {
        self.piece = piece
        self.behavior = behavior
        self.inverted = inverted
        position = piece.lowerBound
        first = result.count
        previousWasMatch = false
        waiting = nil
    }

    mutating func match(_ range: Range<Int>) {
        if position < range.lowerBound { add(position..<range.lowerBound, isMatch: inverted) }
        add(range, isMatch: !inverted)
        position = range.upperBound
    }

    mutating func end() {
        if position < piece.upperBound { add(position..<piece.upperBound, isMatch: inverted) }
        if let waiting { append(waiting) }
    }

    private mutating func add(_ range: Range<Int>, isMatch: Bool) {
        defer { previousWasMatch = isMatch }
        switch behavior {
        case .isolated: append(range)
        case .removed: if !isMatch { append(range) }
        case .contiguous:
            // The fold begins as if a gap had come before.
            if isMatch == previousWasMatch { extendLast(to: range) } else { append(range) }
        case .mergedWithPrevious:
            if isMatch, !previousWasMatch { extendLast(to: range) } else { append(range) }
        case .mergedWithNext:
            // Seen from the right, a match joins what follows it unless that is a match too.
            guard let last = waiting else {
                if isMatch { waiting = range } else { append(range) }
                return
            }
            if isMatch {
                append(last)
                waiting = range
            } else {
                append(last.lowerBound..<range.upperBound)
                waiting = nil
            }
        }
    }

    private mutating func extendLast(to range: Range<Int>) {
        if result.count > first {
            result[result.count - 1] = result[result.count - 1].lowerBound..<range.upperBound
        } else {
            append(range)
        }
    }

    /// Empty pieces hold no word.
    private mutating func append(_ range: Range<Int>) {
        if !range.isEmpty { result.append(range) }
    }
}

/// The scalar that begins at `index` of valid UTF-8, and its length in bytes.
@inline(__always)
func decodeScalar(_ text: UnsafeBufferPointer<UInt8>, at index: Int) -> (Unicode.Scalar, Int) {
    let lead = UInt32(text[index])
    func bits(_ offset: Int) -> UInt32 { UInt32(text[index + offset] & 0x3F) }
    let (value, length): (UInt32, Int) =
        switch lead {
        case 0..<0x80: (lead, 1)
        case 0..<0xE0: ((lead & 0x1F) << 6 | bits(1), 2)
        case 0..<0xF0: ((lead & 0x0F) << 12 | bits(1) << 6 | bits(2), 3)
        default: ((lead & 0x07) << 18 | bits(1) << 12 | bits(2) << 6 | bits(3), 4)
        }
    return (Unicode.Scalar(value)!, length)
}

extension Unicode.Scalar {
    /// General category Nd, Nl or No.
    var isNumeric: Bool {
        switch properties.generalCategory {
        case .decimalNumber, .letterNumber, .otherNumber: true
        default: false
        }
    }

    /// What `\w` of Rust's regex crate means (UTS 18, annex C).
    var isWord: Bool {
        if properties.isAlphabetic || properties.isJoinControl { return true }
        switch properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: return true
        default: return false
        }
    }
}
