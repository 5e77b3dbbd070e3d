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
    /// SHA-256 over the record's canonical JSON (see `JSONValue.canonicalJSON`), envelope included. Nil where the reader
    /// was not asked for it.
    public let inputDigest: String?
    /// What is asked, and in which language; nil where the record leaves that to the run.
    public let task: AnswerTask?
    public let language: Language?
    /// What was computed of the recording up to this moment, where it was.
    public let facts: Facts?
    public let news: [NewsItem]
    public let question: String?

    /// Where a record stood.
    public struct Origin: Sendable, Equatable {
        /// As the file was named to the reader.
        public let file: String
        /// From 1; 0 for the file as a whole.
        public let line: Int

        public init(file: String, line: Int) { (self.file, self.line) = (file, line) }
    }

    public init(
        id: String, ordinal: Int, snapshot: Snapshot, origin: Origin, inputDigest: String?, task: AnswerTask? = nil,
        language: Language? = nil, facts: Facts? = nil, news: [NewsItem] = [], question: String? = nil
    ) {
        self.id = id
        self.ordinal = ordinal
        self.snapshot = snapshot
        self.origin = origin
        self.inputDigest = inputDigest
        self.task = task
        self.language = language
        self.facts = facts
        self.news = news
        self.question = question
    }

    /// All that a prompt may say: the snapshot, what was computed up to its moment (which stands where both say
    /// something), health, news and the question.
    public var allFacts: Facts {
        var all = Facts(snapshot)
        if let facts { all.merge(facts) }
        all = all.assessed
        let newest = news.sorted { ($0.at ?? .distantPast) < ($1.at ?? .distantPast) }.suffix(NewsItem.most)
        if !newest.isEmpty { all["newsList"] = .lines(newest.map(\.line)) }
        if let question { all["question"] = .lines([Quoting.promptData(question, limit: FactStyle.questionLimit)]) }
        return all
    }
}
