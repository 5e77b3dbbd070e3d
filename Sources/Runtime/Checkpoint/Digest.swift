import Crypto
import Foundation

extension Checkpoint {
    /// SHA-256, in lower-case hexadecimal, of what determines the model's numbers: config.json, then the safetensors
    /// files in the order of their names. Each file counts as its name in UTF-8, a zero byte, its length as eight bytes,
    /// little end first, and its contents.
    public func digest() throws -> String {
        var hash = SHA256()
        let config = directory.appending(path: "config.json")
        for file in [try MappedFile(url: config)] + files.map(\.file) {
            hash.update(data: Data(file.url.lastPathComponent.utf8) + [0])
            withUnsafeBytes(of: UInt64(file.count).littleEndian) { hash.update(bufferPointer: $0) }
            hash.update(contentsOf: file)
        }
        return Hex.text(hash.finalize())
    }
}

extension SHA256 {
    /// Piece by piece, so that the whole file never counts as this process' memory.
    mutating func update(contentsOf file: MappedFile) {
        for begin in stride(from: 0, to: file.count, by: 8 << 20) {
            let piece = begin..<min(begin + 8 << 20, file.count)
            file.withBytes(piece) { update(bufferPointer: $0) }
            file.release(piece)
        }
    }
}
