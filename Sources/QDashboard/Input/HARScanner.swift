import Foundation

/// Finds the entries of a HAR 1.2 file (`log.entries[]`) in a byte stream, in memory for one entry, whatever the size of
/// the file. It follows nesting and strings only; each entry is then parsed as JSON by itself.
final class HARScanner {
    enum Found: Equatable {
        /// The bytes of an entry, counted from 1.
        case entry(number: Int, [UInt8])
        /// Skipped: longer than allowed.
        case tooLong(number: Int, length: Int)
        /// The file ends before its end, or is no HAR from here on: in words.
        case broken(String)
    }

    private let source: any ByteSource
    private let limit: Int
    private var chunk: [UInt8]
    private var filled = 0
    private var position = 0
    private var consumed = 0
    private var count = 0
    private var state = State.beforeEntries
    private enum State { case beforeEntries, between, done }

    init(_ source: any ByteSource, entryLimit: Int) {
        self.source = source
        limit = entryLimit
        chunk = Array(repeating: 0, count: 256 * 1024)
    }

    /// Whether a file that begins so is a HAR: an object whose first key is `log`.
    static func recognises(_ start: UnsafeRawBufferPointer) -> Bool {
        let text = start.prefix(1024).filter { ![0x20, 0x09, 0x0A, 0x0D, 0xEF, 0xBB, 0xBF].contains($0) }
        return text.starts(with: Array("{\"log\":{".utf8))
    }

    /// Nil at the end.
    func next() throws -> Found? {
        switch state {
        case .done: return nil
        case .beforeEntries:
            guard try seekEntries() else {
                state = .done
                return .broken(damaged("a HAR without log.entries"))
            }
            state = .between
        case .between: break
        }
        while let byte = try take() {
            switch byte {
            case 0x20, 0x09, 0x0A, 0x0D, UInt8(ascii: ","): continue
            case UInt8(ascii: "{"): return try readEntry()
            case UInt8(ascii: "]"):
                state = .done
                return try ending()
            default:
                state = .done
                return .broken("entries[\(count)]: expected an object (byte \(consumed + position))")
            }
        }
        state = .done
        return .broken(damaged("the file ends after entry \(count), inside log.entries"))
    }

    /// What follows the entries is read to its end, so that a cut file is noticed.
    private func ending() throws -> Found? {
        var depth = 2
        while let byte = try take() {
            switch byte {
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            case UInt8(ascii: "\""): guard try skipString() else { break }
            default: break
            }
        }
        return depth > 0 ? .broken(damaged("the file ends after its \(count) entries, before the end of the log")) : nil
    }

    private func damaged(_ words: String) -> String { words + (source.damage.map { ": \($0)" } ?? "") }

    /// Goes to the first byte behind `"entries": [` at depth 2.
    private func seekEntries() throws -> Bool {
        var depth = 0
        while let byte = try take() {
            switch byte {
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            case UInt8(ascii: "\""):
                var key: [UInt8] = []
                while let next = try take(), next != UInt8(ascii: "\"") {
                    if next == UInt8(ascii: "\\") { _ = try take() }
                    if key.count < 16 { key.append(next) }
                }
                guard depth == 2, key == Array("entries".utf8) else { continue }
                var following = try takeSolid()
                guard following == UInt8(ascii: ":") else { continue }
                following = try takeSolid()
                return following == UInt8(ascii: "[")
            default: break
            }
        }
        return false
    }

    private func readEntry() throws -> Found {
        count += 1
        var entry: [UInt8] = [UInt8(ascii: "{")]
        var (nesting, length) = (Nesting(), 1)
        while nesting.depth > 0 {
            guard try position < filled || fill() else {
                state = .done
                return .broken(damaged("the file ends inside entry \(count); the \(count - 1) before it were read"))
            }
            // One run of the chunk at a time: the entry's end or the chunk's.
            let start = position
            let unread = start..<filled
            position += chunk.withUnsafeBytes { nesting.follow(UnsafeRawBufferPointer(rebasing: $0[unread])) }
            length += position - start
            if length <= limit { entry += chunk[start..<position] }
        }
        if length > limit { return .tooLong(number: count, length: length) }
        return .entry(number: count, entry)
    }

    /// Where in an entry the scanner stands.
    private struct Nesting {
        var depth = 1
        var inString = false
        var escaped = false

        /// Goes on to the entry's end, or that of the bytes; returns how many were taken.
        mutating func follow(_ bytes: UnsafeRawBufferPointer) -> Int {
            var position = 0
            while position < bytes.count, depth > 0 {
                let byte = bytes[position]
                position += 1
                if inString {
                    if escaped {
                        escaped = false
                    } else if byte == UInt8(ascii: "\\") {
                        escaped = true
                    } else if byte == UInt8(ascii: "\"") {
                        inString = false
                    }
                } else if byte == UInt8(ascii: "\"") {
                    inString = true
                } else if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
                    depth += 1
                } else if byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") {
                    depth -= 1
                }
            }
            return position
        }
    }

    private func skipString() throws -> Bool {
        while let byte = try take() {
            if byte == UInt8(ascii: "\"") { return true }
            if byte == UInt8(ascii: "\\") { _ = try take() }
        }
        return false
    }

    private func takeSolid() throws -> UInt8? {
        while let byte = try take() {
            if byte != 0x20, byte != 0x09, byte != 0x0A, byte != 0x0D { return byte }
        }
        return nil
    }

    private func take() throws -> UInt8? {
        guard try position < filled || fill() else { return nil }
        position += 1
        return chunk[position - 1]
    }

    private func fill() throws -> Bool {
        consumed += filled
        (position, filled) = (0, 0)
        filled = try chunk.withUnsafeMutableBytes { try source.read(into: $0) }
        return filled > 0
    }
}
