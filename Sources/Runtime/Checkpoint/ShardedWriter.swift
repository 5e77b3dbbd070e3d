import Foundation

/// Writes a checkpoint's tensors into model.safetensors, or, where that would be larger than wished, into shards with
/// the index that Hugging Face's loaders read.
final class ShardedWriter {
    private let directory: AtomicDirectory
    private let writers: [SafetensorsWriter]
    private let places: [String: Int]
    private let names: [String]

    /// - Parameters:
    ///   - tensors: in the order in which they are to follow each other over the shards.
    ///   - maxBytes: of a shard's tensors; a larger tensor has a shard of its own.
    /// - Throws: `FileWriteError`.
    init(_ directory: AtomicDirectory, tensors: [TensorInfo], metadata: [String: String], maxBytes: Int?) throws {
        self.directory = directory
        var shards: [[TensorInfo]] = [[]]
        var bytes = 0
        for tensor in tensors {
            if let maxBytes, bytes > 0, bytes + tensor.byteCount > maxBytes {
                shards.append([])
                bytes = 0
            }
            shards[shards.count - 1].append(tensor)
            bytes += tensor.byteCount
        }
        let count = shards.count
        names = (1...count).map {
            count == 1 ? WeightFiles.single : String(format: "model-%05d-of-%05d.safetensors", $0, count)
        }
        var places: [String: Int] = [:]
        for (index, shard) in shards.enumerated() { for tensor in shard { places[tensor.name] = index } }
        self.places = places
        writers = try zip(names, shards).map { name, shard in
            try SafetensorsWriter(
                url: directory.temporary.appending(path: name), tensors: shard, metadata: metadata,
                shownAs: directory.shown(name))
        }
    }

    func writer(of tensor: String) -> SafetensorsWriter {
        guard let place = places[tensor] else { preconditionFailure("tensor \(tensor) was not declared") }
        return writers[place]
    }

    func write(_ tensor: String, _ bytes: UnsafeRawBufferPointer) throws {
        try writer(of: tensor).write(tensor, bytes)
    }

    /// Puts the files in their places, and the index beside them.
    func finish(totalBytes: Int) throws {
        for writer in writers { try writer.finish() }
        guard writers.count > 1 else { return }
        var map = JSONObject()
        for (tensor, place) in places.sorted(by: { $0.key < $1.key }) { map[tensor] = .string(names[place]) }
        let index: JSONValue = ["metadata": ["total_size": .integer(totalBytes)], "weight_map": .object(map)]
        try directory.write(index.serialized(), to: WeightFiles.index)
    }
}
