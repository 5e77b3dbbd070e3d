import Foundation
import Runtime

/// Reads recordings, file after file, into the requests to answer, in constant memory.
///
/// A file holds JSON Lines, one record a line, or one JSON object over several lines, or a HAR 1.2, each also as gzip; which
/// one is seen from its content. A folder stands for the files in it, in the order of their names. A bad record is given out as a
/// `RejectedRecord` and reading goes on; blank lines are skipped. Lines are decoded on all cores, those of a chunk
/// together, and given out one by one. Memory: a few chunks of 256 kB, their records (at most 1024), and 8 bytes for each
/// id that the input gives itself (that no two answers have the same).
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
    /// Bytes of the files read so far, before decompression, and in all (pipes count as none). Reading is ahead of what
    /// was given out by up to a chunk.
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
    private let decoder: LineDecoder
    /// What derived ids begin with, file by file.
    private let labels: [String]
    private let labelSet: Set<String>
    private var givenIDs: Set<UInt64> = []
    private var nextFile = 0
    private var file: FileSource?
    private var finishedBytes = 0
    private var content: (any ByteSource)?
    private var lines: LineReader?
    /// Lines that are decoded and not given out.
    private var decoded = [LineDecoder.Decoded]().makeIterator()
    private var entries: HARScanner?
    /// No record of the current file was seen yet: it can still turn out to be one document.
    private var atFileStart = true
    /// Nothing of the current file was looked at yet.
    private var formatIsOpen = true

    /// Looks at every path, so that a missing file is known before the first answer.
    ///
    /// - Parameters:
    ///   - computesFacts: gives each request without facts of its own those of its moment.
    ///   - looksAhead: facts so computed keep what forecasts at any horizon are made of.
    ///   - digestsInput: gives each request the digest of its record, which runs keep to know it again.
    ///   - every: seconds; of a recording's records, gives out those that are at least so far apart. The others are read
    ///     for the facts' sake. Requests that say what is asked are all given out.
    ///   - task: of requests that name none, where that is known; those that need a question are rejected without one.
    ///   - news: for a recording's records, each with what was out by its moment, where the oracle is asked.
    ///
    /// Throws `InputError.noFiles`, `.missing`, `.isDirectory` or `.unreadable`.
    public init(
        paths: [String], limits: Limits = Limits(), computesFacts: Bool = false, looksAhead: Bool = false,
        digestsInput: Bool = true, every: Double? = nil, task: AnswerTask? = nil, news: NewsFeed? = nil
    ) throws {
        guard !paths.isEmpty else { throw InputError.noFiles }
        var files: [String] = []
        var bytes = 0
        for path in try paths.flatMap(RecordingFiles.files) {
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
        decoder = LineDecoder(lineBytes: limits.lineBytes, digestsInput: digestsInput)
        history = computesFacts ? FactHistory(looksAhead: looksAhead) : nil
        self.every = every
        self.task = task
        self.news = news
        labels = RecordingFiles.labels(paths)
        labelSet = Set(labels)
    }

    /// The next record, nil at the end of the last file. Throws `InputError.unreadable`, or `.missing` where a file went
    /// away meanwhile.
    public func next() throws -> Item? {
        while true {
            if let line = decoded.next() {
                if let item = item(line.result, line.number) { return item }
                continue
            }
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
            guard isFirst else {
                let following = lines.following(atMost: LineDecoder.most - 1)
                decoded = decoder.decode([line] + following, of: lines).makeIterator()
                continue
            }
            switch line {
            case .tooLong(let number, let length):
                atFileStart = false
                return reject(number, decoder.tooLong(length).reason)
            case .text(let number, let range):
                if LineDecoder.isBlank(lines.bytes(range)) { continue }
                atFileStart = false
                guard let item = try firstItem(lines, number, range) else { continue }
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

    /// Of a file's first line, which may also be the beginning of a document.
    private func firstItem(_ lines: LineReader, _ number: Int, _ range: Range<Int>) throws -> Item? {
        let bytes = lines.bytes(range)
        do throws(JSONError) {
            return item(decoder.record(try JSONValue(parsing: bytes, place: "")), number)
        } catch {
            let reason = LineDecoder.rejection(error, bytes).reason
            let opening = bytes.first { $0 != 0x20 && $0 != 0x09 }
            guard opening == UInt8(ascii: "{") || opening == UInt8(ascii: "[") else {
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
            return item(decoder.record(value), number)
        } catch {
            guard isOpening else { return reject(number, reason) }
            lines.skipAll()
            let reason =
                "not a JSON document: \(error.problem) (line \(number + error.line - 1), column \(error.column))"
            return reject(number, reason)
        }
    }

    /// What is given out for a record; nil for a moment too near to the last one.
    /// - Parameter address: of a HAR's entry, which a person would look for.
    private func item(_ result: Result<ScrubbedRecord, Rejection>, _ line: Int, address: String? = nil) -> Item? {
        do throws(Rejection) {
            let decoded = try result.get()
            let (snapshot, fields) = (decoded.record.snapshot, decoded.record.fields)
            scrubbed.add(decoded.scrubbed)
            let origin = AnalysisRequest.Origin(file: paths[nextFile - 1], line: line)
            let id = try id(decoded, line)
            let isPlaced = history?.add(snapshot, origin: origin) ?? false
            if let every, let date = snapshot.observedAt ?? snapshot.reportedAt, fields.isPoll {
                if let lastMoment, date >= lastMoment, date < lastMoment + every { return nil }
                lastMoment = date
            }
            if fields.task ?? task == .ask, fields.question == nil {
                // As a poll it was good.
                return reject(line, "question is missing; the task ask needs one", isData: false)
            }
            let request = AnalysisRequest(
                id: id, ordinal: accepted, snapshot: snapshot, origin: origin, inputDigest: decoded.inputDigest,
                task: fields.task, language: fields.language,
                facts: fields.facts ?? (isPlaced ? history?.facts : nil),
                news: headlines(fields, snapshot).map { item in
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

    private func scrub(_ text: String) -> String { scrubbed.scrub(text) }

    private func id(_ decoded: ScrubbedRecord, _ line: Int) throws(Rejection) -> String {
        guard let given = decoded.record.givenID, let word = decoded.givenIDWord else {
            return "\(labels[nextFile - 1]):\(line)"
        }
        // Bytes are faster to search than characters.
        if given.utf8.contains(UInt8(ascii: ":")), let colon = given.lastIndex(of: ":"),
            labelSet.contains(String(given[..<colon])), Int(given[given.index(after: colon)...]) != nil
        {
            throw Rejection("id: \(Quoting.quoted(given)) has the form of an id that is made from file and line")
        }
        guard givenIDs.insert(word).inserted else {
            throw Rejection("id: \(Quoting.quoted(given)) was used before")
        }
        return given
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
                case .record(let record):
                    return item(decoder.record(record), number, address: record["endpoint"]?.string)
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
}
