import Foundation
import GRDB
import Runtime

/// Answers by what decided them, in one SQLite file: a question that was answered before is not computed again.
///
/// Whoever makes the keys sees to it that a key holds all that an answer depends on. Any number of threads and processes
/// may use a file at once.
public final class AnswerCache: Sendable {
    /// "QAns".
    static let applicationID: Int32 = 0x5141_6E73
    static let version = 1

    public let url: URL
    private let pool: DatabasePool

    /// Opens the file, or creates it where there is none.
    /// - Throws: `ReportingError` where the file is no answer cache, is damaged, or is of another version.
    public init(_ url: URL) throws {
        self.url = url
        let path = url.path
        if FileManager.default.fileExists(atPath: path) { try SQLiteHeader.check(path, kind: "answer cache") }
        var configuration = Configuration()
        configuration.label = "answer cache"
        configuration.busyMode = .timeout(10)
        do {
            pool = try DatabasePool(path: path, configuration: configuration)
            try pool.write { db in try Self.prepare(db, path) }
        } catch let error as DatabaseError {
            throw Self.worded(error, path, "be opened")
        }
    }

    private static func prepare(_ db: Database, _ path: String) throws {
        let application = try Int32.fetchOne(db, sql: "PRAGMA application_id") ?? 0
        let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        let tables = try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_schema") ?? 0
        if application == 0, version == 0, tables == 0 {
            try db.execute(
                sql: """
                    CREATE TABLE answers (
                      key TEXT NOT NULL PRIMARY KEY, answer TEXT NOT NULL, sha256 TEXT NOT NULL
                    ) STRICT, WITHOUT ROWID
                    """)
            try db.execute(sql: "PRAGMA application_id = \(applicationID)")
            try db.execute(sql: "PRAGMA user_version = \(Self.version)")
            return
        }
        guard application == applicationID else {
            throw ReportingError.malformed(
                place: path, problem: "is an SQLite file, but no answer cache",
                expected: "application_id \(applicationID)", got: "\(application)")
        }
        guard version == Self.version else {
            throw ReportingError.version(
                path: path, kind: "answer cache", expected: Self.version, got: "\(version)")
        }
        let check = try String.fetchOne(db, sql: "PRAGMA quick_check(1)") ?? "no answer"
        guard check == "ok", try db.tableExists("answers") else {
            throw ReportingError.malformed(
                place: path, problem: "is damaged", expected: "a sound SQLite file", got: check)
        }
    }

    /// The answer of that key.
    /// - Parameter digest: of the answer's text; an answer that no longer has its own is an error, not an answer.
    public func answer(_ key: String, digest: (String) -> String) throws -> String? {
        do {
            guard
                let row = try pool.read({
                    try Row.fetchOne($0, sql: "SELECT answer, sha256 FROM answers WHERE key = ?", arguments: [key])
                })
            else { return nil }
            let text: String = row["answer"]
            guard digest(text) == row["sha256"] as String else {
                throw ReportingError.malformed(
                    place: "\(url.path): \(key)", problem: "the answer was changed",
                    expected: row["sha256"] as String, got: digest(text))
            }
            return text
        } catch let error as DatabaseError {
            throw Self.worded(error, url.path, "be read")
        }
    }

    /// Keeps an answer; the one that is there already stays.
    public func keep(_ answer: String, digest: String, key: String) throws {
        do {
            try pool.write {
                try $0.execute(
                    sql: "INSERT OR IGNORE INTO answers (key, answer, sha256) VALUES (?, ?, ?)",
                    arguments: [key, answer, digest])
            }
        } catch let error as DatabaseError {
            throw Self.worded(error, url.path, "be written")
        }
    }

    public func count() throws -> Int {
        do {
            return try pool.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM answers") ?? 0 }
        } catch let error as DatabaseError {
            throw Self.worded(error, url.path, "be read")
        }
    }

    private static func worded(_ error: DatabaseError, _ path: String, _ operation: String) -> ReportingError {
        .malformed(
            place: path, problem: "cannot \(operation) as an answer cache", expected: "a sound SQLite file",
            got: "\(error.message ?? "no message") (SQLite \(error.extendedResultCode.rawValue))")
    }
}

enum SQLiteHeader {
    /// SQLite would take an empty file for a new database and only later find out that a text file is none.
    static func check(_ path: String, kind: String) throws {
        var isDirectory: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory.boolValue {
            throw ReportingError.unreadable(path: path, reason: "it is a directory")
        }
        let handle: FileHandle
        do {
            handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        } catch {
            throw ReportingError.unreadable(path: path, reason: (error as NSError).localizedDescription)
        }
        defer { try? handle.close() }
        let head = (try? handle.read(upToCount: 16)) ?? Data()
        if head.isEmpty { return }  // What a kill between creating and filling the file leaves.
        guard head == Data("SQLite format 3\0".utf8) else {
            throw ReportingError.malformed(
                place: path, problem: "is no \(kind)", expected: "an SQLite file", got: "something else")
        }
    }
}
