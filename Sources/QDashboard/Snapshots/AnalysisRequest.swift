import Runtime

/// One thing to answer.
public struct AnalysisRequest: Sendable, Equatable {
    /// Unique in a run and the same in every run over the same files: the record's own id (`id`, `request_id`), else
    /// `<file name>:<line>`. Where two files have the same name, as much of their folders as tells them apart is added.
    public let id: String
    /// Position among the requests of the run, from 0: the place of its answer in results.jsonl.
    public let ordinal: Int
    public let snapshot: Snapshot
    public let origin: Origin
    /// SHA-256 over the record's canonical JSON (see `JSONValue.canonical`), envelope included.
    public let inputDigest: String

    /// Where a record stood.
    public struct Origin: Sendable, Equatable {
        /// As the file was named to the reader.
        public let file: String
        /// From 1; 0 for the file as a whole.
        public let line: Int

        public init(file: String, line: Int) { (self.file, self.line) = (file, line) }
    }

    public init(id: String, ordinal: Int, snapshot: Snapshot, origin: Origin, inputDigest: String) {
        self.id = id
        self.ordinal = ordinal
        self.snapshot = snapshot
        self.origin = origin
        self.inputDigest = inputDigest
    }
}
