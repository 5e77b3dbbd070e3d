import Foundation

/// The bytes of a regular file, checked to be UTF-8.
func readText(_ url: URL, limit: Int) throws(TokenizerError) -> Data {
    let place = url.lastPathComponent
    let path = url.resolvingSymlinksInPath().path
    guard let attributes = try? FileManager.default.attributesOfItem(atPath: path) else {
        throw .unreadable(
            place: url.path, problem: "there is no such file",
            advice: "a Hugging Face model directory holds config.json, tokenizer.json and tokenizer_config.json")
    }
    guard attributes[.type] as? FileAttributeType == .typeRegular else {
        throw .unreadable(place: url.path, problem: "this is no regular file", advice: nil)
    }
    let size = (attributes[.size] as? NSNumber)?.intValue ?? 0
    guard size <= limit else {
        throw .unreadable(place: url.path, problem: "\(size) bytes are more than the \(limit) allowed", advice: nil)
    }
    let data: Data
    do {
        data = try Data(contentsOf: URL(fileURLWithPath: path))
    } catch {
        throw .unreadable(place: url.path, problem: error.localizedDescription, advice: nil)
    }
    let invalid = data.withUnsafeBytes { firstInvalidUTF8($0.bindMemory(to: UInt8.self)) }
    if let invalid { throw .malformed(place: place, offset: invalid, problem: "the file is not UTF-8 here") }
    return data
}
