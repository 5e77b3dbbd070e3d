/// A vocabulary in the order of its bytes: tokens that begin alike stand together, so that one refused byte skips them
/// all.
package final class TokenSpellings: Sendable {
    /// A token, its bytes, and how many of them the token before begins with too.
    struct Entry: Sendable {
        var token: Int32
        var bytes: [UInt8]
        var common: Int
        /// Scalars of a token that can stand anywhere within a JSON string; nil where it holds a quote, a backslash, a
        /// control character, or half a scalar.
        var plainScalars: Int?
    }

    let entries: [Entry]
    /// Those that are not plain.
    let special: [Entry]
    let longestPlain: Int
    let vocabulary: Int

    /// - Parameter vocabulary: rows of the head; tokens past them can never be picked.
    package init(_ tokenizer: Tokenizer, vocabulary: Int) {
        self.vocabulary = vocabulary
        var all: [Entry] = (0..<Int32(min(vocabulary, tokenizer.vocabularySize))).compactMap { token in
            guard let bytes = tokenizer.bytes(of: token, skipSpecialTokens: true), !bytes.isEmpty else { return nil }
            return Entry(token: token, bytes: Array(bytes), common: 0, plainScalars: Self.plainScalars(bytes))
        }
        all.sort { $0.bytes.lexicographicallyPrecedes($1.bytes) }
        entries = Self.linked(all)
        special = Self.linked(all.filter { $0.plainScalars == nil })
        longestPlain = all.reduce(0) { max($0, $1.plainScalars ?? 0) }
    }

    private static func linked(_ entries: [Entry]) -> [Entry] {
        var linked = entries
        for index in linked.indices.dropFirst() {
            linked[index].common = zip(linked[index - 1].bytes, linked[index].bytes).prefix { $0 == $1 }.count
        }
        return linked
    }

    private static func plainScalars(_ bytes: ArraySlice<UInt8>) -> Int? {
        guard !bytes.contains(where: { $0 < 0x20 || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) else {
            return nil
        }
        return String(validating: bytes, as: UTF8.self)?.unicodeScalars.count
    }
}
