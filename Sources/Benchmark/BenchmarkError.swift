import Runtime

/// What keeps a benchmark from being run.
public enum BenchmarkError: WordedError {
    /// A dataset's folder without recordings.
    case noRecordings(folder: String)

    public var wording: Wording {
        switch self {
        case .noRecordings(let folder):
            Wording(
                folder, "holds no recordings", expected: "files named *.jsonl", got: "none",
                advice: "name a folder such as Datasets/recorded")
        }
    }
}
