import Foundation
import Runtime

/// What can be wrong with the files that this module reads, and with the values that it is given.
public enum ReportingError: WordedError, Equatable {
    /// A file that cannot be read.
    case unreadable(path: String, reason: String)
    /// A file larger than its kind can sensibly be.
    case tooLarge(path: String, bytes: Int64, limit: Int64)
    /// A file that is not what it should be; `place` names file and, where known, line or key.
    case malformed(place: String, problem: String, expected: String?, got: String?)
    /// A schema version that this build does not read.
    case version(path: String, kind: String, expected: Int, got: String)
    /// A value that cannot be stored or compared, such as a NaN.
    case invalidValue(place: String, problem: String, expected: String?, got: String?)
    /// Chart.js is not where it was looked for.
    case chartLibraryMissing(path: String)
    /// The run store's engine failed.
    case store(path: String, operation: String, message: String, code: Int32)

    public var wording: Wording {
        switch self {
        case .unreadable(let path, let reason):
            Wording(path, "cannot be read: \(reason)")
        case .tooLarge(let path, let bytes, let limit):
            Wording(path, "is too large", expected: "at most \(limit) bytes", got: "\(bytes)")
        case .malformed(let place, let problem, let expected, let got):
            Wording(place, problem, expected: expected, got: got)
        case .version(let path, let kind, let expected, let got):
            Wording(
                path, "is a \(kind) of another version", expected: "version \(expected)", got: got,
                advice: "use the tool that wrote it, or run the measurement again")
        case .invalidValue(let place, let problem, let expected, let got):
            Wording(place, problem, expected: expected, got: got)
        case .chartLibraryMissing(let path):
            Wording(
                path, "Chart.js is not there, and the HTML report carries it inside", expected: "Chart.js 3.x",
                advice: "apt-get install libjs-chart.js, or name the file with --chart-js")
        case .store(let path, let operation, _, 13):  // SQLITE_FULL
            Wording(
                path, "the run store cannot \(operation): No space left on device",
                advice: "make room; what was answered so far can be resumed")
        case .store(let path, let operation, let message, let code):
            Wording(path, "the run store cannot \(operation): \(message) (SQLite \(code))")
        }
    }
}

/// Reads a whole small file, and says clearly what is wrong where it cannot.
enum SmallFile {
    static func read(_ url: URL, limit: Int64) throws -> Data {
        let path = url.path
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw ReportingError.unreadable(path: path, reason: "no such file")
        }
        if isDirectory.boolValue { throw ReportingError.unreadable(path: path, reason: "it is a directory") }
        do {
            // Not `Data(contentsOf:)`: a device or pipe has no size to check beforehand.
            let handle = try FileHandle(forReadingFrom: url)
            defer { try? handle.close() }
            let size = Int64(try handle.seekToEnd())
            if size > limit { throw ReportingError.tooLarge(path: path, bytes: size, limit: limit) }
            try handle.seek(toOffset: 0)
            return try handle.read(upToCount: Int(limit)) ?? Data()
        } catch let error as ReportingError {
            throw error
        } catch {
            throw ReportingError.unreadable(path: path, reason: (error as NSError).localizedDescription)
        }
    }

    /// As `read`, for text: anything but UTF-8 is an error that says where the first bad byte is.
    static func text(_ url: URL, limit: Int64) throws -> String {
        let data = try read(url, limit: limit)
        guard let text = String(validating: data, as: UTF8.self) else {
            throw ReportingError.malformed(
                place: url.path, problem: "is not UTF-8 text", expected: "UTF-8",
                got: "an invalid sequence near byte \(firstInvalidByte(data))")
        }
        return text
    }

    private static func firstInvalidByte(_ data: Data) -> Int {
        var low = 0
        var high = data.count  // The prefix of `high` bytes is invalid, the one of `low` bytes valid or cut short.
        while high - low > 4 {
            let middle = (low + high) / 2
            // A cut inside a character is no error: up to three bytes more complete it.
            let valid = (0...3).contains { extra in
                middle + extra <= data.count && String(validating: data.prefix(middle + extra), as: UTF8.self) != nil
            }
            if valid { low = middle } else { high = middle }
        }
        return low
    }
}
