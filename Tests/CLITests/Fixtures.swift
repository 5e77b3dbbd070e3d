import Foundation
import Testing

/// The tiny Qwen2 checkpoint of the fixtures, with room for the prompts' many byte tokens.
func makeModel(in folder: URL, named name: String = "model", context: Int = 8192) throws -> String {
    let copy = folder.appending(path: name)
    try FileManager.default.copyItem(at: repository.appending(path: "Tests/Fixtures/models/qwen2-tied"), to: copy)
    let url = copy.appending(path: "config.json")
    let config = try text(url).replacing(
        #/"max_position_embeddings": \d+/#, with: "\"max_position_embeddings\": \(context)")
    try Data(config.utf8).write(to: url)
    return copy.path
}

/// Recorded requests of the repository: the network's epochs.
let epochs = path("Datasets/recorded/epochs_104_231.jsonl")

/// The first recorded epochs.
func makeSnapshots(in folder: URL, count: Int) throws -> String {
    let url = folder.appending(path: "snapshots.jsonl")
    let head = try lines(URL(fileURLWithPath: epochs)).prefix(count).joined(separator: "\n") + "\n"
    try Data(head.utf8).write(to: url)
    return url.path
}

let prompts = path("Datasets/prompts")

/// The fixtures' model with its last layer a second time: three layers, for three stages.
func makeDeepModel(in folder: URL) throws -> String {
    let model = try makeModel(in: folder, named: "deep")
    let directory = URL(fileURLWithPath: model)
    let config = directory.appending(path: "config.json")
    try Data(try text(config).replacing(#/"num_hidden_layers": \d+/#, with: "\"num_hidden_layers\": 3").utf8)
        .write(to: config)
    let weights = directory.appending(path: "model.safetensors")
    let file = try Data(contentsOf: weights)
    let length = file.prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
    var header = try #require(
        try JSONSerialization.jsonObject(with: file[8..<8 + length]) as? [String: [String: Any]])
    var data = Data(file[(8 + length)...])
    for (name, entry) in header where name.hasPrefix("model.layers.1.") {
        let offsets = try #require(entry["data_offsets"] as? [Int])
        var copy = entry
        copy["data_offsets"] = [data.count, data.count + offsets[1] - offsets[0]]
        data += file[(8 + length + offsets[0])..<(8 + length + offsets[1])]
        header[name.replacing("model.layers.1.", with: "model.layers.2.")] = copy
    }
    var head = try JSONSerialization.data(withJSONObject: header)
    while head.count % 8 != 0 { head.append(0x20) }
    let size = (0..<8).map { UInt8(truncatingIfNeeded: head.count >> (8 * $0)) }
    try (Data(size) + head + data).write(to: weights)
    return model
}
