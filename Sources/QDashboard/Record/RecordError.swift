import Foundation
import Runtime

/// What can be wrong with a run's record, or with the answers that it speaks for.
public enum RecordError: WordedError, Equatable {
    case unreadable(path: String, reason: String)
    case unwritable(path: String, reason: String)
    case malformed(place: String, expected: String, got: String?)
    /// The first answer that is not as it was recorded; `id` is the recorded one.
    case touched(path: String, line: Int, id: String, what: String, expected: String, got: String)
    case missing(path: String, line: Int, id: String)
    case extra(path: String, line: Int)
    /// The proof of an answer, or a root, does not fit the rest.
    case inconsistent(place: String, what: String, expected: String, got: String)
    case signature(path: String, node: String)
    case otherKey(path: String, node: String, expected: String, got: String)

    public var wording: Wording {
        switch self {
        case .unreadable(let path, let reason):
            Wording(path, "cannot be read: \(reason)", advice: "name the folder of a finished run")
        case .unwritable(let path, let reason): Wording(path, "cannot be written: \(reason)")
        case .malformed(let place, let expected, let got):
            Wording(place, "is no part of a run's record", expected: expected, got: got)
        case .touched(let path, let line, let id, let what, let expected, let got):
            Wording(
                "\(path), line \(line)", "answer \(id) was touched: another \(what)", expected: expected, got: got)
        case .missing(let path, let line, let id): Wording("\(path), line \(line)", "answer \(id) is missing")
        case .extra(let path, let line):
            Wording("\(path), line \(line)", "an answer follows that the record does not know")
        case .inconsistent(let place, let what, let expected, let got):
            Wording(place, "the \(what) does not fit the answers", expected: expected, got: got)
        case .signature(let path, let node):
            Wording(path, "the signature of node \(node) is not its key's over this run")
        case .otherKey(let path, let node, let expected, let got):
            Wording(path, "node \(node) signed with another key", expected: expected, got: got)
        }
    }
}

/// Reads the files of a record.
enum RecordFile {
    /// A whole file of at most `limit` bytes as text.
    static func text(_ url: URL, limit: Int) throws -> String {
        do {
            let handle = try FileHandle(forReadingFrom: url)
            defer { try? handle.close() }
            let data = try handle.read(upToCount: limit + 1) ?? Data()
            guard data.count <= limit, let text = String(validating: data, as: UTF8.self) else {
                throw RecordError.malformed(
                    place: url.path, expected: "at most \(limit) bytes of UTF-8 text", got: nil)
            }
            return text
        } catch let error as RecordError {
            throw error
        } catch {
            throw RecordError.unreadable(path: url.path, reason: error.localizedDescription)
        }
    }

    /// The lines of a file, its bytes mapped.
    static func lines(_ url: URL) throws -> [Data.SubSequence] {
        do {
            return try Data(contentsOf: url, options: .mappedIfSafe).split(separator: 0x0A)
        } catch {
            throw RecordError.unreadable(path: url.path, reason: error.localizedDescription)
        }
    }
}
