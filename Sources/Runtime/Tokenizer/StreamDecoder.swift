/// Decodes tokens as they come, and never hands out half a character: the pieces, put together, are exactly what
/// `Tokenizer.decode` makes of all the tokens at once.
public struct StreamDecoder: Sendable {
    private let tokenizer: Tokenizer
    private let skipSpecialTokens: Bool
    /// The beginning of a character whose end has not come yet; three bytes at the most.
    private var pending: [UInt8] = []

    init(tokenizer: Tokenizer, skipSpecialTokens: Bool) {
        self.tokenizer = tokenizer
        self.skipSpecialTokens = skipSpecialTokens
    }

    /// The text that this token completes; empty where it completes none.
    public mutating func append(_ token: Int32) -> String {
        guard let bytes = tokenizer.bytes(of: token, skipSpecialTokens: skipSpecialTokens) else { return "" }
        pending.append(contentsOf: bytes)
        let complete = pending.count - incompleteSuffixLength(pending)
        let text = String(decoding: pending[..<complete], as: UTF8.self)
        pending.removeFirst(complete)
        return text
    }

    /// What is left at the end: nothing, or U+FFFD for a character that never was completed.
    public mutating func finish() -> String {
        defer { pending.removeAll() }
        return String(decoding: pending, as: UTF8.self)
    }
}

/// How many bytes at the end begin a UTF-8 character that further bytes could complete.
private func incompleteSuffixLength(_ bytes: [UInt8]) -> Int {
    for length in 1...3 where length <= bytes.count {
        let lead = bytes[bytes.count - length]
        if lead & 0xC0 == 0x80 { continue }
        let expected =
            switch lead {
            case 0xC2...0xDF: 2
            case 0xE0...0xEF: 3
            case 0xF0...0xF4: 4
            default: 1
            }
        guard length < expected else { return 0 }
        if length >= 2 {
            // Some second bytes make the sequence ill-formed at once: overlong, surrogates, beyond U+10FFFF.
            let second = bytes[bytes.count - length + 1]
            let valid: ClosedRange<UInt8> =
                switch lead {
                case 0xE0: 0xA0...0xBF
                case 0xED: 0x80...0x9F
                case 0xF0: 0x90...0xBF
                case 0xF4: 0x80...0x8F
                default: 0x80...0xBF
                }
            guard valid.contains(second) else { return 0 }
        }
        return length
    }
    return 0
}
