import Foundation
import Runtime

/// Reads recordings, file after file, into the requests to answer, in constant memory.
///
/// A file holds JSON Lines, one record a line, or one JSON object over several lines, or a HAR 1.2, each also as gzip; which
/// one is seen from its content. A folder stands for the files in it, in the order of their names. A bad record is given out as a
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
        /// Of one entry of a HAR, body included.
        public var entryBytes = 64 << 20

        public init() {}
    }

    public let paths: [String]
    /// Requests and rejected records given out so far.
    public private(set) var accepted = 0
    public private(set) var rejected = 0
    /// Entries of HAR files that are not about the network, redirects, and requests other than GET and POST.
    public private(set) var aside = 0
    /// What was taken out of the records so far.
    public private(set) var scrubbed = Scrubbed()
    /// Bytes of the files read so far, before decompression, and in all (pipes count as none).
    public var bytesRead: Int { finishedBytes + (file?.bytesRead ?? 0) }
    public let bytesInAll: Int

    /// The first recording that goes back in time, so that its requests' facts start anew; nil where none does.
    public var startedAnew: String? { history?.startedAnew }

    /// Where each request gets the facts of its moment from, of the records before it; nil where they are not asked for.
    private var history: FactHistory?
    private let every: Double?
    private let task: AnswerTask?
    private let news: NewsFeed?
    /// The moment of the last record that was given out.
    private var lastMoment: Date?
    private let limits: Limits
    /// What derived ids begin with, file by file.
    private let labels: [String]
    private let labelSet: Set<String>
    private var givenIDs: Set<UInt64> = []
    private var nextFile = 0
    private var file: FileSource?
    private var finishedBytes = 0
    private var content: (any ByteSource)?
    private var lines: LineReader?
    private var entries: HARScanner?
    /// No record of the current file was seen yet: it can still turn out to be one document.
    private var atFileStart = true
    /// Nothing of the current file was looked at yet.
    private var formatIsOpen = true

    /// Looks at every path, so that a missing file is known before the first answer.
    ///
    /// - Parameters:
    ///   - computesFacts: gives each request without facts of its own those of its moment.
    ///   - every: seconds; of a recording's records, gives out those that are at least so far apart. The others are read
    ///     for the facts' sake. Requests that say what is asked are all given out.
    ///   - task: of requests that name none, where that is known; those that need a question are rejected without one.
    ///   - news: for a recording's records, each with what was out by its moment, where the oracle is asked.
    ///
    /// Throws `InputError.noFiles`, `.missing`, `.isDirectory` or `.unreadable`.
    public init(
        paths: [String], limits: Limits = Limits(), computesFacts: Bool = false, every: Double? = nil,
        task: AnswerTask? = nil, news: NewsFeed? = nil
    ) throws {
        guard !paths.isEmpty else { throw InputError.noFiles }
        var files: [String] = []
        var bytes = 0
        for path in try paths.flatMap(Self.files) {
            var status = stat()
            guard stat(path, &status) == 0 else { throw InputError.missing(path: path) }
            // Opening a pipe here would disturb its writer; only what can be opened twice is tried.
            if status.st_mode & S_IFMT == S_IFREG {
                _ = try FileSource(path: path)
                bytes += Int(status.st_size)
            }
            files.append(path)
        }
        let paths = files
        self.paths = files
        bytesInAll = bytes
        self.limits = limits
        history = computesFacts ? FactHistory() : nil
        self.every = every
        self.task = task
        self.news = news
        labels = Self.labels(paths)
        labelSet = Set(labels)
    }

    /// The next record, nil at the end of the last file. Throws `InputError.unreadable`, or `.missing` where a file went
    /// away meanwhile.
    public func next() throws -> Item? {
        while true {
            if let entries {
                if let item = try entry(entries) { return item }
                continue
            }
            guard let lines else {
                guard try openNextFile() else { return nil }
                continue
            }
            if formatIsOpen {
                formatIsOpen = false
                if let reason = try recogniseFormat(lines) {
                    self.lines = nil
                    return reject(0, reason)
                }
                continue
            }
            let isFirst = atFileStart
            guard let line = try lines.next() else {
                self.lines = nil
                if let damage = content?.damage { return reject(0, damage, isTruncation: true) }
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
                guard let item = try self.item(lines, number, range, isFirst: isFirst) else { continue }
                return item
            }
        }
    }

    /// Throws `InputError.noRequests` where nothing that was read can be answered. For the end of a run.
    public func requireRequests() throws {
        if accepted == 0 { throw InputError.noRequests(files: paths, rejected: rejected) }
    }

    private func openNextFile() throws -> Bool {
        guard nextFile < paths.count else { return false }
        finishedBytes += file?.bytesRead ?? 0
        let file = try FileSource(path: paths[nextFile])
        self.file = file
        content = file
        lines = LineReader(file, lineLimit: limits.lineBytes)
        nextFile += 1
        atFileStart = true
        formatIsOpen = true
        return true
    }

    private func item(_ lines: LineReader, _ number: Int, _ range: Range<Int>, isFirst: Bool) throws -> Item? {
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
            return try document(lines, number, range, isOpening: isOpening, otherwise: reason)
        }
    }

    /// The file as one document; `reason` where it rather is a file of lines whose first one is broken.
    private func document(
        _ lines: LineReader, _ number: Int, _ range: Range<Int>, isOpening: Bool, otherwise reason: String
    ) throws -> Item? {
        guard let bytes = try lines.document(from: range, limit: limits.documentBytes) else {
            guard isOpening else { return reject(number, reason) }
            lines.skipAll()
            return reject(number, "a JSON document of more than \(limits.documentBytes) bytes over several lines")
        }
        do throws(JSONError) {
            let value = try JSONValue(parsing: bytes, place: "")
            lines.skipAll()
            return decoded(value, number)
        } catch {
            guard isOpening else { return reject(number, reason) }
            lines.skipAll()
            let reason =
                "not a JSON document: \(error.problem) (line \(number + error.line - 1), column \(error.column))"
            return reject(number, reason)
        }
    }

    /// Nil for a moment too near to the last one.
    /// - Parameter address: of a HAR's entry, which a person would look for.
    private func decoded(_ value: JSONValue, _ line: Int, address: String? = nil) -> Item? {
        do throws(Rejection) {
            var record = try RecordDecoder.decode(value)
            scrub(&record.snapshot)
            let fields = record.fields
            let origin = AnalysisRequest.Origin(file: paths[nextFile - 1], line: line)
            let id = try id(record.givenID, line)
            let isPlaced = history?.add(record.snapshot, origin: origin) ?? false
            if let every, let date = record.snapshot.observedAt ?? record.snapshot.reportedAt, fields.isPoll {
                if let lastMoment, date >= lastMoment, date < lastMoment + every { return nil }
                lastMoment = date
            }
            if fields.task ?? task == .ask, fields.question == nil {
                // As a poll it was good.
                return reject(line, "question is missing; the task ask needs one", isData: false)
            }
            let request = AnalysisRequest(
                id: id, ordinal: accepted, snapshot: record.snapshot, origin: origin,
                inputDigest: Digest.hex(canonical: value), task: fields.task, language: fields.language,
                facts: fields.facts ?? (isPlaced ? history?.facts : nil),
                news: headlines(fields, record.snapshot).map { item in
                    NewsItem(at: item.at, source: item.source.map(scrub), title: scrub(item.title))
                }, question: fields.question.map(scrub))
            accepted += 1
            return .request(request)
        } catch {
            let place = address.map { " (\(Quoting.plain(RecordDecoder.bare($0), limit: 120)))" } ?? ""
            return reject(line, error.reason + place)
        }
    }

    private func headlines(_ fields: RequestFields, _ snapshot: Snapshot) -> [NewsItem] {
        guard let news, fields.isPoll, task == .oracle, let date = snapshot.observedAt ?? snapshot.reportedAt else {
            return fields.news
        }
        return news.upTo(date)
    }

    /// - Parameter isData: whether the data is bad, and not what is asked of it.
    private func reject(_ line: Int, _ reason: String, isTruncation: Bool = false, isData: Bool = true) -> Item {
        rejected += 1
        let record = RejectedRecord(
            file: paths[nextFile - 1], line: line, reason: scrub(reason), isTruncation: isTruncation)
        if isData { history?.add(.rejected(record)) }
        return .rejected(record)
    }

    private func scrub(_ text: String) -> String {
        let (text, identities, secrets) = Scrubber.scrub(text)
        scrubbed.identities += identities
        scrubbed.keys += secrets
        return text
    }

    /// The snapshot's texts, without what must not leave the recording.
    private func scrub(_ snapshot: inout Snapshot) {
        snapshot.endpoint = snapshot.endpoint.map(scrub)
        if let message = snapshot.failure?.message { snapshot.failure?.message = scrub(message) }
        guard var health = snapshot.health else { return }
        health.overall = health.overall.map(scrub)
        health.tick = health.tick.map(scrub)
        health.epoch = health.epoch.map(scrub)
        health.duration = health.duration.map(scrub)
        snapshot.health = health
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

    /// Looks at the first bytes, and puts the reader in place that they ask for. Words where there is none.
    private func recogniseFormat(_ lines: LineReader) throws -> String? {
        let start = try lines.peek(1024)
        if start.starts(with: [0x1F, 0x8B]) {
            guard !(content is GzipSource) else { return "gzip data within gzip data; unpack it first (gunzip)" }
            guard let file, let unpacked = GzipSource(file, begun: lines.takeBuffered()) else {
                return "no memory to unpack gzip data"
            }
            content = unpacked
            self.lines = LineReader(unpacked, lineLimit: limits.lineBytes)
            formatIsOpen = true
            return nil
        }
        for (magic, name) in Self.foreign where start.starts(with: magic) {
            return "\(name); expected JSON Lines, JSON, HAR, or one of them as gzip"
        }
        if HARScanner.recognises(start), let content {
            entries = HARScanner(
                RewoundSource(content, begun: lines.takeBuffered()), entryLimit: limits.entryBytes)
            self.lines = nil
        }
        return nil
    }

    private static let foreign: [([UInt8], String)] = [
        ([0xFF, 0xFE], "UTF-16 text"), ([0xFE, 0xFF], "UTF-16 text"), (Array("PK\u{3}\u{4}".utf8), "a ZIP archive"),
        ([0x28, 0xB5, 0x2F, 0xFD], "zstd data"), ([0xFD, 0x37, 0x7A, 0x58, 0x5A], "xz data"),
        (Array("BZh".utf8), "bzip2 data"), (Array("%PDF".utf8), "a PDF"), (Array("SQLite format 3".utf8), "a database"),
        (Array("<!".utf8), "HTML"), (Array("<html".utf8), "HTML"),
    ]

    /// The next entry of a HAR; nil where there is nothing to give out, or no more.
    private func entry(_ scanner: HARScanner) throws -> Item? {
        switch try scanner.next() {
        case nil:
            entries = nil
            if let damage = content?.damage { return reject(0, damage, isTruncation: true) }
        case .tooLong(let number, let length):
            return reject(number, "an entry of \(length) bytes; expected at most \(limits.entryBytes)")
        case .broken(let words):
            entries = nil
            return reject(0, words, isTruncation: true)
        case .entry(let number, let bytes):
            do {
                let value = try bytes.withUnsafeBytes { try JSONValue(parsing: $0, place: "") }
                switch try HAREntry.read(value, scrubbed: &scrubbed) {
                case .record(let record): return decoded(record, number, address: record["endpoint"]?.string)
                case .aside: aside += 1
                }
            } catch let error as JSONError {
                return reject(number, "entry \(number) is not JSON: \(error.problem) (byte \(error.offset) of it)")
            } catch let error as Rejection {
                return reject(number, "entry \(number): \(error.reason)")
            }
        }
        return nil
    }

    /// The files that a path stands for: itself, or those of the folder, without hidden ones and without its folders.
    private static func files(_ path: String) throws -> [String] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
            return [path]
        }
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: path).filter { !$0.hasPrefix(".") }.sorted()
        } catch {
            throw InputError.unreadable(path: path, operation: "listing", code: EACCES, message: "\(error)")
        }
        let base = path.hasSuffix("/") ? path : path + "/"
        let files = names.map { base + $0 }.filter {
            var isFolder: ObjCBool = false
            return FileManager.default.fileExists(atPath: $0, isDirectory: &isFolder) && !isFolder.boolValue
        }
        guard !files.isEmpty else { throw InputError.emptyFolder(path: path) }
        return files
    }

    private static func isBlank(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
    }
}
