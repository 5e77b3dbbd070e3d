import Foundation
import Runtime
import Synchronization

/// A batch's output file, appended to from any thread.
final class BatchLog: Sendable {
    private struct State {
        let log: LineLog
        var counts = BatchRun.Counts()
        var failure: (any Error)?
    }

    private let state: Mutex<State>
    /// Lines of the input that an earlier run has done, with their custom_id.
    let done: [Int: String?]

    /// - Throws: `OutputError`.
    init(_ url: URL, existing: RunOutput.Existing, fingerprint: String) throws {
        let opening: LineLog.Opening =
            switch existing {
            case .refuse: .new
            case .overwrite: .empty
            case .resume: .keep
            }
        let log = try LineLog(path: url.path, opening)
        var done: [Int: String?] = [:]
        var counts = BatchRun.Counts()
        if existing == .resume {
            var whole = 0
            var other: String?
            try log.readBack { value, end in
                guard let id = value["id"]?.string, id.hasPrefix("batch_req_"), let line = Int(id.dropFirst(10)),
                    let status = value["response"]?["status_code"]?.int
                else { return false }
                let theirs = value["response"]?["body"]?["system_fingerprint"]?.string
                if let theirs, theirs != fingerprint { other = theirs }
                done[line] = .some(value["custom_id"]?.string)
                counts.resumed += 1
                if status == 200 { counts.answered += 1 } else { counts.failed += 1 }
                whole = end
                return true
            }
            if let other {
                throw OutputError.differentRun(
                    path: url.path, what: "model or options (system_fingerprint)", expected: fingerprint, got: other)
            }
            try log.cut(to: whole)
        }
        self.done = done
        state = Mutex(State(log: log, counts: counts))
    }

    var counts: BatchRun.Counts { state.withLock { $0.counts } }

    /// Throws what went wrong with any line so far.
    func check() throws { if let error = state.withLock({ $0.failure }) { throw error } }

    func append(_ value: JSONValue, line: Int, failed: Bool) throws {
        try state.withLock { state in
            if let error = state.failure { throw error }
            try state.log.append(value)
            if failed { state.counts.failed += 1 } else { state.counts.answered += 1 }
        }
    }

    /// As `append`, for the engine's thread: what goes wrong is thrown by the next `check`.
    func record(_ value: JSONValue, line: Int, failed: Bool, _ progress: @Sendable (BatchRun.Counts) -> Void) {
        do {
            try append(value, line: line, failed: failed)
            progress(counts)
        } catch {
            state.withLock { $0.failure = $0.failure ?? error }
        }
    }

    func finish() throws -> BatchRun.Counts {
        try check()
        return try state.withLock { state in
            try state.log.synchronize()
            return state.counts
        }
    }
}
