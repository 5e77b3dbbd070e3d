import Runtime

/// What keeps a benchmark from being run.
public enum BenchmarkError: WordedError {
    /// A dataset's folder without recordings.
    case noRecordings(folder: String)
    /// A line of a file of labels.
    case badLabel(place: String, problem: String)

    public var wording: Wording {
        switch self {
        case .badLabel(let place, let problem):
            Wording(place, problem, expected: "a label with the id of its request", advice: "correct the file")
        case .noRecordings(let folder):
            Wording(
                folder, "holds no recordings", expected: "files named *.jsonl", got: "none",
                advice: "name a folder such as Datasets/recorded")
        }
    }
}
