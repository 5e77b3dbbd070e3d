import Foundation
import Runtime

/// A Llama checkpoint of zeros, in F16, as a file with a hole: large to read, and nothing on the disk.
struct SparseModel {
    var hidden = 256
    var intermediate = 1024
    var layers = 2
    var vocabulary = 512

    /// Bytes of all tensors.
    var byteCount: Int {
        2 * (vocabulary * hidden + hidden + layers * (4 * hidden * hidden + 3 * hidden * intermediate + 2 * hidden))
    }
    /// Of the largest one.
    var largest: Int { 2 * max(vocabulary * hidden, hidden * intermediate) }

    func write(to directory: URL) throws {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        var config = ConfigurationTests.base("llama")
        for (key, value) in [
            ("hidden_size", hidden), ("intermediate_size", intermediate), ("num_hidden_layers", layers),
            ("vocab_size", vocabulary), ("num_attention_heads", 2), ("num_key_value_heads", 2),
        ] {
            config[key] = .integer(value)
        }
        config["tie_word_embeddings"] = true
        let url = directory.appending(path: "config.json")
        try JSONValue.object(config).serialized().write(to: url)
        let model = try ModelConfiguration(json: Data(contentsOf: url), place: url.path)
        var end = 0
        let entries = try model.expectedTensors().filter(\.required).map { tensor in
            let bytes = tensor.shape.reduce(2, *)
            defer { end += bytes }
            return
                "\"\(tensor.name)\":{\"dtype\":\"F16\",\"shape\":\(tensor.shape),\"data_offsets\":[\(end),\(end + bytes)]}"
        }
        let weights = directory.appending(path: "model.safetensors")
        let head = safetensors("{" + entries.joined(separator: ",") + "}")
        try head.write(to: weights)
        let handle = try FileHandle(forWritingTo: weights)
        try handle.truncate(atOffset: UInt64(head.count + end))
        try handle.close()
    }
}

/// Overwrites a tensor's first element in a checkpoint of one file. (0x62, 0x7F is 3e38 in BF16.)
func setFirst(of tensor: String, in directory: URL, to bytes: [UInt8]) throws {
    let entry = try Checkpoint(directory: directory).files[0].entries[tensor]!
    let handle = try FileHandle(forWritingTo: directory.appending(path: "model.safetensors"))
    try handle.seek(toOffset: UInt64(entry.range.lowerBound))
    try handle.write(contentsOf: Data(bytes))
    try handle.close()
}
