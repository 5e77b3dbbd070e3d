import Foundation

/// A file's bytes, mapped read-only for as long as this object lives.
///
/// The file must not be shortened by someone else meanwhile: the system answers reads past its new end with SIGBUS.
/// Our own writers never do that, as they write beside a file and rename.
public final class MappedFile: Sendable {
    public let url: URL
    /// Whole file, valid while `self` lives; nothing writes to it, so threads may share it.
    nonisolated(unsafe) private let bytes: UnsafeRawBufferPointer

    public var path: String { url.path }
    public var count: Int { bytes.count }

    /// Throws `CheckpointError.file` for what cannot be opened or is no regular file.
    public init(url: URL) throws(CheckpointError) {
        let descriptor = try openRegularFile(url)
        defer { close(descriptor.number) }
        self.url = url
        guard descriptor.size > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        let address = mmap(nil, descriptor.size, PROT_READ, MAP_PRIVATE, descriptor.number, 0)
        guard let address, address != MAP_FAILED else { throw .system(url.path, "map the file") }
        bytes = UnsafeRawBufferPointer(start: address, count: descriptor.size)
    }

    deinit {
        if let address = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: address), bytes.count) }
    }

    /// Lends the bytes of `range`, which must lie within the file. They are not valid after `body` returns.
    public func withBytes<R>(_ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "range outside \(path)")
        return try withExtendedLifetime(self) { try body(UnsafeRawBufferPointer(rebasing: bytes[range])) }
    }

    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try withBytes(0..<bytes.count, body)
    }

    /// Tells the system that the whole pages inside `range` will not be read soon, so that they stop counting as memory
    /// of this process. Reading them again is allowed and brings them back.
    public func release(_ range: Range<Int>) {
        let page = sysconf(Int32(_SC_PAGESIZE))
        let begin = (range.lowerBound + page - 1) / page * page
        // The file's last page may be given back although the range ends within it.
        let end = range.upperBound == bytes.count ? bytes.count : range.upperBound / page * page
        guard let address = bytes.baseAddress, begin < end, end <= bytes.count else { return }
        madvise(UnsafeMutableRawPointer(mutating: address + begin), end - begin, MADV_DONTNEED)
    }
}

/// Reads a whole small file, such as config.json, into memory; one larger than `limit` bytes is refused.
package func readFile(_ url: URL, limit: Int = 64 << 20) throws(CheckpointError) -> Data {
    let descriptor = try openRegularFile(url)
    defer { close(descriptor.number) }
    guard descriptor.size <= limit else {
        throw .file(path: url.path, reason: "too large: \(descriptor.size) bytes, where at most \(limit) are read")
    }
    var data = Data(count: descriptor.size)
    var filled = 0
    while filled < data.count {
        let got = data.withUnsafeMutableBytes { read(descriptor.number, $0.baseAddress! + filled, $0.count - filled) }
        if got < 0 {
            if errno == EINTR { continue }
            throw .system(url.path, "read the file")
        }
        guard got > 0 else { return data.prefix(filled) }
        filled += got
    }
    return data
}

/// Opens for reading; a directory, pipe or device is refused rather than read or waited for.
private func openRegularFile(_ url: URL) throws(CheckpointError) -> (number: Int32, size: Int) {
    let number = open(url.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard number >= 0 else { throw .system(url.path, "open the file") }
    var status = stat()
    guard fstat(number, &status) == 0 else {
        let code = errno
        close(number)
        throw .system(url.path, "examine the file", code)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
        close(number)
        let kind = status.st_mode & S_IFMT == S_IFDIR ? "a directory" : "no regular file"
        throw .file(path: url.path, reason: "is \(kind), where a file is expected")
    }
    return (number, Int(status.st_size))
}
