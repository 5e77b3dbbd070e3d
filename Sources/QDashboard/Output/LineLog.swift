import Foundation
import Runtime

/// A file to which whole lines are appended, each handed to the system at once: what was appended survives the death of
/// the process. One line in the making is all that can be torn, and it is cut off when the file is resumed.
///
/// Not `Sendable`: `RunOutput` guards it.
package final class LineLog {
    let path: String
    private let descriptor: Int32
    /// Length of the whole lines, in bytes.
    private var length = 0

    package enum Opening {
        /// Must not be there yet.
        case new
        /// Empty from now on.
        case empty
        /// As it is.
        case keep
    }

    /// Throws `OutputError.exists`, `.inUse` or `.failed`.
    package init(path: String, _ opening: Opening) throws {
        self.path = path
        // Emptied only under the lock: another run may be writing.
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (opening == .new ? O_EXCL : 0), 0o644)
        guard descriptor >= 0 else {
            throw errno == EEXIST ? OutputError.exists(path: path) : Self.failure(path, "open")
        }
        guard Self.lock(descriptor) else {
            let failure = errno == EWOULDBLOCK ? OutputError.inUse(path: path) : Self.failure(path, "lock")
            close(descriptor)
            throw failure
        }
        let end = lseek(descriptor, 0, SEEK_END)
        guard end >= 0 else {
            let failure = Self.failure(path, "seek")
            close(descriptor)
            throw failure
        }
        length = Int(end)
        if opening == .empty {
            do { try cut(to: 0) } catch {
                close(descriptor)
                throw error
            }
        }
    }

    deinit { close(descriptor) }

    package func append(_ record: JSONValue) throws {
        var line = record.serialized(indent: nil)
        line.append(0x0A)
        try line.withUnsafeBytes { bytes in
            var written = 0
            while written < bytes.count {
                let count = write(descriptor, bytes.baseAddress! + written, bytes.count - written)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else {
                    let failure = Self.failure(path, "write")
                    // A disk that is full takes half a line at times.
                    try? cut(to: length)
                    throw failure
                }
                written += count
            }
        }
        length += line.count
    }

    func cut(to length: Int) throws {
        guard ftruncate(descriptor, off_t(length)) == 0, lseek(descriptor, off_t(length), SEEK_SET) >= 0 else {
            throw Self.failure(path, "truncate")
        }
        self.length = length
    }

    /// Down to the disk.
    func synchronize() throws {
        guard fsync(descriptor) == 0 || errno == EINVAL else { throw Self.failure(path, "fsync") }
    }

    /// The file's lines in order, each given to `record` with the length of the file up to its end; `record` returns false
    /// where the line is no record. A line without its end, or a last line that is no record, is torn: it is left out.
    /// Throws `OutputError.corrupt` where lines follow one that is no record.
    func readBack(_ record: (JSONValue, _ end: Int) -> Bool) throws {
        let data: Data
        do {
            data = try Data(contentsOf: URL(filePath: path), options: .mappedIfSafe)
        } catch {
            throw OutputError.failed(path: path, operation: "read", code: EIO, message: error.localizedDescription)
        }
        var (start, line) = (data.startIndex, 0)
        while let end = data[start...].firstIndex(of: 0x0A) {
            line += 1
            let value = try? JSONValue(parsing: data[start..<end], place: path)
            guard let value, record(value, end + 1) else {
                guard end + 1 == data.endIndex || data[(end + 1)...].firstIndex(of: 0x0A) == nil else {
                    throw OutputError.corrupt(
                        path: path, line: line, problem: "not a record of a run, and lines follow it")
                }
                return
            }
            start = end + 1
        }
    }

    static func failure(_ path: String, _ operation: String) -> OutputError {
        let code = errno
        return .failed(path: path, operation: operation, code: code, message: String(cString: strerror(code)))
    }

    /// Takes the lock of a file that no other run writes to. A child that this process is just starting shares the file
    /// for the moment between fork and exec: one look is not enough to say that another run has it.
    private static func lock(_ descriptor: Int32) -> Bool {
        for attempt in 0..<20 {
            if attempt > 0 { usleep(10_000) }
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
            if errno != EWOULDBLOCK && errno != EINTR { return false }
        }
        return false
    }
}
