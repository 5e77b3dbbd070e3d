import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A file that appears whole or not at all: bytes go to a temporary file in the same directory, which is flushed to the
/// disk and renamed when `commit()` is called. Without `commit()`, and on every error, the temporary file is removed and
/// what stood under the name before stands there still.
///
/// A symbolic link is followed, so the link stays. A device or pipe (`/dev/stdout`) cannot be renamed onto; it is
/// written to directly, and only in sequence. Threads may share it; their writes wait for each other.
public final class AtomicFile: Sendable {
    public let url: URL
    /// For messages.
    private let shown: String
    /// nil for a device or pipe.
    private let name: AtomicName?
    /// −1 when closed.
    private let descriptor: Mutex<Int32>

    /// Opens a temporary file beside `url`.
    ///
    /// - Parameters:
    ///   - overwrite: whether an existing file may be replaced. Where it may not, a file that another process creates
    ///     meanwhile is left alone too, and `commit()` throws.
    ///   - shown: the path that messages name, where it is not `url`'s: one within a directory that has its name yet
    ///     to get.
    /// - Throws: `FileWriteError`.
    public init(_ url: URL, overwrite: Bool = true, shownAs shown: String? = nil) throws(FileWriteError) {
        self.url = url
        let path = url.path
        let shown = shown ?? path
        self.shown = shown
        var status = stat()
        var permissions: mode_t = 0o666
        if stat(path, &status) == 0 {
            let kind = status.st_mode & S_IFMT
            if kind == S_IFDIR { throw .isDirectory(path: shown) }
            if kind != S_IFREG {
                name = nil
                let opened = open(path, O_WRONLY | O_CLOEXEC)
                guard opened >= 0 else {
                    throw .system(path: shown, operation: "open it for writing", code: errno)
                }
                descriptor = Mutex(opened)
                return
            }
            if !overwrite { throw .exists(path: shown) }
            permissions = status.st_mode & 0o777
        }
        let name = AtomicName(path, overwrite: overwrite, shownAs: shown)
        self.name = name
        let opened = open(name.temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, permissions)
        guard opened >= 0 else { throw .system(path: shown, operation: "create a file there", code: errno) }
        descriptor = Mutex(opened)
    }

    deinit { cancel() }

    /// Sets room for `count` bytes aside, where the file system can, so that a full disk shows before the work.
    public func reserve(_ count: Int) throws(FileWriteError) {
        guard count > 0, name != nil else { return }
        try whileOpen("reserve \(count) bytes") { descriptor in
            let code = posix_fallocate(descriptor, 0, count)
            return code == ENOSPC || code == EFBIG || code == EDQUOT ? code : 0
        }
    }

    /// Appends bytes. On an error the file is given up: nothing of it remains.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(FileWriteError) {
        try transfer(bytes) { descriptor, base, count, _ in
            #if canImport(Glibc)
                Glibc.write(descriptor, base, count)
            #elseif canImport(Musl)
                Musl.write(descriptor, base, count)
            #else
                Darwin.write(descriptor, base, count)
            #endif
        }
    }

    /// Writes bytes `offset` bytes from the file's beginning; where `write(_:)` appends does not change.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileWriteError) {
        try transfer(bytes) { descriptor, base, count, done in pwrite(descriptor, base, count, off_t(offset + done)) }
    }

    private func transfer(
        _ bytes: UnsafeRawBufferPointer, _ call: (Int32, UnsafeRawPointer, Int, _ done: Int) -> Int
    ) throws(FileWriteError) {
        try whileOpen("write") { descriptor in
            guard let base = bytes.baseAddress else { return 0 }
            var done = 0
            while done < bytes.count {
                // Linux moves at most 2 GiB − 4 KiB in one call.
                let count = call(descriptor, base + done, min(bytes.count - done, 1 << 30), done)
                if count < 0 {
                    if errno == EINTR { continue }
                    return errno
                }
                done += count
            }
            return 0
        }
    }

    public func write(_ data: some ContiguousBytes) throws(FileWriteError) {
        // `withUnsafeBytes` would lose the type of the error.
        let result = data.withUnsafeBytes { bytes in Result { () throws(FileWriteError) in try write(bytes) } }
        try result.get()
    }

    public func write(_ text: String) throws(FileWriteError) { try write(Array(text.utf8)) }

    /// Flushes the bytes to the disk and gives the file its name.
    public func commit() throws(FileWriteError) {
        try whileOpen("flush it to the disk") { descriptor in
            // A pipe or a terminal cannot be synchronised, and need not be.
            fsync(descriptor) != 0 && (name != nil || ![EINVAL, ENOTSUP, EROFS].contains(errno)) ? errno : 0
        }
        let closed = descriptor.withLock { descriptor -> Int32 in
            defer { descriptor = -1 }
            return close(descriptor) != 0 && errno != EINTR ? errno : 0
        }
        guard closed == 0 else { throw fail("close it", closed) }
        try name?.publishFile()
    }

    /// Gives the file up. Does nothing after `commit()`.
    public func cancel() {
        descriptor.withLock { descriptor in
            guard descriptor >= 0 else { return }
            close(descriptor)
            descriptor = -1
            if let name { unlink(name.temporary) }
        }
    }

    /// Runs `body`, which returns 0 or errno's number, under the lock. On an error the file is given up.
    private func whileOpen(_ operation: String, _ body: (Int32) -> Int32) throws(FileWriteError) {
        let code: Int32? = descriptor.withLock { $0 >= 0 ? body($0) : nil }
        guard let code else { throw .closed(path: shown) }
        if code != 0 { throw fail(operation, code) }
    }

    private func fail(_ operation: String, _ code: Int32) -> FileWriteError {
        cancel()
        if let name { unlink(name.temporary) }
        return .system(path: shown, operation: operation, code: code)
    }
}

extension AtomicFile {
    /// Writes `data` as the whole file.
    public static func write(_ data: some ContiguousBytes, to url: URL, overwrite: Bool = true) throws(FileWriteError) {
        let file = try AtomicFile(url, overwrite: overwrite)
        try file.write(data)
        try file.commit()
    }

    /// Writes `text` as the whole file, in UTF-8.
    public static func write(_ text: String, to url: URL, overwrite: Bool = true) throws(FileWriteError) {
        let file = try AtomicFile(url, overwrite: overwrite)
        try file.write(text)
        try file.commit()
    }
}
