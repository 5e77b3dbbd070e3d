/// What goes wrong with a trace file: HDF5's own failures, files that are none of ours, and calls out of order.
public enum TraceError: WordedError, Equatable {
    /// The output is there already and `force` was not given.
    case exists(path: String)
    /// The output cannot be made, put in place, or the input cannot be read; `reason` in the system's words.
    case file(path: String, problem: String, reason: String)
    /// An HDF5 call failed: what we were doing, where in the file, and the message of HDF5's innermost error.
    case hdf5(operation: String, place: String, message: String)
    /// The input is no trace of ours, or is damaged.
    case foreign(place: String, problem: String, expected: String?, got: String?)
    /// A request id that cannot be used: empty, begun twice, or never begun.
    case request(id: String, problem: String, advice: String?)
    /// Rows that do not follow the ones before, or have another width than the model.
    case rows(place: String, problem: String, expected: String, got: String)
    /// A call after `finish()`.
    case finished(path: String)

    /// The output's own failures in this area's type.
    static func wording<T>(_ body: () throws(FileWriteError) -> T) throws(TraceError) -> T {
        do {
            return try body()
        } catch .exists(let path) {
            throw .exists(path: path)
        } catch .isDirectory(let path) {
            throw .file(path: path, problem: "cannot be written", reason: "it is a directory")
        } catch {
            throw .file(path: error.wording.place, problem: "cannot be written", reason: error.wording.problem)
        }
    }

    public var wording: Wording {
        switch self {
        case .exists(let path):
            Wording(path, "output exists", advice: "choose another path, delete it, or pass --force")
        case .file(let path, let problem, let reason):
            Wording(path, problem, got: reason)
        case .hdf5(let operation, let place, let message):
            Wording(
                place, "HDF5 failed to \(operation)", got: message.isEmpty ? nil : message,
                advice: message.contains("No space left") ? "free space there, or trace at a lower level" : nil)
        case .foreign(let place, let problem, let expected, let got):
            Wording(place, problem, expected: expected, got: got, advice: "pass a file written by --trace")
        case .request(let id, let problem, let advice):
            Wording("trace request \"\(id)\"", problem, advice: advice)
        case .rows(let place, let problem, let expected, let got):
            Wording(place, problem, expected: expected, got: got)
        case .finished(let path):
            Wording(path, "the trace is finished; nothing can be added")
        }
    }
}
