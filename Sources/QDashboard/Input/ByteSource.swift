import Foundation

/// Where a reader's bytes come from. A decompressor is another source in front of this one.
protocol ByteSource: AnyObject {
    /// Fills as much of `buffer` as it can at once; 0 at the end.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int

    /// Why the bytes ended before they should have, in words. What was read before is good.
    var damage: String? { get }
}

extension ByteSource {
    var damage: String? { nil }
}

/// A file, read from beginning to end.
final class FileSource: ByteSource {
    private let path: String
    private let descriptor: Int32
    private(set) var bytesRead = 0

    /// Throws `InputError.missing`, `.isDirectory` or `.unreadable`.
    init(path: String) throws {
        self.path = path
        // Without O_NONBLOCK, opening a pipe that nobody writes to would hang here, before anything is reported: that is
        // what a person who names one wants, so it stays.
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw errno == ENOENT ? InputError.missing(path: path) : Self.failure(path, "open")
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let failure = Self.failure(path, "stat")
            close(descriptor)
            throw failure
        }
        if status.st_mode & S_IFMT == S_IFDIR {
            close(descriptor)
            throw InputError.isDirectory(path: path)
        }
    }

    deinit { close(descriptor) }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while true {
            let count = Foundation.read(descriptor, buffer.baseAddress, buffer.count)
            if count >= 0 {
                bytesRead += count
                return count
            }
            guard errno == EINTR else { throw Self.failure(path, "read") }
        }
    }

    private static func failure(_ path: String, _ operation: String) -> InputError {
        let code = errno
        return .unreadable(path: path, operation: operation, code: code, message: String(cString: strerror(code)))
    }
}
