/// What ends a job of several processes. No request is to blame: what is not answered can be resumed.
public struct JobError: WordedError {
    public let wording: Wording
    /// Whose failure it is; nil where it is the whole job's.
    public let rank: Int?
    /// Whether that process was lost at work, so that what it worked on is suspect.
    public let lostAtWork: Bool

    init(_ wording: Wording, rank: Int? = nil, lostAtWork: Bool = false) {
        self.wording = wording
        self.rank = rank
        self.lostAtWork = lostAtWork
    }

    private static let resume = "what was answered is on the disk; run again with --resume"

    package static func died(_ rank: Int, _ place: JobPlace) -> JobError {
        JobError(
            Wording(place.name(of: rank), "its process died", advice: resume), rank: rank, lostAtWork: true)
    }

    static func silent(_ rank: Int, _ place: JobPlace, seconds: Double, timeout: Double) -> JobError {
        JobError(
            Wording(
                place.name(of: rank), "no sign of life",
                expected:
                    "one every \(shown(PeerWatch.interval)) s, and the job's end within \(shown(timeout)) s otherwise",
                got: "none for \(shown(seconds)) s: it is stopped, or cut off", advice: resume),
            rank: rank, lostAtWork: true)
    }

    static func lost(_ rank: Int, _ place: JobPlace, operation: String, reason: String) -> JobError {
        JobError(
            Wording(place.name(of: rank), "\(operation) failed: \(reason)", advice: resume), rank: rank,
            lostAtWork: true)
    }

    /// A call into MPI that does not come back.
    static func stuck(_ place: JobPlace, seconds: Double) -> JobError {
        JobError(
            Wording(
                place.name(of: place.rank), "a call into MPI has not come back for \(shown(seconds)) s", advice: resume),
            rank: place.rank, lostAtWork: true)
    }

    /// A process that ended with an error of its own.
    static func failed(_ rank: Int, _ place: JobPlace, _ wording: Wording) -> JobError {
        JobError(Wording(place.name(of: rank), "ended with an error: \(wording)", advice: nil), rank: rank)
    }

    static func ended(by signal: String) -> JobError {
        JobError(Wording("job", "it was told to end (\(signal))", advice: resume))
    }

    static func differs(_ rank: Int, _ place: JobPlace, field: String, expected: String, got: String) -> JobError {
        JobError(
            Wording(
                place.name(of: rank), "its \(field) is not rank 0's", expected: expected, got: got,
                advice: "give all ranks the same version, model and flags"), rank: rank)
    }

    static func notAMultiple(ranks: Int, stages: Int) -> JobError {
        JobError(
            Wording(
                "--stages \(stages)", "the job's ranks are no multiple of the stages",
                expected: "a multiple of \(stages)", got: "\(ranks)",
                advice: "launch it with: mpirun -np \(stages) …"))
    }

    /// More ranks than one prompt can keep busy.
    public static func tooManyPipelines(ranks: Int, stages: Int) -> JobError {
        JobError(
            Wording(
                "mpirun", "a single prompt takes one pipeline", expected: "\(stages) ranks", got: "\(ranks)",
                advice: "launch it with: mpirun -np \(stages) …"))
    }

    static func malformed(_ rank: Int, _ place: JobPlace, kind: String, what: String) -> JobError {
        JobError(
            Wording(
                place.name(of: rank), "it sent a malformed \(kind): \(what)", advice: "use the same build everywhere"),
            rank: rank)
    }

    static func late(_ rank: Int, _ place: JobPlace, waitedFor: String, seconds: Double) -> JobError {
        JobError(
            Wording(
                place.name(of: rank), "it did not come to \(waitedFor)", expected: "within \(shown(seconds)) s",
                advice: "look for what keeps it: a slow disk, too little memory"), rank: rank)
    }

    static func mpi(_ operation: String, _ reason: String) -> JobError {
        JobError(Wording("MPI", "\(operation) failed: \(reason)", advice: "look at mpirun's own messages"))
    }

    public static var notBuilt: JobError {
        JobError(
            Wording(
                "--transport mpi", "this build has no MPI",
                advice: "build with: swift build -c release --traits MPI"))
    }

    private static func shown(_ seconds: Double) -> String {
        let tenths = (seconds * 10).rounded() / 10
        return tenths == tenths.rounded() ? "\(Int(tenths))" : "\(tenths)"
    }
}
