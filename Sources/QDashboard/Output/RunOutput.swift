import Foundation
import Runtime
import Synchronization

/// The folder of a run: results.jsonl, timings.jsonl and rejected.jsonl, in input order though answers come in any order.
///
/// An answer is written as soon as all before it are; until then it is held. Each written answer survives the death of the
/// process: its timing goes out before it, so that every line of results.jsonl has its timing, and `resume` cuts off what
/// was torn. The files are written in place, not renamed at the end, because a run must be resumable.
public final class RunOutput: Sendable {
    public enum Existing: Sendable {
        /// Results that are there already are an error.
        case refuse
        case overwrite
        /// Answers that are there already are kept.
        case resume
    }

    public struct Counts: Sendable, Equatable {
        /// Answers in results.jsonl, resumed ones included.
        public var answers: Int
        public var rejected: Int

        public init(answers: Int = 0, rejected: Int = 0) { (self.answers, self.rejected) = (answers, rejected) }
    }

    public let directory: URL
    /// The ids that results.jsonl held at the start, in its order. The run passes them to `skip` when they come up.
    public let resumedIDs: [String]

    private enum Entry: Sendable {
        case answer(AnswerRecord, TimingRecord)
        case rejected(RejectedRecord)
        case skipped
    }

    private struct State {
        let results: LineLog
        let timings: LineLog
        let rejections: LineLog
        var counts = Counts()
        /// The place that is written next.
        var next = 0
        /// What came before its turn.
        var waiting: [Int: Entry] = [:]
        /// Records of the input that were rejected before the request of that place.
        var rejectedBefore: [Int: [RejectedRecord]] = [:]
        var failure: OutputError?
        var closed = false
    }

    private let state: Mutex<State>

    /// Makes the folder where it is not there. With `resume`, answers of a run with another model, prompt or node are
    /// refused.
    ///
    /// Throws `OutputError`.
    public init(
        directory: URL, existing: Existing, modelDigest: String? = nil, promptDigest: String? = nil,
        nodeID: String? = nil
    ) throws {
        self.directory = directory
        try Self.makeDirectory(directory)
        func path(_ name: String) -> String { directory.appending(path: name).path }
        let opening: LineLog.Opening
        switch existing {
        case .refuse: opening = .new
        case .overwrite: opening = .empty
        case .resume: opening = .keep
        }
        if existing == .refuse {
            // Before anything is made: a refusal leaves the folder as it was.
            for name in Self.fileNames where FileManager.default.fileExists(atPath: path(name)) {
                throw OutputError.exists(path: path(name))
            }
        }
        let results = try LineLog(path: path("results.jsonl"), opening)
        let timings = try LineLog(path: path("timings.jsonl"), opening)
        // Reading the input again rejects the same records again.
        let rejections = try LineLog(path: path("rejected.jsonl"), existing == .refuse ? .new : .empty)
        var ids: [String] = []
        if existing == .resume {
            let expected = [("model", modelDigest), ("prompt", promptDigest), ("node", nodeID)]
            ids = try Self.recover(results, timings, expected)
        }
        resumedIDs = ids
        state = Mutex(
            State(
                results: results, timings: timings, rejections: rejections, counts: Counts(answers: ids.count)))
    }

    public static let fileNames = ["results.jsonl", "timings.jsonl", "rejected.jsonl"]

    /// Answers the request of that place (`AnalysisRequest.ordinal`).
    public func submit(_ answer: AnswerRecord, timing: TimingRecord, at ordinal: Int) throws {
        try put(.answer(answer, timing), at: ordinal, id: answer.id)
    }

    /// The request of that place cannot be answered, e.g. because it is longer than the context.
    public func reject(_ record: RejectedRecord, at ordinal: Int) throws {
        try put(.rejected(record), at: ordinal, id: "\(record.file):\(record.line)")
    }

    /// The request of that place was answered in the run that is resumed.
    public func skip(_ ordinal: Int) throws { try put(.skipped, at: ordinal, id: "\(ordinal)") }

    /// A record that is no request; `ordinal` is that of the next request (`RequestReader.accepted`).
    public func reject(_ record: RejectedRecord, before ordinal: Int) throws {
        try state.withLock { state in
            try Self.check(state, directory)
            guard ordinal > state.next else { return try Self.write(.rejected(record), &state) }
            state.rejectedBefore[ordinal, default: []].append(record)
        }
    }

    /// Answers that wait for an earlier one. A run that never lets this grow without bound has bounded memory.
    public var waiting: Int { state.withLock { $0.waiting.count } }

    public var counts: Counts { state.withLock { $0.counts } }

    /// Ends the run: everything is on the disk then. Throws `OutputError.missingAnswer` where a place stayed empty while
    /// later ones were filled.
    @discardableResult
    public func close() throws -> Counts {
        try state.withLock { state in
            try Self.check(state, directory)
            guard state.waiting.isEmpty else {
                throw OutputError.missingAnswer(ordinal: state.next, waiting: state.waiting.count)
            }
            for ordinal in state.rejectedBefore.keys.sorted() {
                for record in state.rejectedBefore[ordinal] ?? [] { try Self.write(.rejected(record), &state) }
            }
            state.rejectedBefore = [:]
            for log in [state.timings, state.results, state.rejections] { try log.synchronize() }
            state.closed = true
            return state.counts
        }
    }

    private func put(_ entry: Entry, at ordinal: Int, id: String) throws {
        try state.withLock { state in
            try Self.check(state, directory)
            // A bad number is this caller's, and must not come up when another one's answer is written.
            if case .answer(let answer, _) = entry { _ = try answer.json() }
            guard ordinal >= state.next, state.waiting.updateValue(entry, forKey: ordinal) == nil else {
                throw OutputError.ordinalTaken(id: id, ordinal: ordinal)
            }
            try Self.drain(&state)
        }
    }

    private static func check(_ state: borrowing State, _ directory: URL) throws {
        if let failure = state.failure { throw failure }
        if state.closed { throw OutputError.closed(path: directory.path) }
    }

    private static func drain(_ state: inout State) throws {
        while true {
            for record in state.rejectedBefore.removeValue(forKey: state.next) ?? [] {
                try write(.rejected(record), &state)
            }
            guard let entry = state.waiting.removeValue(forKey: state.next) else { return }
            try write(entry, &state)
            state.next += 1
        }
    }

    /// A failed write ends the run for all: an answer that is left out would shift all later ones.
    private static func write(_ entry: Entry, _ state: inout State) throws {
        do {
            switch entry {
            case .answer(let answer, let timing):
                try state.timings.append(timing.json)
                try state.results.append(try answer.json())
                state.counts.answers += 1
            case .rejected(let record):
                try state.rejections.append(record.json)
                state.counts.rejected += 1
            case .skipped: break
            }
        } catch let error as OutputError {
            state.failure = error
            throw error
        }
    }

    /// Cuts both files to the answers that are whole in both, and returns their ids.
    private static func recover(
        _ results: LineLog, _ timings: LineLog, _ expected: [(what: String, value: String?)]
    ) throws -> [String] {
        var ids: [String] = []
        var ends: [Int] = []
        var other: OutputError?
        try results.readBack { value, end in
            guard let answer = AnswerRecord(value) else { return false }
            for (wanted, got) in zip(expected, [answer.modelDigest, answer.promptDigest, answer.nodeID]) {
                guard other == nil, let value = wanted.value, value != got else { continue }
                other = .differentRun(path: results.path, what: wanted.what, expected: value, got: got)
            }
            ids.append(answer.id)
            ends.append(end)
            return true
        }
        if let other { throw other }
        var timed = 0
        var timedEnd = 0
        var theirs = true
        try timings.readBack { value, end in
            guard let timing = TimingRecord(value) else { return false }
            theirs = theirs && timed < ids.count && timing.id == ids[timed]
            if theirs { (timed, timedEnd) = (timed + 1, end) }
            return true
        }
        try results.cut(to: timed == 0 ? 0 : ends[timed - 1])
        try timings.cut(to: timedEnd)
        return Array(ids.prefix(timed))
    }

    private static func makeDirectory(_ directory: URL) throws {
        var isDirectory: ObjCBool = false
        if FileManager.default.fileExists(atPath: directory.path, isDirectory: &isDirectory) {
            guard isDirectory.boolValue else { throw OutputError.notADirectory(path: directory.path) }
            return
        }
        do {
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        } catch {
            throw OutputError.failed(
                path: directory.path, operation: "mkdir", code: (error as? CocoaError)?.underlyingCode ?? EIO,
                message: error.localizedDescription)
        }
    }
}

extension CocoaError {
    fileprivate var underlyingCode: Int32? { (underlying as? POSIXError).map { Int32($0.code.rawValue) } }
}
