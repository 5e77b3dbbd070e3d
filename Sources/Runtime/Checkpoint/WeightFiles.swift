import Foundation

/// Which safetensors files a directory has, and what its index, where it has one, says about them.
struct WeightFiles {
    static let single = "model.safetensors"
    static let index = "model.safetensors.index.json"

    /// In the order of their names.
    let names: [String]
    /// Tensor → file; nil where there is a single file and no index.
    private let map: [String: String]?
    private let indexPath: String

    init(directory: URL) throws {
        let indexURL = directory.appending(path: Self.index)
        indexPath = indexURL.path
        if FileManager.default.fileExists(atPath: directory.appending(path: Self.single).path) {
            names = [Self.single]
            map = nil
        } else if FileManager.default.fileExists(atPath: indexURL.path) {
            map = try Self.weightMap(indexURL)
            names = Set(map!.values).sorted()
        } else {
            let files = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
            let other = files.sorted().first { $0.hasSuffix(".bin") || $0.hasSuffix(".pth") || $0.hasSuffix(".gguf") }
            throw CheckpointError.file(
                path: directory.path, reason: "there is neither \(Self.single) nor \(Self.index)",
                advice: other.map { "\(printable($0)) is not read: convert it to safetensors" }
                    ?? "give the directory of a whole model")
        }
    }

    private static func weightMap(_ url: URL) throws -> [String: String] {
        func failure(_ problem: String, expected: String? = nil, got: String? = nil) -> CheckpointError {
            .malformed(path: url.path, problem: problem, expected: expected, got: got)
        }
        let root = try JSONValue(parsing: try readFile(url, limit: SafetensorsFile.maximumHeaderBytes), place: url.path)
        guard let map = root["weight_map"]?.object else { throw failure("weight_map is missing or no object") }
        guard map.count > 0 else { throw failure("weight_map is empty") }
        var files: [String: String] = [:]
        for (tensor, file) in map.members {
            guard let name = file.string else {
                throw failure("the file of \(printable(tensor)) is malformed", expected: "a string", got: file.kind)
            }
            // The index must not lead out of the directory.
            guard name.hasSuffix(".safetensors"), !name.contains("/"), !name.contains("\0") else {
                throw failure(
                    "the file of \(printable(tensor)) is no plain name", expected: "NAME.safetensors",
                    got: printable(name))
            }
            files[tensor] = name
        }
        return files
    }

    /// Where each tensor lies, after checking that the index and the files agree.
    func places(
        in files: [SafetensorsFile]
    ) throws -> [String: (file: SafetensorsFile, entry: SafetensorsFile.Entry)] {
        var places: [String: (file: SafetensorsFile, entry: SafetensorsFile.Entry)] = [:]
        for (fileName, file) in zip(names, files) {
            for (name, entry) in file.entries {
                if let earlier = places.updateValue((file, entry), forKey: name) {
                    throw CheckpointError.tensor(
                        path: file.file.path, name: printable(name),
                        problem: "occurs in \(earlier.file.file.url.lastPathComponent) too")
                }
                if let map, map[name] != fileName {
                    throw CheckpointError.tensor(
                        path: file.file.path, name: printable(name), problem: "is not where the index says",
                        expected: map[name].map(printable) ?? "no such tensor", got: fileName)
                }
            }
        }
        for name in (map ?? [:]).keys.sorted() where places[name] == nil {
            throw CheckpointError.missingTensor(path: indexPath + " → \(map![name]!)", name: printable(name))
        }
        return places
    }
}
