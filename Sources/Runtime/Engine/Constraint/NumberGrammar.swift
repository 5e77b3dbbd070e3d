import Synchronization

/// What number constraints of all requests have in common: the vocabulary's tokens without a digit, and the masks that
/// depend on them alone.
final class NumberVocabulary: Sendable {
    let spellings: TokenSpellings
    /// Tokens with a digit: few, and the only ones whose right to come depends on the request's numbers.
    let withDigits: [TokenSpellings.Entry]
    let plain: [TokenSpellings.Entry]
    let endTokens: [Int32]
    private let known = Mutex<[Key: TokenMask]>([:])
    private static let mostMasks = 256

    private struct Key: Hashable {
        var after: [UInt8]?
        var scales: [[UInt8]]
    }

    init(_ spellings: TokenSpellings, endTokens: [Int32]) {
        self.spellings = spellings
        self.endTokens = endTokens.filter { Int($0) < spellings.vocabulary }
        withDigits = spellings.entries.filter { $0.bytes.contains(where: NumberSpellings.isDigit) }
        plain = spellings.entries.filter { !$0.bytes.contains(where: NumberSpellings.isDigit) }
    }

    /// The tokens without a digit that may follow, and the end tokens. `state` is `.outside` or `.after`.
    func mask(_ state: NumberState, _ numbers: NumberSpellings) -> TokenMask {
        var key = Key(after: nil, scales: [])
        if case .after(let bytes) = state { key = Key(after: bytes, scales: numbers.scales) }
        if let mask = known.withLock({ $0[key] }) { return mask }
        let allowed = state == .outside ? plain : plain.filter { NumberGrammar.fits($0, state, numbers) }
        let mask = TokenMask(vocabulary: spellings.vocabulary, allowed: allowed.map(\.token) + endTokens)
        known.withLock { if $0.count < Self.mostMasks { $0[key] = mask } }
        return mask
    }
}

/// A request's numbers over a vocabulary: which tokens may come next.
///
/// Depends on the text so far alone, so answers stay the same whatever the batch.
package final class NumberGrammar: Sendable {
    let numbers: NumberSpellings
    private let vocabulary: NumberVocabulary
    private let masks = Mutex<[NumberState: TokenMask]>([:])
    private static let mostMasks = 256

    init(_ numbers: NumberSpellings, _ vocabulary: NumberVocabulary) {
        self.numbers = numbers
        self.vocabulary = vocabulary
    }

    package convenience init(_ numbers: NumberSpellings, _ spellings: TokenSpellings, endTokens: [Int32]) {
        self.init(numbers, NumberVocabulary(spellings, endTokens: endTokens))
    }

    package func mask(_ state: NumberState) -> TokenMask {
        if let mask = masks.withLock({ $0[state] }) { return mask }
        let mask = make(state)
        masks.withLock { if $0.count < Self.mostMasks { $0[state] = mask } }
        return mask
    }

    private func make(_ state: NumberState) -> TokenMask {
        switch state {
        case .outside, .after:
            return vocabulary.mask(state, numbers).adding(fitting(vocabulary.withDigits, state))
        case .spelling(let node, let tail):
            // On along the trie, or, where a number was whole, on with anything else.
            let starts = Set(numbers.nodes[node].next.keys)
            let onwards = fitting(vocabulary.spellings.entries.filter { starts.contains($0.bytes[0]) }, state)
            guard let ended = tail.flatMap({ NumberState.replayed($0, numbers) }) else {
                return TokenMask(vocabulary: vocabulary.spellings.vocabulary, allowed: onwards)
            }
            return mask(ended).adding(onwards)
        }
    }

    private func fitting(_ entries: [TokenSpellings.Entry], _ state: NumberState) -> [Int32] {
        entries.filter { Self.fits($0, state, numbers) }.map(\.token)
    }

    static func fits(_ entry: TokenSpellings.Entry, _ state: NumberState, _ numbers: NumberSpellings) -> Bool {
        var state = state
        return entry.bytes.allSatisfy { state.take($0, numbers) }
    }
}
