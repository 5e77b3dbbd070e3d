import Crypto
import Foundation
import Runtime

/// SHA-256, the digest of everything that results name: inputs and prompts.
public enum Digest {
    /// Lower-case hex, 64 characters.
    public static func hex(_ bytes: some DataProtocol) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(unsafeUninitializedCapacity: 64) { text in
            var count = 0
            for byte in SHA256.hash(data: bytes) {
                text[count] = digits[Int(byte >> 4)]
                text[count + 1] = digits[Int(byte & 15)]
                count += 2
            }
            return count
        }
    }

    /// Of a value's canonical JSON, so that spacing, the order of keys and the spelling of a number do not matter.
    public static func hex(canonical value: JSONValue) -> String { hex(value.canonical.serialized(indent: nil)) }
}

extension JSONValue {
    /// The same value in its one canonical form: keys sorted by their UTF-8 bytes, and a number without a fraction that
    /// a double holds exactly (up to 2^53) as an integer. Serialized without spaces it is the text that is digested.
    public var canonical: JSONValue {
        switch self {
        case .number(let value):
            guard abs(value) <= 0x1p53, let integer = Int(exactly: value) else { return self }
            return .integer(integer)
        case .array(let elements): return .array(elements.map(\.canonical))
        case .object(let object):
            var sorted = JSONObject()
            for member in object.members.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
                _ = sorted.append(member.key, member.value.canonical)
            }
            return .object(sorted)
        default: return self
        }
    }
}

extension Digest {
    /// The first 8 bytes of a text's SHA-256.
    static func word(_ text: String) -> UInt64 {
        SHA256.hash(data: Data(text.utf8)).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
