import Foundation
import GRDB

/// The tables of a run store, version 3. A file says what it is by SQLite's `application_id` and `user_version`.
enum RunStoreSchema {
    /// "QBRS".
    static let applicationID: Int32 = 0x5142_5253
    static let version = 3

    static func create(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE runs (
                    id INTEGER PRIMARY KEY,
                    configuration_digest TEXT NOT NULL,
                    description TEXT NOT NULL,
                    state TEXT NOT NULL CHECK (state IN ('running', 'finished', 'failed')),
                    started_at TEXT NOT NULL,
                    finished_at TEXT,
                    launches INTEGER NOT NULL DEFAULT 1
                ) STRICT;
                CREATE INDEX runs_by_digest ON runs (configuration_digest);

                CREATE TABLE requests (
                    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
                    id TEXT NOT NULL,
                    position INTEGER NOT NULL,
                    input_hash TEXT NOT NULL,
                    state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'finished', 'failed', 'quarantined')),
                    attempts INTEGER NOT NULL DEFAULT 0,
                    alone INTEGER NOT NULL DEFAULT 0,
                    deaths INTEGER NOT NULL DEFAULT 0,
                    deaths_alone INTEGER NOT NULL DEFAULT 0,
                    answer TEXT,
                    error TEXT,
                    node TEXT,
                    queue_ms REAL, prefill_ms REAL, decode_ms REAL, total_ms REAL, ttft_ms REAL,
                    stages_ms TEXT,
                    prompt_tokens INTEGER, output_tokens INTEGER,
                    started_at TEXT, finished_at TEXT,
                    PRIMARY KEY (run, id),
                    CHECK ((state = 'finished') = (answer IS NOT NULL))
                ) STRICT, WITHOUT ROWID;
                CREATE INDEX requests_by_input ON requests (input_hash) WHERE state = 'finished';

                CREATE TABLE node_samples (
                    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
                    node TEXT NOT NULL,
                    elapsed_ms REAL NOT NULL,
                    utilization REAL, cpu_seconds REAL, resident_bytes INTEGER, queue_length INTEGER,
                    disk_read_bytes INTEGER, disk_written_bytes INTEGER,
                    network_received_bytes INTEGER, network_sent_bytes INTEGER,
                    tokens INTEGER,
                    health TEXT CHECK (health IN ('ok', 'stalled', 'failing'))
                ) STRICT;
                CREATE INDEX samples_by_run ON node_samples (run, node, elapsed_ms);

                CREATE TABLE stage_samples (
                    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
                    node TEXT NOT NULL,
                    stage INTEGER NOT NULL,
                    elapsed_ms REAL NOT NULL,
                    batches INTEGER NOT NULL, busy_seconds REAL NOT NULL, bubble_seconds REAL NOT NULL,
                    hop_seconds REAL NOT NULL, bytes_sent INTEGER NOT NULL, queue_length INTEGER NOT NULL
                ) STRICT;
                CREATE INDEX stage_samples_by_run ON stage_samples (run, node, stage, elapsed_ms);

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
    /// How often a process took it up: once, and once for each time it was resumed.
    public var launches: Int
}

/// One request's row.
public struct StoredRequest: Sendable, Equatable {
    /// `quarantined`: the node died twice while this was all that it worked on.
    public enum State: String, Sendable { case waiting, running, finished, failed, quarantined }
    public var id: String
    /// Place in the input, from 0.
    public var position: Int
    public var inputHash: String
    public var state: State
    /// How often it was begun.
    public var attempts: Int
    /// How often the process died while it worked on this, and how often while on nothing else.
    public var deaths = 0
    public var deathsAlone = 0
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
        /// Each pipeline stage's work.
        public var stagesMs: [Double]?

        public init(
            queueMs: Double? = nil, prefillMs: Double? = nil, decodeMs: Double? = nil, totalMs: Double? = nil,
            ttftMs: Double? = nil, stagesMs: [Double]? = nil, promptTokens: Int? = nil, outputTokens: Int? = nil
        ) {
            self.queueMs = queueMs
            self.prefillMs = prefillMs
            self.decodeMs = decodeMs
            self.totalMs = totalMs
            self.ttftMs = ttftMs
            self.stagesMs = stagesMs
            self.promptTokens = promptTokens
            self.outputTokens = outputTokens
        }
    }
}
