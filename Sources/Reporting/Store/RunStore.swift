import Foundation
import GRDB
import Runtime

/// The log of runs in one SQLite file, so that nothing finished is ever lost: `finish` returns only when the answer is on
/// the disk (WAL, synchronous = FULL), and a caller commits each answer before its next progress tick. After a kill at any
/// moment, `finished(configurationDigest:)` gives what need not be computed again.
///
/// Any number of threads may use it; writes are serialised.
public final class RunStore: Sendable {
    public enum Access: Sendable {
        /// Opens the file, or creates it where there is none.
        case readWrite
        /// Opens a file that exists, and changes nothing.
        case readOnly
    }

    public let url: URL
    private let pool: any DatabaseWriter

    /// - Throws: `ReportingError` where the file is no run store, is damaged, or is of another version.
    public init(_ url: URL, access: Access = .readWrite) throws {
        self.url = url
        let path = url.path
        var isDirectory: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
        if isDirectory.boolValue { throw ReportingError.unreadable(path: path, reason: "it is a directory") }
        if !exists, access == .readOnly { throw ReportingError.unreadable(path: path, reason: "no such file") }
        if exists { try SQLiteHeader.check(path, kind: "run store") }

        var configuration = Configuration()
        configuration.label = "run store"
        configuration.busyMode = .timeout(10)
        configuration.foreignKeysEnabled = true
        configuration.readonly = access == .readOnly
        configuration.prepareDatabase { db in
            // NORMAL may lose the last commits at a power cut; an answer that was reported done must stay done.
            if !db.configuration.readonly { try db.execute(sql: "PRAGMA synchronous = FULL") }
        }
        do {
            // A queue reads a WAL file too; a pool would want to write the shared memory index.
            pool =
                access == .readOnly
                ? try DatabaseQueue(path: path, configuration: configuration)
                : try DatabasePool(path: path, configuration: configuration)
            let identity = try pool.read { db in
                (
                    application: try Int32.fetchOne(db, sql: "PRAGMA application_id") ?? 0,
                    version: try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0,
                    tables: try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_schema") ?? 0
                )
            }
            if identity.application == 0, identity.version == 0, identity.tables == 0, access == .readWrite {
                try Self.createSchema(pool)
            } else {
                guard identity.application == RunStoreSchema.applicationID else {
                    throw ReportingError.malformed(
                        place: path, problem: "is an SQLite file, but no run store",
                        expected: "application_id \(RunStoreSchema.applicationID)", got: "\(identity.application)")
                }
                guard identity.version == RunStoreSchema.version else {
                    throw ReportingError.version(
                        path: path, kind: "run store", expected: RunStoreSchema.version, got: "\(identity.version)")
                }
                let check = try pool.read { try String.fetchOne($0, sql: "PRAGMA quick_check(1)") ?? "no answer" }
                guard check == "ok" else {
                    throw ReportingError.malformed(
                        place: path, problem: "is damaged", expected: "a sound SQLite file", got: check)
                }
                // The readers below rely on the columns and their types.
                guard try pool.read(RunStoreSchema.fingerprint) == RunStoreSchema.expected() else {
                    throw ReportingError.malformed(
                        place: path, problem: "has other tables than a run store",
                        expected: "the tables of version \(RunStoreSchema.version)", got: nil)
                }
            }
        } catch let error as DatabaseError {
            throw Self.worded(error, path, "open it")
        }
    }

    /// Two processes may create the same file at once: the second finds the tables there.
    private static func createSchema(_ pool: any DatabaseWriter) throws {
        try pool.write { db in
            let tables = try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_schema") ?? 0
            if tables == 0 { try RunStoreSchema.create(db) }
        }
    }

    private static func worded(_ error: DatabaseError, _ path: String, _ operation: String) -> ReportingError {
        if error.resultCode == .SQLITE_NOTADB || error.resultCode == .SQLITE_CORRUPT {
            return .malformed(
                place: path, problem: "is damaged, or no run store", expected: "a sound SQLite file",
                got: error.message ?? "SQLite \(error.resultCode.rawValue)")
        }
        return .store(
            path: path, operation: operation, message: error.message ?? "no message",
            code: error.extendedResultCode.rawValue)
    }

    func write<T>(_ operation: String, _ body: (Database) throws -> T) throws -> T {
        do {
            return try pool.write(body)
        } catch let error as DatabaseError {
            throw Self.worded(error, url.path, operation)
        }
    }

    func read<T>(_ operation: String, _ body: (Database) throws -> T) throws -> T {
        do {
            return try pool.read(body)
        } catch let error as DatabaseError {
            throw Self.worded(error, url.path, operation)
        }
    }
}

// MARK: - Writing

extension RunStore {
    /// Begins a run and returns its number.
    ///
    /// - Parameters:
    ///   - configurationDigest: a digest of everything that decides the answers (model, prompt, seed, task), and of nothing
    ///     else: runs with the same digest share finished answers.
    ///   - description: anything a reader should know, such as the configuration as JSON.
    public func beginRun(configurationDigest: String, description: String) throws -> Int64 {
        try write("begin a run") { db in
            try db.execute(
                sql: """
                    INSERT INTO runs (configuration_digest, description, state, started_at)
                    VALUES (?, ?, 'running', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
                    """, arguments: [configurationDigest, description])
            return db.lastInsertedRowID
        }
    }

    /// Ends a run in order: what was being worked on waits again, and nobody died of it.
    public func endRun(_ run: Int64, _ state: StoredRun.State) throws {
        try write("end run \(run)") { db in
            try db.execute(
                sql: "UPDATE requests SET state = 'waiting' WHERE run = ? AND state = 'running'", arguments: [run])
            try db.execute(
                sql: "UPDATE runs SET state = ?, finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = ?",
                arguments: [state.rawValue, run])
            try Self.expectOne(db, "run \(run)", url)
        }
    }

    /// Adds requests, all or none.
    public func add(_ requests: [StoredRequest], to run: Int64) throws {
        try write("add requests to run \(run)") { db in
            let statement = try db.makeStatement(
                sql: """
                    INSERT INTO requests (run, id, position, input_hash, state, attempts, answer, error, node, queue_ms,
                        prefill_ms, decode_ms, total_ms, ttft_ms, prompt_tokens, output_tokens)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """)
            for r in requests {
                let t = r.timings
                try statement.execute(arguments: [
                    run, r.id, r.position, r.inputHash, r.state.rawValue, r.attempts, r.answer, r.error, r.node,
                    t.queueMs, t.prefillMs, t.decodeMs, t.totalMs, t.ttftMs, t.promptTokens, t.outputTokens,
                ])
            }
        }
    }

    /// Notes that a request is being worked on, and counts the attempt.
    public func start(_ id: String, of run: Int64, node: String? = nil) throws {
        try write("start request \(id)") { db in
            try db.execute(
                sql: """
                    UPDATE requests SET state = 'running', attempts = attempts + 1, node = ?, answer = NULL, error = NULL
                    WHERE run = ? AND id = ?
                    """, arguments: [node, run, id])
            try Self.expectOne(db, "request \(id) of run \(run)", url)
        }
    }

    /// Commits a finished answer. When this returns, the answer survives a kill and a power cut.
    public func finish(
        _ id: String, of run: Int64, answer: String, timings: StoredRequest.Timings, node: String? = nil
    ) throws {
        try write("finish request \(id)") { db in
            try db.execute(
                sql: """
                    UPDATE requests SET state = 'finished', answer = ?, error = NULL, node = coalesce(?, node),
                        queue_ms = ?, prefill_ms = ?, decode_ms = ?, total_ms = ?, ttft_ms = ?, prompt_tokens = ?,
                        output_tokens = ?
                    WHERE run = ? AND id = ?
                    """,
                arguments: [
                    answer, node, timings.queueMs, timings.prefillMs, timings.decodeMs, timings.totalMs, timings.ttftMs,
                    timings.promptTokens, timings.outputTokens, run, id,
                ])
            try Self.expectOne(db, "request \(id) of run \(run)", url)
        }
    }

    public func fail(_ id: String, of run: Int64, error: String, node: String? = nil) throws {
        try write("fail request \(id)") { db in
            try db.execute(
                sql: """
                    UPDATE requests SET state = 'failed', answer = NULL, error = ?, node = coalesce(?, node)
                    WHERE run = ? AND id = ?
                    """, arguments: [error, node, run, id])
            try Self.expectOne(db, "request \(id) of run \(run)", url)
        }
    }

    static func expectOne(_ db: Database, _ what: String, _ url: URL) throws {
        guard db.changesCount == 1 else {
            throw ReportingError.invalidValue(
                place: url.path, problem: "has no \(what)", expected: nil, got: nil)
        }
    }
}

// MARK: - Reading

extension RunStore {
    /// Input hash → answer, over all runs with this configuration, whether they ended or were killed. Where several runs
    /// answered the same input, the last one's answer.
    public func finished(configurationDigest: String) throws -> [String: String] {
        try read("read finished answers") { db in
            var answers: [String: String] = [:]
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT input_hash, answer FROM requests JOIN runs ON runs.id = requests.run
                    WHERE requests.state = 'finished' AND configuration_digest = ?
                    ORDER BY run, position
                    """, arguments: [configurationDigest])
            while let row = try rows.next() { answers[row[0]] = row[1] }
            return answers
        }
    }

    /// All runs, the oldest first.
    public func runs() throws -> [StoredRun] {
        try read("read runs") { db in
            try Row.fetchAll(db, sql: "SELECT * FROM runs ORDER BY id").map { row in
                StoredRun(
                    id: row["id"], configurationDigest: row["configuration_digest"], description: row["description"],
                    state: StoredRun.State(rawValue: row["state"]) ?? .failed, startedAt: row["started_at"],
                    finishedAt: row["finished_at"], launches: row["launches"])
            }
        }
    }

    /// A run's requests, in input order.
    public func requests(of run: Int64) throws -> [StoredRequest] {
        try read("read requests") { db in
            try Row.fetchAll(db, sql: "SELECT * FROM requests WHERE run = ? ORDER BY position, id", arguments: [run])
                .map(Self.request)
        }
    }
}
