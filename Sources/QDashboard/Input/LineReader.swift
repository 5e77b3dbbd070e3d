import Foundation

/// Lines of a byte stream in constant memory: two chunks, and one line of at most `lineLimit` bytes.
///
/// Lines end with LF or CRLF, the last one also with the end of the stream. A byte order mark of UTF-8 is skipped.
final class LineReader {
    enum Line: Equatable {
        /// The line's bytes without its end, as a range of `bytes`, valid until the next call of `next`.
        case text(number: Int, Range<Int>)
        /// Skipped: its length in bytes.
        case tooLong(number: Int, length: Int)
    }

    static let chunkSize = 256 * 1024

    private let source: any ByteSource
    private let lineLimit: Int
    /// What was read and not yet given out stands in `start..<end`.
    private var buffer: UnsafeMutableRawBufferPointer
    private var start = 0
    private var end = 0
    private var atEnd = false
    private var lineNumber = 0
    private var begun = false

    init(_ source: any ByteSource, lineLimit: Int) {
        self.source = source
        self.lineLimit = lineLimit
        buffer = .allocate(byteCount: Self.chunkSize, alignment: 16)
    }

    deinit { buffer.deallocate() }

    func bytes(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer[range]) }

    /// The first bytes of the stream, up to `count`, without taking them. Only before the first `next`.
    func peek(_ count: Int) throws -> UnsafeRawBufferPointer {
        while end - start < count, try fill() {}
        return bytes(start..<min(end, start + count))
    }

    /// All bytes that were read from the source and not given out, taken away from here. Only before the first `next`.
    func takeBuffered() -> [UInt8] {
        defer { skipAll() }
        return Array(bytes(start..<end))
    }

    func next() throws -> Line? {
        if !begun {
            begun = true
            if try peek(3).elementsEqual([0xEF, 0xBB, 0xBF]) { start += 3 }
        }
        var searched = start
        while true {
            if let line = complete(searched: searched) { return line }
            let unfinished = end - start
            if unfinished > lineLimit + 1 { return .tooLong(number: lineNumber + 1, length: try skipLine()) }
            guard try fill() else {
                guard unfinished > 0 else { return nil }
                lineNumber += 1
                let line = start..<end
                start = end
                return checked(line)
            }
            searched = start + unfinished
        }
    }

    /// Lines that were read along with the one given out last, at most `count`: nothing is waited for.
    func following(atMost count: Int) -> [Line] {
        var lines: [Line] = []
        while lines.count < count, let line = complete(searched: start) { lines.append(line) }
        return lines
    }

    /// All that is left of the stream, together with `line` (the one given out last) before it, without taking it, where
    /// that is no more than `limit` bytes.
    func document(from line: Range<Int>, limit: Int) throws -> UnsafeRawBufferPointer? {
        // `fill` may move what it keeps to the front: step back so that the line is kept too.
        let back = start - line.lowerBound
        start = line.lowerBound
        defer { start += back }
        while end - start <= limit, try fill() {}
        return end - start <= limit ? bytes(start..<end) : nil
    }

    /// Takes everything that is left.
    func skipAll() { (start, atEnd) = (end, true) }

    /// The next line where its end was read.
    /// - Parameter searched: before it there is no end of a line.
    private func complete(searched: Int) -> Line? {
        guard let lineEnd = newline(in: searched..<end) else { return nil }
        lineNumber += 1
        let line = start..<lineEnd
        start = lineEnd + 1
        guard line.count <= lineLimit + 1 else { return .tooLong(number: lineNumber, length: line.count) }
        return checked(line)
    }

    private func checked(_ range: Range<Int>) -> Line {
        var range = range
        if let last = range.last, buffer[last] == 0x0D { range = range.dropLast() }
        guard range.count <= lineLimit else { return .tooLong(number: lineNumber, length: range.count) }
        return .text(number: lineNumber, range)
    }

    private func skipLine() throws -> Int {
        lineNumber += 1
        var length = end - start
        start = end
        while try fill() {
            if let lineEnd = newline(in: start..<end) {
                length += lineEnd - start
                start = lineEnd + 1
                return length
            }
            length += end - start
            start = end
        }
        return length
    }

    /// Reads one more chunk behind what is unread; false at the end of the stream. Positions move.
    private func fill() throws -> Bool {
        guard !atEnd else { return false }
        if start > 0 {
            buffer.baseAddress!.copyMemory(from: buffer.baseAddress! + start, byteCount: end - start)
            (start, end) = (0, end - start)
        }
        if buffer.count - end < Self.chunkSize {
            let larger = UnsafeMutableRawBufferPointer.allocate(
                byteCount: max(2 * buffer.count, end + Self.chunkSize), alignment: 16)
            larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<end]))
            buffer.deallocate()
            buffer = larger
        }
        let count = try source.read(
            into: UnsafeMutableRawBufferPointer(rebasing: buffer[end..<end + Self.chunkSize]))
        end += count
        atEnd = count == 0
        return count > 0
    }

    private func newline(in range: Range<Int>) -> Int? {
        guard !range.isEmpty, let base = buffer.baseAddress else { return nil }
        return memchr(base + range.lowerBound, 0x0A, range.count).map { UnsafeRawPointer($0) - UnsafeRawPointer(base) }
    }
}
