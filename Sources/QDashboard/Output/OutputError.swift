import Runtime

/// Why results cannot be written.
public enum OutputError: WordedError, Equatable {
    case exists(path: String)
    case notADirectory(path: String)
    case inUse(path: String)
    /// `code` is errno, `message` the system's words for it.
    case failed(path: String, operation: String, code: Int32, message: String)
    /// A file to be resumed holds something else than whole records, from `line` on.
    case corrupt(path: String, line: Int, problem: String)
    /// The answers to be resumed come from another run.
    case differentRun(path: String, what: String, expected: String, got: String)
    case notANumber(id: String, what: String, value: String)
    /// One place of the results was filled twice, which no correct run does.
    case ordinalTaken(id: String, ordinal: Int)
    /// At the end of a run, answers wait for an earlier one that never came.
    case missingAnswer(ordinal: Int, waiting: Int)
    case closed(path: String)
    /// Answers without the ledger that they would be resumed from.
    case noLedger(path: String)

    public var wording: Wording {
        switch self {
        case .exists(let path):
            Wording(path, "already exists", advice: "choose another folder, --resume the run, or --force to overwrite")
        case .notADirectory(let path): Wording(path, "is not a directory", advice: "choose another folder")
        case .inUse(let path):
            Wording(path, "another run is writing to it", advice: "wait for it or choose another folder")
        case .failed(let path, let operation, let code, let message):
            Wording(
                path, "\(operation) failed: \(message) (errno \(code))",
                advice: "what was written so far can be resumed")
        case .corrupt(let path, let line, let problem):
            Wording("\(path), line \(line)", problem, advice: "--force begins the run again")
        case .differentRun(let path, let what, let expected, let got):
            Wording(
                path, "the answers to be resumed were made with another \(what)", expected: expected, got: got,
                advice: "choose another folder, or --force to overwrite")
        case .notANumber(let id, let what, let value): Wording("answer \(id)", "the \(what) is \(value)")
        case .ordinalTaken(let id, let ordinal):
            Wording("answer \(id)", "place \(ordinal) of the results is taken already")
        case .missingAnswer(let ordinal, let waiting):
            Wording("results", "answer \(ordinal) never came", got: "\(waiting) later answers that wait for it")
        case .noLedger(let path):
            Wording(
                path, "there are results, but not the ledger that a run is resumed from",
                advice: "put it back, choose another folder, or --force to begin again")
        case .closed(let path): Wording(path, "the run's output is closed already")
        }
    }
}
