import Foundation
import Runtime

/// Reads recordings, file after file, into the requests to answer, in constant memory.
///
/// A file holds JSON Lines, one record a line, or one JSON object over several lines. A bad record is given out as a
/// `RejectedRecord` and reading goes on; blank lines are skipped. Memory: one chunk of 64 kB, one record, and 8 bytes for
/// each id that the input gives itself (that no two answers have the same).
///
/// Not `Sendable`: one thread reads.
public final class RequestReader {
    /// One record of the input.
    public enum Item: Sendable, Equatable {
        case request(AnalysisRequest)
        case rejected(RejectedRecord)
    }

    /// How long a record may be.
    public struct Limits: Sendable {
        /// Of one line.
        public var lineBytes = 1 << 20
        /// Of a file that is one JSON object over several lines.
        public var documentBytes = 16 << 20

        public init() {}
    }

    public let paths: [String]
    /// Requests and rejected records given out so far.
    public private(set) var accepted = 0
    public private(set) var rejected = 0

    private let limits: Limits
    /// What derived ids begin with, file by file.
    private let labels: [String]
    private let labelSet: Set<String>
    private var givenIDs: Set<UInt64> = []
    private var nextFile = 0
    private var lines: LineReader?
    /// No record of the current file was seen yet: it can still turn out to be one document.
    private var atFileStart = true
    /// Nothing of the current file was looked at yet.
    private var formatIsOpen = true

    /// Looks at every path, so that a missing file is known before the first answer.
    ///
    /// Throws `InputError.noFiles`, `.missing`, `.isDirectory` or `.unreadable`.
    public init(paths: [String], limits: Limits = Limits()) throws {
        guard !paths.isEmpty else { throw InputError.noFiles }
        for path in paths {
            var status = stat()
            guard stat(path, &status) == 0 else { throw InputError.missing(path: path) }
            if status.st_mode & S_IFMT == S_IFDIR { throw InputError.isDirectory(path: path) }
            // Opening a pipe here would disturb its writer; only what can be opened twice is tried.
            if status.st_mode & S_IFMT == S_IFREG { _ = try FileSource(path: path) }
        }
        self.paths = paths
        self.limits = limits
        labels = Self.labels(paths)
        labelSet = Set(labels)
    }

    /// The next record, nil at the end of the last file. Throws `InputError.unreadable`, or `.missing` where a file went
    /// away meanwhile.
    public func next() throws -> Item? {
        while true {
            guard let lines else {
                guard try openNextFile() else { return nil }
                continue
            }
            if formatIsOpen {
                formatIsOpen = false
                if let reason = try Self.unreadableFormat(lines) {
                    self.lines = nil
                    return reject(0, reason)
                }
            }
            let isFirst = atFileStart
            guard let line = try lines.next() else {
                self.lines = nil
                if isFirst { return reject(0, "an empty file: no records in it") }
                continue
            }
            switch line {
            case .tooLong(let number, let length):
                atFileStart = false
                return reject(number, "a line of \(length) bytes; expected at most \(limits.lineBytes)")
            case .text(let number, let range):
                if Self.isBlank(lines.bytes(range)) { continue }
                atFileStart = false
                return try item(lines, number, range, isFirst: isFirst)
            }
        }
    }

    /// Throws `InputError.noRequests` where nothing that was read can be answered. For the end of a run.
    public func requireRequests() throws {
        if accepted == 0 { throw InputError.noRequests(files: paths, rejected: rejected) }
    }

    private func openNextFile() throws -> Bool {
        guard nextFile < paths.count else { return false }
        lines = LineReader(try FileSource(path: paths[nextFile]), lineLimit: limits.lineBytes)
        nextFile += 1
        atFileStart = true
        formatIsOpen = true
        return true
    }

    private func item(_ lines: LineReader, _ number: Int, _ range: Range<Int>, isFirst: Bool) throws -> Item {
        let bytes = lines.bytes(range)
        do throws(JSONError) {
            return decoded(try JSONValue(parsing: bytes, place: ""), number)
        } catch {
            let reason = Self.reason(error, bytes)
            let opening = bytes.first { $0 != 0x20 && $0 != 0x09 }
            guard isFirst, opening == UInt8(ascii: "{") || opening == UInt8(ascii: "[") else {
                return reject(number, reason)
            }
            // `{` alone can only be the beginning of a document over several lines.
            let isOpening = bytes.count { $0 != 0x20 && $0 != 0x09 } == 1
            return try document(lines, number, range, isOpening: isOpening) ?? reject(number, reason)
        }
    }

    /// The file as one document; nil where it rather is a file of lines whose first one is broken.
    private func document(_ lines: LineReader, _ number: Int, _ range: Range<Int>, isOpening: Bool) throws -> Item? {
        guard let bytes = try lines.document(from: range, limit: limits.documentBytes) else {
            guard isOpening else { return nil }
            lines.skipAll()
            return reject(number, "a JSON document of more than \(limits.documentBytes) bytes over several lines")
        }
        do throws(JSONError) {
            let value = try JSONValue(parsing: bytes, place: "")
            lines.skipAll()
            return decoded(value, number)
        } catch {
            guard isOpening else { return nil }
            lines.skipAll()
            let reason =
                "not a JSON document: \(error.problem) (line \(number + error.line - 1), column \(error.column))"
            return reject(number, reason)
        }
    }

    private func decoded(_ value: JSONValue, _ line: Int) -> Item {
        do throws(Rejection) {
            let record = try RecordDecoder.decode(value)
            let request = AnalysisRequest(
                id: try id(record.givenID, line), ordinal: accepted, snapshot: record.snapshot,
                origin: .init(file: paths[nextFile - 1], line: line), inputDigest: Digest.hex(canonical: value))
            accepted += 1
            return .request(request)
        } catch {
            return reject(line, error.reason)
        }
    }

    private func reject(_ line: Int, _ reason: String) -> Item {
        rejected += 1
        return .rejected(RejectedRecord(file: paths[nextFile - 1], line: line, reason: reason))
    }

    private func id(_ given: String?, _ line: Int) throws(Rejection) -> String {
        guard let given else { return "\(labels[nextFile - 1]):\(line)" }
        if let colon = given.lastIndex(of: ":"), labelSet.contains(String(given[..<colon])),
            Int(given[given.index(after: colon)...]) != nil
        {
            throw Rejection("id: \(Quoting.quoted(given)) has the form of an id that is made from file and line")
        }
        guard givenIDs.insert(Digest.word(given)).inserted else {
            throw Rejection("id: \(Quoting.quoted(given)) was used before")
        }
        return given
    }

    /// The file names without their folders, with as many folders before them as tells equal ones apart.
    private static func labels(_ paths: [String]) -> [String] {
        let parts = paths.map { path in path.split(separator: "/").filter { $0 != "." }.map(String.init) }
        var labels = parts.map { $0.last ?? "input" }
        for depth in 2...max(2, parts.map(\.count).max() ?? 2) where Set(labels).count < labels.count {
            let shared = Dictionary(grouping: labels, by: { $0 }).filter { $0.value.count > 1 }
            for index in labels.indices where shared[labels[index]] != nil {
                labels[index] = parts[index].suffix(depth).joined(separator: ":")
            }
        }
        // The same file twice.
        var seen: [String: Int] = [:]
        for index in labels.indices {
            let count = seen[labels[index], default: 0] + 1
            seen[labels[index]] = count
            if count > 1 { labels[index] += "#\(count)" }
        }
        return labels
    }

    private static func reason(_ error: JSONError, _ bytes: UnsafeRawBufferPointer) -> String {
        if String(validating: bytes, as: UTF8.self) == nil { return "not valid UTF-8" }
        return "not JSON: \(error.problem) (column \(error.column))"
    }

    private static func unreadableFormat(_ lines: LineReader) throws -> String? {
        let start = try lines.peek(2)
        if start.elementsEqual([0x1F, 0x8B]) { return "gzip data, which is not read yet; unpack it first (gunzip)" }
        if start.elementsEqual([0xFF, 0xFE]) || start.elementsEqual([0xFE, 0xFF]) {
            return "UTF-16 text; expected UTF-8"
        }
        return nil
    }

    private static func isBlank(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
    }
}
