import Foundation
import Runtime

/// Why the input as a whole cannot be read. A single bad record is no error: it is a `RejectedRecord`.
public enum InputError: WordedError, Equatable {
    case noFiles
    case missing(path: String)
    case isDirectory(path: String)
    /// A folder without a file in it.
    case emptyFolder(path: String)
    /// Opening or reading failed; `code` is errno, `message` the system's words for it.
    case unreadable(path: String, operation: String, code: Int32, message: String)
    /// A line of a file of news that is no item.
    case news(path: String, line: Int, problem: String)
    /// Not one record of all the files could be used.
    case noRequests(files: [String], rejected: Int)

    public var wording: Wording {
        switch self {
        case .noFiles:
            Wording("snapshots", "no file was given", advice: "name at least one file of recorded snapshots")
        case .missing(let path):
            Wording(path, "no such file", advice: "check the path")
        case .isDirectory(let path):
            Wording(path, "is a directory", expected: "a file", advice: "name the files in it, e.g. \(path)/*.jsonl")
        case .emptyFolder(let path):
            Wording(
                path, "a folder without files", expected: "recordings in it", advice: "folders in it are not searched")
        case .unreadable(let path, let operation, let code, let message):
            Wording(path, "\(operation) failed: \(message) (errno \(code))")
        case .news(let path, let line, let problem):
            Wording(
                "\(path):\(line)", problem,
                advice: #"write {"at":"2026-09-18T21:53:48Z","source":"…","title":"…"}, an item a line"#)
        case .noRequests(let files, let rejected):
            Wording(
                files.joined(separator: ", "), "zero snapshots to answer", expected: "at least one",
                got: rejected == 0 ? "no records at all" : "\(rejected) rejected records and nothing else",
                advice: rejected == 0 ? "check that the recording is complete" : "see the reasons in rejected.jsonl")
        }
    }
}
