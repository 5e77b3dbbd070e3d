import Foundation
import Synchronization

/// Writes a safetensors file: declare all tensors, write their bytes in any order, whole or in pieces and from any
/// thread, and finish. The file grows under a temporary name beside its place and is renamed by `finish`; what is never
/// finished is removed.
public final class SafetensorsWriter: Sendable {
    public let url: URL
    private let output: AtomicFile
    private let places: [String: (info: TensorInfo, offset: Int)]
    private let written: Mutex<[String: Int]>

    /// Lays the tensors out as the reference implementation does, by falling element size and then by name, after a
    /// header padded with spaces to a multiple of 8 bytes: every tensor is aligned to its element. The room is reserved
    /// at once, so that a full disk shows now. Throws `FileWriteError`.
    ///
    /// - Parameter shown: the path that messages name, where it is not `url`'s.
    public init(
        url: URL, tensors: [TensorInfo], metadata: [String: String], overwrite: Bool = false,
        shownAs shown: String? = nil
    ) throws {
        self.url = url
        let sorted = tensors.sorted {
            $0.dtype.size != $1.dtype.size
                ? $0.dtype.size > $1.dtype.size : $0.name.utf8.lexicographicallyPrecedes($1.name.utf8)
        }
        var members = JSONObject()
        if !metadata.isEmpty {
            var object = JSONObject()
            for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { object[key] = .string(value) }
            members["__metadata__"] = .object(object)
        }
        var end = 0
        for tensor in sorted {
            let description: JSONValue = [
                "dtype": .string(tensor.dtype.rawValue),
                "shape": .array(tensor.shape.map(JSONValue.integer)),
                "data_offsets": [.integer(end), .integer(end + tensor.byteCount)],
            ]
            precondition(members.append(tensor.name, description), "tensor \(tensor.name) declared twice")
            end += tensor.byteCount
        }
        var header = JSONValue.object(members).serialized(indent: nil)
        header.append(contentsOf: repeatElement(0x20, count: (8 - header.count % 8) % 8))

        var places: [String: (info: TensorInfo, offset: Int)] = [:]
        var offset = 8 + header.count
        for tensor in sorted {
            places[tensor.name] = (tensor, offset)
            offset += tensor.byteCount
        }
        self.places = places
        written = Mutex(places.mapValues { _ in 0 })
        output = try AtomicFile(url, overwrite: overwrite, shownAs: shown)
        try output.reserve(offset)
        try withUnsafeBytes(of: UInt64(header.count).littleEndian) { try output.write($0, at: 0) }
        try header.withUnsafeBytes { try output.write($0, at: 8) }
    }

    /// Writes a piece of a tensor, `offset` bytes from its beginning. Each byte is to be written once.
    public func write(_ name: String, _ bytes: UnsafeRawBufferPointer, at offset: Int = 0) throws {
        guard let place = places[name] else { preconditionFailure("tensor \(name) was not declared") }
        precondition(offset >= 0 && offset + bytes.count <= place.info.byteCount, "\(name): bytes beyond its end")
        try output.write(bytes, at: place.offset + offset)
        written.withLock { $0[name]! += bytes.count }
    }

    /// Puts the file in its place. All bytes of all tensors must have been written.
    public func finish() throws {
        written.withLock {
            for (name, count) in $0 {
                precondition(count == places[name]!.info.byteCount, "\(name): \(count) bytes were written")
            }
        }
        try output.commit()
    }
}
