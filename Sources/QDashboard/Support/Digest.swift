import Crypto
import Foundation
import Runtime

/// SHA-256, the digest of everything that results name: inputs and prompts.
public enum Digest {
    /// Lower-case hex, 64 characters.
    public static func hex(_ bytes: some DataProtocol) -> String { Hex.text(SHA256.hash(data: bytes)) }

    /// Of a value's canonical JSON, so that spacing, the order of keys and the spelling of a number do not matter.
    public static func hex(canonical value: JSONValue) -> String { hex(value.canonicalJSON) }
}

extension Digest {
    /// The first 8 bytes of a text's SHA-256.
    static func word(_ text: String) -> UInt64 {
        var (text, hash) = (text, SHA256())
        text.withUTF8 { hash.update(bufferPointer: UnsafeRawBufferPointer($0)) }
        return hash.finalize().prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
