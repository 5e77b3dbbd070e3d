import Foundation
import GRDB
import Runtime

/// The store as the ledger of a run that can die at any moment and be taken up again.
///
/// A request is marked as running before work on it begins. Whatever is still marked when the run is taken up again was
/// being worked on when the process died. One death proves nothing against a request among many; so it is tried again
/// alone, and the second death alone puts it into quarantine.
extension RunStore {
    /// Deaths alone after which a request is not tried again.
    public static let deathsToQuarantine = 2

    /// Takes up a run that was begun before; see above for what becomes of the requests that were at work.
    public func reopenRun(_ run: Int64) throws {
        try write("take up run \(run)") { db in
            try db.execute(
                sql: """
                    UPDATE requests SET deaths = deaths + 1, deaths_alone = deaths_alone + alone,
                        state = CASE WHEN deaths_alone + alone >= ? THEN 'quarantined' ELSE 'waiting' END,
                        error = CASE WHEN deaths_alone + alone >= ? THEN 'the process died of it' ELSE NULL END
                    WHERE run = ? AND state = 'running'
                    """, arguments: [Self.deathsToQuarantine, Self.deathsToQuarantine, run])
            try db.execute(
                sql: "UPDATE runs SET state = 'running', finished_at = NULL, launches = launches + 1 WHERE id = ?",
                arguments: [run])
            try Self.expectOne(db, "run \(run)", url)
        }
    }

    /// Notes that requests are being worked on, and counts the attempt; adds those that are new. A request whose input
    /// has changed since begins anew.
    public func begin(_ requests: [StoredRequest], of run: Int64, alone: Bool = false) throws {
        try write("begin requests of run \(run)") { db in
            for request in requests {
                try db.execute(
                    sql: """
                        INSERT INTO requests (run, id, position, input_hash, state, attempts, alone, node, started_at)
                        VALUES (?, ?, ?, ?, 'running', 1, ?, ?, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
                        ON CONFLICT (run, id) DO UPDATE SET
                            attempts = iif(input_hash = excluded.input_hash, attempts + 1, 1),
                            deaths = iif(input_hash = excluded.input_hash, deaths, 0),
                            deaths_alone = iif(input_hash = excluded.input_hash, deaths_alone, 0),
                            position = excluded.position, input_hash = excluded.input_hash, state = 'running',
                            alone = excluded.alone, node = excluded.node, started_at = excluded.started_at,
                            answer = NULL, error = NULL, finished_at = NULL
                        """,
                    arguments: [run, request.id, request.position, request.inputHash, alone, request.node])
            }
        }
    }

    /// How requests ended.
    public enum Ending: Sendable {
        case answered(id: String, answer: String, StoredRequest.Timings)
        case failed(id: String, error: String)
    }

    /// Commits endings together. When this returns, they survive a kill and a power cut.
    public func end(_ endings: [Ending], of run: Int64) throws {
        try write("commit answers") { db in
            for ending in endings {
                switch ending {
                case .answered(let id, let answer, let t):
                    try db.execute(
                        sql: """
                            UPDATE requests SET state = 'finished', answer = ?, error = NULL, queue_ms = ?, prefill_ms = ?,
                                decode_ms = ?, total_ms = ?, ttft_ms = ?, stages_ms = ?, prompt_tokens = ?,
                                output_tokens = ?, finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
                            WHERE run = ? AND id = ?
                            """,
                        arguments: [
                            answer, t.queueMs, t.prefillMs, t.decodeMs, t.totalMs, t.ttftMs, Self.text(t.stagesMs),
                            t.promptTokens, t.outputTokens, run, id,
                        ])
                case .failed(let id, let error):
                    try db.execute(
                        sql: """
                            UPDATE requests SET state = 'failed', answer = NULL, error = ?,
                                finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
                            WHERE run = ? AND id = ?
                            """, arguments: [error, run, id])
                }
                try Self.expectOne(db, "such request in run \(run)", url)
            }
        }
    }

    /// A run's request by its id, nil where it never began.
    public func request(_ id: String, of run: Int64) throws -> StoredRequest? {
        try read("read request \(id)") { db in
            try Row.fetchOne(db, sql: "SELECT * FROM requests WHERE run = ? AND id = ?", arguments: [run, id])
                .map(Self.request)
        }
    }

    static func request(_ row: Row) -> StoredRequest {
        var request = StoredRequest(
            id: row["id"], position: row["position"], inputHash: row["input_hash"],
            state: StoredRequest.State(rawValue: row["state"]) ?? .failed, attempts: row["attempts"],
            answer: row["answer"], error: row["error"], node: row["node"],
            timings: .init(
                queueMs: row["queue_ms"], prefillMs: row["prefill_ms"], decodeMs: row["decode_ms"],
                totalMs: row["total_ms"], ttftMs: row["ttft_ms"], stagesMs: numbers(row["stages_ms"]),
                promptTokens: row["prompt_tokens"], outputTokens: row["output_tokens"]))
        request.deaths = row["deaths"]
        request.deathsAlone = row["deaths_alone"]
        return request
    }

    private static func text(_ numbers: [Double]?) -> String? {
        numbers.map { $0.map { "\($0)" }.joined(separator: ",") }
    }

    private static func numbers(_ text: String?) -> [Double]? {
        text.map { $0.split(separator: ",").map { Double($0) ?? .nan } }
    }
}
