import Foundation
import Synchronization

/// A file that appears whole or not at all: written under a temporary name in the same directory, then renamed.
/// Released without `commit`, it leaves nothing behind. Any thread may write.
package final class AtomicRandomAccessFile: Sendable {
    private let url: URL
    private let temporary: String
    private let descriptor: Int32
    private let overwrite: Bool
    private let isOpen = Mutex(true)

    /// Throws `CheckpointError.outputExists` unless `overwrite`.
    package init(url: URL, overwrite: Bool) throws(CheckpointError) {
        self.url = url
        self.overwrite = overwrite
        temporary = temporaryPath(for: url)
        try refuseExisting(url, overwrite: overwrite)
        descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw .system(temporary, "create the file") }
    }

    deinit {
        if isOpen.withLock({ $0 }) {
            close(descriptor)
            unlink(temporary)
        }
    }

    /// Sets room for `count` bytes aside, where the file system can, so that a full disk shows before the work.
    package func reserve(_ count: Int) throws(CheckpointError) {
        guard count > 0 else { return }
        let code = posix_fallocate(descriptor, 0, count)
        if code == ENOSPC || code == EFBIG || code == EDQUOT { throw failure("reserve \(count) bytes", code) }
    }

    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(CheckpointError) {
        var done = 0
        while done < bytes.count {
            let count = pwrite(descriptor, bytes.baseAddress! + done, bytes.count - done, off_t(offset + done))
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("write", errno)
            }
            done += count
        }
    }

    /// Makes the bytes durable and gives the file its name.
    package func commit() throws(CheckpointError) {
        guard fsync(descriptor) == 0 else { throw failure("write", errno) }
        try refuseExisting(url, overwrite: overwrite)
        guard rename(temporary, url.path) == 0 else { throw failure("rename the finished file", errno) }
        isOpen.withLock { $0 = false }
        close(descriptor)
    }

    private func failure(_ operation: String, _ code: Int32) -> CheckpointError {
        .system(url.path, operation, code, advice: code == ENOSPC || code == EDQUOT ? "free some disk space" : nil)
    }
}

/// A directory that appears whole or not at all: filled under a temporary name beside its place, then renamed.
/// Released without `commit`, it leaves nothing behind.
package final class AtomicDirectory: Sendable {
    /// Where the contents go until `commit`.
    package let temporary: URL
    private let url: URL
    private let overwrite: Bool
    private let isOpen = Mutex(true)

    /// `overwrite` replaces an earlier model, and nothing else: a directory without config.json that is not empty is
    /// refused even so, lest a mistyped path costs somebody's files.
    package init(url: URL, overwrite: Bool) throws(CheckpointError) {
        self.url = url
        self.overwrite = overwrite
        temporary = URL(filePath: temporaryPath(for: url), directoryHint: .isDirectory)
        try Self.refuseExisting(url, overwrite: overwrite)
        let parent = url.deletingLastPathComponent()
        do {
            try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: true)
        } catch {
            throw .file(path: parent.path, reason: "cannot create the directory: \(error.localizedDescription)")
        }
        guard mkdir(temporary.path, 0o777) == 0 else { throw .system(temporary.path, "create the directory") }
    }

    deinit {
        if isOpen.withLock({ $0 }) { try? FileManager.default.removeItem(at: temporary) }
    }

    /// Writes one small file of the directory.
    package func write(_ data: Data, to name: String) throws(CheckpointError) {
        let file = try AtomicRandomAccessFile(url: temporary.appending(path: name), overwrite: false)
        let result: Result<Void, CheckpointError> = data.withUnsafeBytes { bytes in
            Result { () throws(CheckpointError) in try file.write(bytes, at: 0) }
        }
        try result.get()
        try file.commit()
    }

    package func commit() throws(CheckpointError) {
        try Self.refuseExisting(url, overwrite: overwrite)
        let path = url.path
        // A directory cannot be renamed over one that is not empty, so the old one steps aside for a moment.
        let aside = temporary.path + ".old"
        let replaces = FileManager.default.fileExists(atPath: path)
        if replaces, rename(path, aside) != 0 { throw .system(path, "move the old directory aside") }
        guard rename(temporary.path, path) == 0 else {
            let code = errno
            if replaces { rename(aside, path) }
            throw .system(path, "rename the finished directory", code)
        }
        isOpen.withLock { $0 = false }
        if replaces { try? FileManager.default.removeItem(atPath: aside) }
    }

    private static func refuseExisting(_ url: URL, overwrite: Bool) throws(CheckpointError) {
        try Runtime.refuseExisting(url, overwrite: overwrite)
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory) else { return }
        guard isDirectory.boolValue else {
            throw .file(path: url.path, reason: "is a file, where the output directory is to be")
        }
        let contents = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? ["?"]
        guard contents.isEmpty || contents.contains("config.json") else {
            throw .outputExists(
                path: url.path, advice: "it is no model's directory, so it is not replaced: choose another one")
        }
    }
}

private func refuseExisting(_ url: URL, overwrite: Bool) throws(CheckpointError) {
    var status = stat()
    guard !overwrite, lstat(url.path, &status) == 0 else { return }
    throw .outputExists(path: url.path, advice: "choose another path, or replace it with --force")
}

/// Hidden, beside `url`, and this process' own.
private func temporaryPath(for url: URL) -> String {
    url.deletingLastPathComponent()
        .appending(path: ".\(url.lastPathComponent).partial-\(getpid())-\(UInt32.random(in: 0 ... .max))").path
}
