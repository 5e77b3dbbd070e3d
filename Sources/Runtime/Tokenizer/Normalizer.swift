import Foundation

/// What is done to text before it is cut.
enum Normalizer: Sendable {
    case none
    /// Canonical composition (UAX 15).
    case nfc

    /// The normalized text, or nil where it is the text as it is.
    func normalized(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        guard case .nfc = self, Self.mayChange(text) else { return nil }
        // An unassigned character neither decomposes nor composes nor reorders. Hugging Face's tables are Unicode 9.0's;
        // so a character that came later must be left alone, and its neighbours must not see through it.
        var output: [UInt8] = []
        output.reserveCapacity(text.count + 16)
        var start = 0
        var index = 0
        func flush(to end: Int) {
            if start < end {
                let run = String(decoding: UnsafeBufferPointer(rebasing: text[start..<end]), as: UTF8.self)
                output.append(contentsOf: run.precomposedStringWithCanonicalMapping.utf8)
            }
        }
        while index < text.count {
            if text[index] < 0x80 {
                index += 1
                continue
            }
            let (scalar, length) = decodeScalar(text, at: index)
            if Self.isNewer(scalar) {
                flush(to: index)
                output.append(contentsOf: text[index..<index + length])
                start = index + length
            }
            index += length
        }
        flush(to: text.count)
        return output
    }

    private static func isNewer(_ scalar: Unicode.Scalar) -> Bool {
        guard scalar.value >= 0x300, let age = scalar.properties.age else { return false }
        return age.major > 9
    }

    /// False only where normalization certainly changes nothing: below U+0300 everything is composed, and the Chinese,
    /// Japanese and Korean blocks named here hold nothing that composes.
    private static func mayChange(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        var index = 0
        while index < text.count {
            let lead = text[index]
            if lead < 0x80 {
                index += 1
            } else if lead < 0xCC {
                index += 2
            } else if (0xE4...0xE9).contains(lead) {
                // U+4000 … U+9FFF
                index += 3
            } else if lead == 0xE3, text[index + 1] == 0x80, text[index + 2] < 0xAA {
                // U+3000 … U+3029, CJK punctuation
                index += 3
            } else if lead == 0xEF, text[index + 1] == 0xBC || text[index + 1] == 0xBD {
                // U+FF00 … U+FF7F, full-width forms
                index += 3
            } else {
                return true
            }
        }
        return false
    }
}
