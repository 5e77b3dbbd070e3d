import Foundation
import Reporting
import Runtime
import Synchronization

/// A run's folder and its ledger (run.sqlite), the only truth that a resumed run builds on: results.jsonl and
/// timings.jsonl are written anew from it, in the input's order, so that they are what an undisturbed run would give.
///
/// An answer is in the ledger, on the disk, before it is in results.jsonl. Commits happen on a queue of their own, as
/// many answers together as came meanwhile: the engine never waits for the disk.
public final class RunLedger: Sendable {
    public static let fileName = "run.sqlite"

    /// What the ledger knows of a request.
    enum Past {
        case unknown
        case answered(AnswerRecord, TimingRecord)
        /// The process died while it worked on this, among others.
        case suspect
        case quarantined(deaths: Int)
    }

    public let files: RunOutput
    public let store: RunStore
    /// The run's number in the store.
    public let run: Int64
    private let resumes: Bool
    private let commits = DispatchQueue(label: "ledger")
    private let pending = Mutex<[SnapshotRun.Outcome]>([])
    private let failure = Mutex<(any Error)?>(nil)
    private let tally = Mutex(Tally())

    /// What this process has had in hand. Answers that were there already do not count.
    struct Tally: Sendable {
        var begun = 0
        var answered = 0
        var timedOut = 0
        var failed = 0
        var tokens = 0
        var waiting: Int { begun - answered - failed }
    }

    var currentTally: Tally { tally.withLock { $0 } }

    /// Opens the folder; with `.resume`, where there is nothing yet, begins anew.
    ///
    /// Throws `OutputError` and `ReportingError`; nothing that is there is touched then.
    public init(
        directory: URL, existing: RunOutput.Existing, configuration: AnswerConfiguration
    ) throws {
        let url = directory.appending(path: Self.fileName)
        let isThere = FileManager.default.fileExists(atPath: url.path)
        var resumed: Int64?
        switch existing {
        case .refuse:
            if isThere { throw OutputError.exists(path: url.path) }
        case .overwrite: break
        case .resume:
            let results = directory.appending(path: "results.jsonl").path
            if isThere {
                resumed = try Self.check(url, configuration)
            } else if FileManager.default.fileExists(atPath: results) {
                throw OutputError.noLedger(path: url.path)
            }
        }
        // This takes the folder's lock.
        files = try RunOutput(directory: directory, existing: existing == .resume ? .overwrite : existing)
        // What spoke for an earlier state of the answers.
        for name in [RunRecord.fileName, RunRecord.proofsName, NodeMonitor.fileName] {
            try Self.remove(directory.appending(path: name).path)
        }
        if existing == .overwrite {
            for suffix in ["", "-wal", "-shm"] { try Self.remove(url.path + suffix) }
        }
        store = try RunStore(url)
        if let resumed {
            try store.reopenRun(resumed)
            run = resumed
        } else {
            run = try store.beginRun(
                configurationDigest: configuration.digest,
                description: String(decoding: configuration.json.serialized(indent: nil), as: UTF8.self))
        }
        resumes = resumed != nil
    }

    private static func remove(_ path: String) throws {
        guard unlink(path) == 0 || errno == ENOENT else { throw LineLog.failure(path, "unlink") }
    }

    /// The number of the run to go on with; nil where a kill came before there was one.
    private static func check(_ url: URL, _ configuration: AnswerConfiguration) throws -> Int64? {
        guard let last = try RunStore(url).runs().last else { return nil }
        guard last.configurationDigest != configuration.digest else { return last.id }
        let description = try? JSONValue(parsing: Data(last.description.utf8), place: url.path)
        let theirs = description.flatMap(AnswerConfiguration.init)
        let difference = theirs.flatMap { configuration.difference(from: $0) }
        throw OutputError.differentRun(
            path: url.path, what: difference?.what ?? "configuration",
            expected: difference?.mine ?? configuration.digest, got: difference?.theirs ?? last.configurationDigest)
    }

    func past(of request: AnalysisRequest) throws -> Past {
        guard resumes, let row = try store.request(request.id, of: run), row.inputHash == request.inputDigest else {
            return .unknown
        }
        switch row.state {
        case .quarantined: return .quarantined(deaths: row.deaths)
        case .finished:
            guard let text = row.answer, let value = try? JSONValue(parsing: Data(text.utf8), place: ""),
                let answer = AnswerRecord(value), answer.id == request.id
            else {
                throw OutputError.corrupt(
                    path: store.url.path, line: request.ordinal, problem: "the answer to \(request.id) is no answer")
            }
            return .answered(answer, TimingRecord(id: request.id, row.timings))
        default: return row.deaths > 0 ? .suspect : .unknown
        }
    }

    /// Marks a request before work on it begins. Throws also what went wrong with earlier answers.
    func begin(_ request: AnalysisRequest, on node: String, alone: Bool) throws {
        // The answer to the one before is committed first: this one is alone then.
        if alone { commits.sync {} }
        if let error = failure.withLock({ $0 }) { throw error }
        guard let digest = request.inputDigest else { preconditionFailure("a run's reader digests its input") }
        let row = StoredRequest(id: request.id, position: request.ordinal, inputHash: digest, node: node)
        try store.begin([row], of: run, alone: alone)
        tally.withLock { $0.begun += 1 }
    }

    /// Takes an outcome, to be committed and written as soon as may be.
    func end(_ outcome: SnapshotRun.Outcome, committed: @escaping @Sendable (RunOutput.Counts) -> Void) {
        tally.withLock { tally in
            switch outcome.result {
            case .success(let (answer, _, completion)):
                tally.answered += 1
                tally.timedOut += completion.timedOut ? 1 : 0
                tally.tokens += answer.promptTokens + answer.outputTokens
            case .failure: tally.failed += 1
            }
        }
        pending.withLock { $0.append(outcome) }
        commits.async { [self] in
            let outcomes = pending.withLock { outcomes in
                defer { outcomes = [] }
                return outcomes
            }
            guard !outcomes.isEmpty, failure.withLock({ $0 == nil }) else { return }
            do {
                try store.end(outcomes.map(Self.ending), of: run)
                for outcome in outcomes { try write(outcome) }
                committed(files.counts)
            } catch {
                failure.withLock { $0 = $0 ?? error }
            }
        }
    }

    /// Waits until all that ended is committed.
    func settle() throws {
        commits.sync {}
        if let error = failure.withLock({ $0 }) { throw error }
    }

    /// Ends the run: everything is on the disk then.
    func finish() throws -> RunOutput.Counts {
        try settle()
        let counts = try files.close()
        try store.endRun(run, .finished)
        return counts
    }

    /// Ends it after an error.
    /// - Parameter suspecting: what was at work is to be tried alone when the run is taken up again.
    func abandon(suspecting: Bool = false) {
        commits.sync {}
        // Left as a process leaves it that dies.
        if suspecting { return }
        // The error that ended the run is the one to report, not that of a full disk's ledger.
        try? store.endRun(run, .failed)
    }

    private static func ending(_ outcome: SnapshotRun.Outcome) throws -> RunStore.Ending {
        switch outcome.result {
        case .success(let (answer, timing, _)):
            .answered(
                id: answer.id, answer: String(decoding: try answer.json().serialized(indent: nil), as: UTF8.self),
                timing.stored(answer))
        case .failure(let error): .failed(id: outcome.request.id, error: "\(error)")
        }
    }

    private func write(_ outcome: SnapshotRun.Outcome) throws {
        switch outcome.result {
        case .success(let (answer, timing, _)):
            try files.submit(answer, timing: timing, at: outcome.request.ordinal)
        case .failure(let error): try reject(outcome.request, reason: "\(error)")
        }
    }

    func reject(_ request: AnalysisRequest, reason: String) throws {
        try files.reject(
            RejectedRecord(file: request.origin.file, line: request.origin.line, reason: reason), at: request.ordinal)
    }
}

extension TimingRecord {
    fileprivate func stored(_ answer: AnswerRecord) -> StoredRequest.Timings {
        StoredRequest.Timings(
            queueMs: queue.known, prefillMs: prefill.known, decodeMs: decode.known, totalMs: total.known,
            ttftMs: timeToFirstToken.known, stagesMs: stages, promptTokens: answer.promptTokens,
            outputTokens: answer.outputTokens)
    }

    fileprivate init(id: String, _ timings: StoredRequest.Timings) {
        self.init(
            id: id, queue: timings.queueMs ?? .nan, prefill: timings.prefillMs ?? .nan,
            decode: timings.decodeMs ?? .nan, total: timings.totalMs ?? .nan, timeToFirstToken: timings.ttftMs ?? .nan,
            stages: timings.stagesMs ?? [])
    }
}

extension Double {
    /// Nil where there is no number, such as the times of a cached answer.
    fileprivate var known: Double? { isNaN ? nil : self }
}
