import Foundation
import Synchronization

/// A directory that appears whole or not at all: filled under a temporary name beside its place, then renamed.
/// Released without `commit`, it leaves nothing behind.
package final class AtomicDirectory: Sendable {
    /// Where the contents go until `commit`.
    package let temporary: URL
    private let name: AtomicName
    private let marker: String
    private let isOpen = Mutex(true)

    /// - Parameters:
    ///   - overwrite: whether an earlier directory of the same kind may be replaced.
    ///   - marker: the file by which that kind is known. A directory that is not empty and has none is refused even
    ///     so, lest a mistyped path costs somebody's files.
    /// - Throws: `FileWriteError`.
    package init(url: URL, overwrite: Bool, marker: String = "config.json") throws(FileWriteError) {
        // "models/x/" names the same directory, and its last component is what the temporary name is made of.
        let path = url.path.count > 1 && url.path.hasSuffix("/") ? String(url.path.dropLast()) : url.path
        name = AtomicName(path, overwrite: overwrite)
        self.marker = marker
        temporary = URL(filePath: name.temporary, directoryHint: .isDirectory)
        try Self.refuse(name, marker)
        let parent = URL(filePath: name.destination).deletingLastPathComponent().path
        do {
            try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
        } catch {
            let cause = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
            throw .system(
                path: parent, operation: "create the directory", code: cause.map { Int32($0.code) } ?? ENOTDIR)
        }
        name.sweep()
        guard mkdir(name.temporary, 0o777) == 0 else {
            throw .system(path: path, operation: "create a directory there", code: errno)
        }
    }

    deinit {
        if isOpen.withLock({ $0 }) { try? FileManager.default.removeItem(at: temporary) }
    }

    /// Writes one small file of the directory.
    package func write(_ data: Data, to file: String) throws {
        let output = try AtomicFile(temporary.appending(path: file), overwrite: false, shownAs: shown(file))
        try output.write(data)
        try output.commit()
    }

    /// The path that a file of the directory will have, for messages.
    package func shown(_ file: String) -> String { name.path + "/" + file }

    /// Gives the directory its name. Throws `FileWriteError`.
    package func commit() throws(FileWriteError) {
        try Self.refuse(name, marker)
        try name.publishDirectory()
        isOpen.withLock { $0 = false }
    }

    private static func refuse(_ name: AtomicName, _ marker: String) throws(FileWriteError) {
        var status = stat()
        guard lstat(name.destination, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw .notReplaceable(path: name.path, problem: "is a file, where the output directory is to be")
        }
        guard name.overwrite else { throw .exists(path: name.path) }
        let contents = (try? FileManager.default.contentsOfDirectory(atPath: name.destination)) ?? ["?"]
        guard contents.isEmpty || contents.contains(marker) else {
            throw .notReplaceable(path: name.path, problem: "is a directory without \(marker), so not one of this kind")
        }
    }
}
