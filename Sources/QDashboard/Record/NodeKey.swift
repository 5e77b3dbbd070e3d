import Crypto
import Foundation
import Runtime

/// A node's Ed25519 key (RFC 8032).
public struct NodeKey: Sendable {
    private let key: Curve25519.Signing.PrivateKey

    /// A new key, for one run: its signature shows that a record is whole, not who made it.
    public init() { key = Curve25519.Signing.PrivateKey() }

    /// The key in a file: 64 hexadecimal digits, readable by its owner only. Made where there is none.
    ///
    /// Throws `RecordError`.
    public init(file: URL) throws {
        let path = file.path
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if descriptor >= 0 {
            defer { close(descriptor) }
            key = Curve25519.Signing.PrivateKey()
            let text = Array((Hex.text(key.rawRepresentation) + "\n").utf8)
            guard write(descriptor, text, text.count) == text.count, fsync(descriptor) == 0 else {
                let code = errno
                unlink(path)
                throw RecordError.unwritable(path: path, reason: String(cString: strerror(code)))
            }
            return
        }
        guard errno == EEXIST else {
            throw RecordError.unwritable(path: path, reason: String(cString: strerror(errno)))
        }
        // Bounded: a key is 64 digits, whatever else the file may be.
        let text = try RecordFile.text(file, limit: 4096)
        let digits = text.trimmingCharacters(in: .whitespacesAndNewlines).lowercased()
        guard let bytes = Hex.bytes(digits), let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: bytes)
        else {
            throw RecordError.malformed(place: path, expected: "a private key: 64 hexadecimal digits", got: nil)
        }
        self.key = key
    }

    /// 64 hexadecimal digits.
    public var publicKey: String { Hex.text(key.publicKey.rawRepresentation) }

    /// Signs with it: the signature is 128 hexadecimal digits.
    public func sign(_ statement: [UInt8]) throws -> NodeSignature {
        NodeSignature(publicKey: publicKey, signature: Hex.text(try key.signature(for: statement)))
    }

    static func isValid(_ signature: String, of statement: [UInt8], by publicKey: String) -> Bool {
        guard let signature = Hex.bytes(signature, count: 64), let bytes = Hex.bytes(publicKey),
            let key = try? Curve25519.Signing.PublicKey(rawRepresentation: bytes)
        else { return false }
        return key.isValidSignature(signature, for: statement)
    }
}
