import Crypto
import Foundation

extension Checkpoint {
    /// SHA-256, hexadecimal, of what all stages read: config.json, and the tensors' names, types and shapes.
    func outlineDigest() throws -> String {
        var hash = SHA256()
        let config = try MappedFile(url: directory.appending(path: "config.json"))
        hash.update(contentsOf: config)
        for name in tensors.keys.sorted() { hash.update(data: Data(Self.line(tensors[name]!).utf8)) }
        return Hex.text(hash.finalize())
    }

    /// SHA-256, hexadecimal, of the tensors that one stage of `partition` computes with. Reads these and no others.
    func shareDigest(stage: Int, of partition: Partition) throws -> String {
        let range = partition.ranges[stage]
        let quantization = try quantization
        let expected = try configuration.expectedTensors(
            layers: range, embedding: range.lowerBound == 0, head: range.upperBound == configuration.layers,
            scheme: { try quantization?.scheme(for: $0) })
        var hash = SHA256()
        for name in expected.map(\.name).sorted() {
            guard let info = tensors[name] else { continue }
            hash.update(data: Data(Self.line(info).utf8))
            try withBytes(name) { bytes in
                for begin in stride(from: 0, to: bytes.count, by: 8 << 20) {
                    let piece = bytes[begin..<min(begin + 8 << 20, bytes.count)]
                    hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: piece))
                }
            }
            release(name)
        }
        return Hex.text(hash.finalize())
    }

    /// SHA-256, hexadecimal, of a file.
    func digest(of url: URL) throws -> String {
        var hash = SHA256()
        hash.update(contentsOf: try MappedFile(url: url))
        return Hex.text(hash.finalize())
    }

    private static func line(_ info: TensorInfo) -> String { "\(info.name) \(info.dtype.rawValue) \(info.shape)\n" }
}
