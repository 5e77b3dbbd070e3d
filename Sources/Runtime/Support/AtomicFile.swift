import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A file that cannot be written.
public enum FileWriteError: WordedError, Equatable {
    /// The file is there already, and the caller did not ask to replace it.
    case exists(path: String)
    /// A directory stands where the file should.
    case isDirectory(path: String)
    /// A system call failed.
    case system(path: String, operation: String, code: Int32)
    /// `write` or `commit` after `commit` or `cancel`.
    case closed(path: String)

    public var wording: Wording {
        switch self {
        case .exists(let path):
            Wording(path, "exists already", advice: "delete it, choose another name, or give --force")
        case .isDirectory(let path):
            Wording(path, "is a directory", expected: "a file name", advice: "choose another name")
        case .system(let path, let operation, let code):
            Wording(
                path, "cannot \(operation): \(String(cString: strerror(code))) (errno \(code))",
                advice: Self.advice(for: code))
        case .closed(let path):
            Wording(path, "the writer is closed already")
        }
    }

    private static func advice(for code: Int32) -> String? {
        switch code {
        case ENOSPC, EDQUOT: "free some space or choose another disk; nothing was replaced"
        case ENOENT, ENOTDIR: "create the directory first"
        case EACCES, EPERM, EROFS: "choose a directory that you may write to"
        default: nil
        }
    }
}

/// A file that appears whole or not at all: bytes go to a temporary file in the same directory, which is flushed to the
/// disk and renamed when `commit()` is called. Without `commit()`, and on every error, the temporary file is removed and
/// what stood under the name before stands there still.
///
/// A symbolic link is followed, so the link stays. A device or pipe (`/dev/stdout`) cannot be renamed onto; it is
/// written to directly.
///
/// Not `Sendable`: one thread writes.
public final class AtomicFile {
    public let url: URL
    private let destination: String
    private let temporary: String?
    private let overwrite: Bool
    private var descriptor: Int32

    /// Opens a temporary file beside `url`.
    ///
    /// - Parameter overwrite: whether an existing file may be replaced. Where it may not, a file that another process
    ///   creates meanwhile is left alone too, and `commit()` throws.
    /// - Throws: `FileWriteError`.
    public init(_ url: URL, overwrite: Bool = true) throws {
        self.url = url
        self.overwrite = overwrite
        let path = url.path
        var target = path
        var status = stat()
        var permissions: mode_t = 0o666
        var isSpecial = false
        if stat(path, &status) == 0 {
            let kind = status.st_mode & S_IFMT
            if kind == S_IFDIR { throw FileWriteError.isDirectory(path: path) }
            isSpecial = kind != S_IFREG
            if !overwrite && !isSpecial { throw FileWriteError.exists(path: path) }
            if let resolved = realpath(path, nil) {
                target = String(cString: resolved)
                free(resolved)
            }
            permissions = status.st_mode & 0o777
        }
        destination = target

        if isSpecial {
            temporary = nil
            descriptor = open(target, O_WRONLY | O_CLOEXEC)
            guard descriptor >= 0 else {
                throw FileWriteError.system(path: path, operation: "open it for writing", code: errno)
            }
            return
        }
        let directory = (target as NSString).deletingLastPathComponent
        // A long name must not overflow the 255 bytes of a file name once the suffix is added.
        let stem = String(decoding: Array((target as NSString).lastPathComponent.utf8.prefix(120)), as: UTF8.self)
        let suffix = String(UInt64.random(in: .min ... .max), radix: 36)
        let name = ".\(stem).\(getpid()).\(suffix).tmp"
        let temporary = directory.isEmpty ? name : directory + "/" + name
        self.temporary = temporary
        descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, permissions)
        guard descriptor >= 0 else {
            throw FileWriteError.system(path: path, operation: "create a file there", code: errno)
        }
    }

    deinit { cancel() }

    /// Appends bytes. On an error the file is given up: nothing of it remains.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard descriptor >= 0 else { throw FileWriteError.closed(path: url.path) }
        guard let base = bytes.baseAddress else { return }
        var done = 0
        while done < bytes.count {
            // Linux moves at most 2 GiB − 4 KiB in one call.
            let step = min(bytes.count - done, 1 << 30)
            #if canImport(Glibc)
                let count = Glibc.write(descriptor, base + done, step)
            #elseif canImport(Musl)
                let count = Musl.write(descriptor, base + done, step)
            #else
                let count = Darwin.write(descriptor, base + done, step)
            #endif
            if count < 0 {
                if errno == EINTR { continue }
                throw fail("write", errno)
            }
            done += count
        }
    }

    public func write(_ data: some ContiguousBytes) throws {
        try data.withUnsafeBytes { try write($0) }
    }

    public func write(_ text: String) throws {
        var text = text
        try text.withUTF8 { try write(UnsafeRawBufferPointer($0)) }
    }

    /// Flushes the bytes to the disk and gives the file its name.
    public func commit() throws {
        guard descriptor >= 0 else { throw FileWriteError.closed(path: url.path) }
        // A pipe or a terminal cannot be synchronised, and need not be.
        if fsync(descriptor) != 0, temporary != nil || ![EINVAL, ENOTSUP, EROFS].contains(errno) {
            throw fail("flush it to the disk", errno)
        }
        let closing = descriptor
        descriptor = -1
        if close(closing) != 0, errno != EINTR {
            throw fail("close it", errno)
        }
        guard let temporary else { return }
        if overwrite {
            if rename(temporary, destination) != 0 { throw fail("rename the temporary file to it", errno) }
        } else if link(temporary, destination) == 0 {
            unlink(temporary)  // link(2) fails where the name exists, rename(2) would replace it.
        } else {
            let code = errno
            if code == EEXIST {
                discard()
                throw FileWriteError.exists(path: url.path)
            }
            // A file system without hard links: the best that is left.
            guard code == EPERM || code == ENOTSUP || code == EMLINK else { throw fail("give it its name", code) }
            if access(destination, F_OK) == 0 {
                discard()
                throw FileWriteError.exists(path: url.path)
            }
            if rename(temporary, destination) != 0 { throw fail("rename the temporary file to it", errno) }
        }
        syncDirectory()
    }

    /// Gives the file up. Does nothing after `commit()`.
    public func cancel() {
        guard descriptor >= 0 else { return }
        close(descriptor)
        descriptor = -1
        discard()
    }

    private func discard() {
        if let temporary { unlink(temporary) }
    }

    private func fail(_ operation: String, _ code: Int32) -> FileWriteError {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
        discard()
        return .system(path: url.path, operation: operation, code: code)
    }

    /// The rename itself lives in the directory. Best effort: some file systems refuse to open or flush directories.
    private func syncDirectory() {
        let directory = (destination as NSString).deletingLastPathComponent
        let handle = open(directory.isEmpty ? "." : directory, O_RDONLY | O_CLOEXEC)
        guard handle >= 0 else { return }
        fsync(handle)
        close(handle)
    }
}

extension AtomicFile {
    /// Writes `data` as the whole file.
    public static func write(_ data: some ContiguousBytes, to url: URL, overwrite: Bool = true) throws {
        let file = try AtomicFile(url, overwrite: overwrite)
        try file.write(data)
        try file.commit()
    }

    /// Writes `text` as the whole file, in UTF-8.
    public static func write(_ text: String, to url: URL, overwrite: Bool = true) throws {
        let file = try AtomicFile(url, overwrite: overwrite)
        try file.write(text)
        try file.commit()
    }
}
