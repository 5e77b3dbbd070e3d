import Foundation
import GRDB

/// The tables of a run store, version 1. A file says what it is by SQLite's `application_id` and `user_version`.
enum RunStoreSchema {
    /// "QBRS".
    static let applicationID: Int32 = 0x5142_5253
    static let version = 1

    static func create(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE runs (
                    id INTEGER PRIMARY KEY,
                    configuration_digest TEXT NOT NULL,
                    description TEXT NOT NULL,
                    state TEXT NOT NULL CHECK (state IN ('running', 'finished', 'failed')),
                    started_at TEXT NOT NULL,
                    finished_at TEXT
                ) STRICT;
                CREATE INDEX runs_by_digest ON runs (configuration_digest);

                CREATE TABLE requests (
                    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
                    id TEXT NOT NULL,
                    position INTEGER NOT NULL,
                    input_hash TEXT NOT NULL,
                    state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'finished', 'failed')),
                    attempts INTEGER NOT NULL DEFAULT 0,
                    answer TEXT,
                    error TEXT,
                    node TEXT,
                    queue_ms REAL, prefill_ms REAL, decode_ms REAL, total_ms REAL, ttft_ms REAL,
                    prompt_tokens INTEGER, output_tokens INTEGER,
                    PRIMARY KEY (run, id),
                    CHECK ((state = 'finished') = (answer IS NOT NULL))
                ) STRICT, WITHOUT ROWID;
                CREATE INDEX requests_by_input ON requests (input_hash) WHERE state = 'finished';

                CREATE TABLE node_samples (
                    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
                    node TEXT NOT NULL,
                    elapsed_ms REAL NOT NULL,
                    utilization REAL, cpu_seconds REAL, resident_bytes INTEGER, queue_length INTEGER
                ) STRICT;
                CREATE INDEX samples_by_run ON node_samples (run, node, elapsed_ms);

                PRAGMA application_id = \(applicationID);
                PRAGMA user_version = \(version);
                """)
    }

    /// The definitions of all tables and indices, in a fixed order.
    static func fingerprint(_ db: Database) throws -> [String] {
        try String.fetchAll(db, sql: "SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY type, name")
    }

    static func expected() throws -> [String] {
        let fresh = try DatabaseQueue()
        return try fresh.write { db in
            try create(db)
            return try fingerprint(db)
        }
    }
}

/// One run's row.
public struct StoredRun: Sendable, Equatable {
    public enum State: String, Sendable { case running, finished, failed }
    public var id: Int64
    public var configurationDigest: String
    /// What the caller said of the run, e.g. its configuration as JSON.
    public var description: String
    public var state: State
    public var startedAt: String
    public var finishedAt: String?
}

/// One request's row.
public struct StoredRequest: Sendable, Equatable {
    public enum State: String, Sendable { case waiting, running, finished, failed }
    public var id: String
    /// Place in the input, from 0.
    public var position: Int
    public var inputHash: String
    public var state: State
    /// How often it was begun.
    public var attempts: Int
    /// The finished answer, JSON, byte for byte as it was committed.
    public var answer: String?
    public var error: String?
    public var node: String?
    public var timings: Timings

    public init(
        id: String, position: Int, inputHash: String, state: State = .waiting, attempts: Int = 0, answer: String? = nil,
        error: String? = nil, node: String? = nil, timings: Timings = Timings()
    ) {
        self.id = id
        self.position = position
        self.inputHash = inputHash
        self.state = state
        self.attempts = attempts
        self.answer = answer
        self.error = error
        self.node = node
        self.timings = timings
    }

    /// Milliseconds and tokens, as in `RequestSample`.
    public struct Timings: Sendable, Equatable {
        public var queueMs, prefillMs, decodeMs, totalMs, ttftMs: Double?
        public var promptTokens, outputTokens: Int?

        public init(
            queueMs: Double? = nil, prefillMs: Double? = nil, decodeMs: Double? = nil, totalMs: Double? = nil,
            ttftMs: Double? = nil, promptTokens: Int? = nil, outputTokens: Int? = nil
        ) {
            self.queueMs = queueMs
            self.prefillMs = prefillMs
            self.decodeMs = decodeMs
            self.totalMs = totalMs
            self.ttftMs = ttftMs
            self.promptTokens = promptTokens
            self.outputTokens = outputTokens
        }
    }
}

/// One reading of a node's state.
public struct NodeSample: Sendable, Equatable {
    public var node: String
    /// Since the run's start.
    public var elapsedMs: Double
    /// 0…1.
    public var utilization: Double?
    public var cpuSeconds: Double?
    public var residentBytes: Int?
    public var queueLength: Int?

    public init(
        node: String, elapsedMs: Double, utilization: Double? = nil, cpuSeconds: Double? = nil,
        residentBytes: Int? = nil, queueLength: Int? = nil
    ) {
        self.node = node
        self.elapsedMs = elapsedMs
        self.utilization = utilization
        self.cpuSeconds = cpuSeconds
        self.residentBytes = residentBytes
        self.queueLength = queueLength
    }
}
