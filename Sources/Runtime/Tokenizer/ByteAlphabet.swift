/// The byte-level alphabet of GPT-2: each byte has a printable character that stands for it in vocabulary files.
/// Printable Latin-1 stands for itself, the 68 others are U+0100 … U+0143 (github.com/openai/gpt-2, `bytes_to_unicode`).
enum ByteAlphabet {
    /// byte → scalar
    static let scalars: [UInt16] = {
        var next: UInt16 = 0x100
        return (0...255).map { byte in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return UInt16(byte)
            default:
                defer { next += 1 }
                return next
            }
        }
    }()

    /// scalar → byte, −1 where the scalar stands for none
    static let bytes: [Int16] = {
        var table = [Int16](repeating: -1, count: 0x144)
        for (byte, scalar) in scalars.enumerated() { table[Int(scalar)] = Int16(byte) }
        return table
    }()

    /// Appends the bytes that a spelling in a vocabulary file stands for. False, and nothing appended, where the spelling
    /// has a character that is none of the alphabet's. `spelling` must be UTF-8.
    @inline(__always)
    static func decode(_ spelling: UnsafeBufferPointer<UInt8>, into output: inout [UInt8]) -> Bool {
        let table = bytes
        let start = output.count
        var index = 0
        while index < spelling.count {
            let lead = spelling[index]
            var scalar = Int(lead)
            if lead < 0x80 {
                index += 1
            } else {
                guard lead < 0xE0, index + 1 < spelling.count else {
                    output.removeSubrange(start...)
                    return false
                }
                scalar = Int(lead & 0x1F) << 6 | Int(spelling[index + 1] & 0x3F)
                index += 2
            }
            guard scalar < table.count, table[scalar] >= 0 else {
                output.removeSubrange(start...)
                return false
            }
            output.append(UInt8(truncatingIfNeeded: table[scalar]))
        }
        return true
    }

    /// How a vocabulary file spells these bytes.
    static func spelling(of bytes: some Sequence<UInt8>) -> String {
        var text = ""
        for byte in bytes { text.unicodeScalars.append(Unicode.Scalar(scalars[Int(byte)])!) }
        return text
    }
}
