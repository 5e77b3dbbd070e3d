import Foundation

/// Layers that are done, kept beside the output until it is whole: a run that was killed goes on from there. The folder
/// is hidden, and its name tells which source and recipe it is of, so that no run takes over another's layers.
final class PartialWork {
    private let folder: URL
    /// Held as long as this lives, so that two runs do not share a folder.
    private let lock: Int32

    /// - Parameter key: a digest of source and recipe.
    /// - Throws: `FileWriteError`, `.busy` where another run is at work on the same.
    init(output: URL, key: String) throws {
        let path = output.path.count > 1 && output.path.hasSuffix("/") ? String(output.path.dropLast()) : output.path
        let place = URL(fileURLWithPath: path)
        let parent = place.deletingLastPathComponent()
        let prefix = ".\(String(place.lastPathComponent.prefix(120)))."
        folder = parent.appending(path: "\(prefix)\(key.prefix(16)).layers", directoryHint: .isDirectory)
        let manager = FileManager.default
        // Layers of another recipe for the same output are of no use any more.
        for name in (try? manager.contentsOfDirectory(atPath: parent.path)) ?? []
        where Self.isFolder(name, of: prefix) && name != folder.lastPathComponent {
            let other = parent.appending(path: name)
            guard let held = Self.locked(other) else { continue }
            try? manager.removeItem(at: other)
            close(held)
        }
        do {
            try manager.createDirectory(at: folder, withIntermediateDirectories: true)
        } catch {
            let cause = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
            throw FileWriteError.system(
                path: folder.path, operation: "create the directory", code: cause.map { Int32($0.code) } ?? ENOTDIR)
        }
        guard let held = Self.locked(folder) else {
            throw FileWriteError.notReplaceable(path: output.path, problem: "another run is writing it")
        }
        lock = held
        for name in (try? manager.contentsOfDirectory(atPath: folder.path)) ?? [] where name.hasPrefix(".") {
            try? manager.removeItem(at: folder.appending(path: name))
        }
    }

    deinit { close(lock) }

    /// Exactly `.NAME.<16 hex>.layers`: an output may be called as another and a dot and more.
    private static func isFolder(_ name: String, of prefix: String) -> Bool {
        guard name.hasPrefix(prefix), name.hasSuffix(".layers") else { return false }
        let key = name.dropFirst(prefix.count).dropLast(".layers".count)
        return key.count == 16 && key.allSatisfy { "0123456789abcdef".contains($0) }
    }

    /// A descriptor that holds the folder's lock; nil where another process has it.
    private static func locked(_ folder: URL) -> Int32? {
        let descriptor = open(folder.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return descriptor }
        close(descriptor)
        return nil
    }

    private func url(_ layer: Int) -> URL { folder.appending(path: "layer-\(layer).safetensors") }

    /// A layer that an earlier run has finished; nil where there is none, or none that can be read.
    func finished(_ layer: Int) -> SafetensorsFile? {
        guard FileManager.default.fileExists(atPath: url(layer).path) else { return nil }
        return try? SafetensorsFile(url: url(layer))
    }

    func writer(_ layer: Int, tensors: [TensorInfo]) throws -> SafetensorsWriter {
        try SafetensorsWriter(url: url(layer), tensors: tensors, metadata: [:], overwrite: true)
    }

    func file(_ layer: Int) throws -> SafetensorsFile { try SafetensorsFile(url: url(layer)) }

    /// The output is whole.
    func remove() { try? FileManager.default.removeItem(at: folder) }
}
