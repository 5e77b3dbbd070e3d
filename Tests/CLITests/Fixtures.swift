import Foundation

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
