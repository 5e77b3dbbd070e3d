import Synchronization

/// An engine's grammars, made when they are first asked for.
final class Grammars: Sendable {
    private let tokenizer: Tokenizer?
    private let model: ModelConfiguration
    private let known = Mutex<Known>(Known())
    private static let mostGrammars = 64

    private struct Known {
        var spellings: TokenSpellings?
        var numbers: NumberVocabulary?
        var grammars: [JSONSchema: Grammar] = [:]
    }

    init(_ tokenizer: Tokenizer?, _ model: ModelConfiguration) {
        self.tokenizer = tokenizer
        self.model = model
    }

    func grammar(_ schema: JSONSchema) throws -> Grammar {
        guard let tokenizer else { throw EngineError.noTokenizer(request: "schema") }
        return known.withLock { known in
            if let grammar = known.grammars[schema] { return grammar }
            let spellings = spellings(tokenizer, &known)
            if known.grammars.count == Self.mostGrammars { known.grammars = [:] }
            let grammar = Grammar(schema, spellings, endTokens: Set(model.eosTokens))
            known.grammars[schema] = grammar
            return grammar
        }
    }

    func grammar(_ numbers: NumberSpellings) throws -> NumberGrammar {
        guard let tokenizer else { throw EngineError.noTokenizer(request: "numbers") }
        let vocabulary = known.withLock { known in
            let vocabulary =
                known.numbers
                ?? NumberVocabulary(spellings(tokenizer, &known), endTokens: model.eosTokens)
            known.numbers = vocabulary
            return vocabulary
        }
        return NumberGrammar(numbers, vocabulary)
    }

    private func spellings(_ tokenizer: Tokenizer, _ known: inout Known) -> TokenSpellings {
        let spellings = known.spellings ?? TokenSpellings(tokenizer, vocabulary: model.vocabulary)
        known.spellings = spellings
        return spellings
    }
}

/// A schema over a vocabulary: which tokens may come next, each state computed once.
package final class Grammar: Sendable {
    let schema: JSONSchema
    private let spellings: TokenSpellings
    private let endTokens: Set<Int32>
    /// A mask takes a bit for each token; the states of a long answer are few, and those beyond this are not kept.
    private let masks = Mutex<[JSONState: TokenMask]>([:])
    private static let mostMasks = 1024
    /// Bytes by which one token can lengthen the way to the text's end, at most: by what it opens.
    package let longestDetour: Int

    package init(_ schema: JSONSchema, _ spellings: TokenSpellings, endTokens: Set<Int32>) {
        self.schema = schema
        self.spellings = spellings
        self.endTokens = endTokens
        longestDetour = schema.longestDetour
    }

    /// The tokens that may come next: those whose bytes some text of the schema goes on with, and where the text may end,
    /// the model's end tokens.
    package func mask(_ state: JSONState) -> TokenMask {
        let key = state.normalised(schema, longest: spellings.longestPlain)
        if let known = masks.withLock({ $0[key] }) { return known }
        let mask = TokenMask(vocabulary: spellings.vocabulary, allowed: allowed(key))
        masks.withLock { if $0.count < Self.mostMasks { $0[key] = mask } }
        return mask
    }

    private func allowed(_ state: JSONState) -> [Int32] {
        var allowed: [Int32] = []
        if state.canEnd(schema) { allowed += endTokens.filter { Int($0) < spellings.vocabulary } }
        var entries = spellings.entries
        if let room = state.scalarsLeft(schema) {
            for entry in entries where entry.plainScalars.map({ $0 <= room }) ?? false { allowed.append(entry.token) }
            entries = spellings.special
        }
        // after[n]: the state behind the first n bytes of the entry at hand, as far as they were taken.
        var after = [state]
        for entry in entries {
            if after.count > entry.common + 1 { after.removeLast(after.count - entry.common - 1) }
            // Fewer: the bytes in common were refused already.
            guard after.count == entry.common + 1 else { continue }
            for byte in entry.bytes[entry.common...] {
                var next = after[after.count - 1]
                guard next.take(byte, schema) else { break }
                after.append(next)
            }
            if after.count == entry.bytes.count + 1 { allowed.append(entry.token) }
        }
        return allowed
    }
}
