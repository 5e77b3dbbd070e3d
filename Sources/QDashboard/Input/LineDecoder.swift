import Foundation
import Runtime
import Synchronization

/// What a record says by itself, scrubbed. Its id, its place and its facts depend on the records before it.
struct ScrubbedRecord: Sendable {
    let record: DecodedRecord
    /// What was taken out of the snapshot.
    let scrubbed: Scrubbed
    /// `Digest.word` of the id that the record gives itself.
    let givenIDWord: UInt64?
    /// See `AnalysisRequest.inputDigest`.
    let inputDigest: String?

    init(_ value: JSONValue, digestsInput: Bool) throws(Rejection) {
        var record = try RecordDecoder.decode(value)
        var scrubbed = Scrubbed()
        record.snapshot.scrub(counting: &scrubbed)
        self.record = record
        self.scrubbed = scrubbed
        givenIDWord = record.givenID.map { Digest.word($0) }
        inputDigest = digestsInput ? Digest.hex(canonical: value) : nil
    }
}

/// Decodes lines, one record each, many at a time: on all cores, since none depends on another.
struct LineDecoder {
    struct Decoded: Sendable {
        /// Of the line, from 1.
        let number: Int
        let result: Result<ScrubbedRecord, Rejection>
    }

    /// So many lines at a time, which bounds what is decoded and not yet given out to a few megabytes.
    static let most = 1024
    /// Fewer are not worth another thread.
    private static let fewest = 32
    private static let cores = ProcessInfo.processInfo.activeProcessorCount

    /// How long a line may be.
    let lineBytes: Int
    let digestsInput: Bool

    /// The lines' records in their order, without blank lines. `reader` gave out the lines, and nothing after them.
    func decode(_ lines: [LineReader.Line], of reader: LineReader) -> [Decoded] {
        // A few slices for each core, since lines are not equally long.
        let slices = min(lines.count / Self.fewest, 4 * Self.cores)
        guard slices > 1 else { return lines.compactMap { decode($0, of: reader) } }
        let decoded = Mutex([[Decoded]](repeating: [], count: slices))
        // Its bytes stay where they are meanwhile, and nobody writes.
        nonisolated(unsafe) let still = reader
        DispatchQueue.concurrentPerform(iterations: slices) { slice in
            let range = slice * lines.count / slices..<(slice + 1) * lines.count / slices
            let part = lines[range].compactMap { decode($0, of: still) }
            decoded.withLock { $0[slice] = part }
        }
        return decoded.withLock { $0 }.flatMap { $0 }
    }

    /// Nil for a blank line.
    private func decode(_ line: LineReader.Line, of reader: LineReader) -> Decoded? {
        switch line {
        case .tooLong(let number, let length):
            return Decoded(number: number, result: .failure(tooLong(length)))
        case .text(let number, let range):
            let bytes = reader.bytes(range)
            return Self.isBlank(bytes) ? nil : Decoded(number: number, result: record(bytes))
        }
    }

    func tooLong(_ length: Int) -> Rejection {
        Rejection("a line of \(length) bytes; expected at most \(lineBytes)")
    }

    private func record(_ bytes: UnsafeRawBufferPointer) -> Result<ScrubbedRecord, Rejection> {
        do throws(JSONError) {
            return record(try JSONValue(parsing: bytes, place: ""))
        } catch {
            return .failure(Self.rejection(error, bytes))
        }
    }

    func record(_ value: JSONValue) -> Result<ScrubbedRecord, Rejection> {
        Result { () throws(Rejection) in try ScrubbedRecord(value, digestsInput: digestsInput) }
    }

    /// Why a line is no JSON.
    static func rejection(_ error: JSONError, _ bytes: UnsafeRawBufferPointer) -> Rejection {
        if String(validating: bytes, as: UTF8.self) == nil { return Rejection("not valid UTF-8") }
        return Rejection("not JSON: \(error.problem) (column \(error.column))")
    }

    static func isBlank(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
    }
}
