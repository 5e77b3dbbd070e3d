import Foundation

/// What the ranks of a job work with; all are to be given the same.
public struct JobWork: Sendable {
    public let checkpoint: Checkpoint
    public private(set) var options: EngineOptions
    public let format: WireFormat

    public init(_ checkpoint: Checkpoint, options: EngineOptions, format: WireFormat) {
        self.checkpoint = checkpoint
        self.options = options
        self.options.stagesAreNodes = true
        self.format = format
    }

    /// Everything that must be alike for pages, positions and hidden states to mean the same everywhere.
    fileprivate func facts() throws -> [(name: String, value: String)] {
        [
            ("version", Toolkit.version), ("program (SHA-256)", try RunningProgram.digest()),
            ("model", try checkpoint.outlineDigest()), ("--wire", format.rawValue),
            ("--compute", options.precision.rawValue), ("--kv-cache", options.cachePrecision.rawValue),
            ("--cache-memory", "\(options.cacheBytes >> 20)"), ("--batch", "\(options.concurrency)"),
            ("--context", options.context.map(String.init) ?? "the model's"), ("--draft", "\(options.draftTokens)"),
            ("--node-speed", options.nodes.map { "\($0.speed)" }.joined(separator: ",")),
            ("--node-memory", options.nodes.map { $0.memoryBytes.map(String.init) ?? "any" }.joined(separator: ",")),
        ]
    }

    /// What a rank has of the model: its stage's weights, and where prompts are encoded the tokenizer.
    fileprivate func share(_ stage: Int) throws -> [(name: String, value: String)] {
        let partition = try Partition(ModelOutline(checkpoint), options: options)
        let weights = ("weights of stage \(stage + 1)", try checkpoint.shareDigest(stage: stage, of: partition))
        guard stage == 0 else { return [weights] }
        let file = checkpoint.directory.appending(path: "tokenizer.json")
        let tokenizer = FileManager.default.fileExists(atPath: file.path) ? try checkpoint.digest(of: file) : "none"
        return [weights, ("tokenizer", tokenizer)]
    }
}

extension Job {
    /// Rank 0: loads its share, makes sure that all ranks have the same, and begins.
    /// - Returns: its own pipeline's engine, and the other pipelines.
    /// - Throws: `JobError`, and what loading throws.
    public func lead(_ work: JobWork, tokenizer: Tokenizer?) throws -> (engine: Engine, others: [RemotePipeline]) {
        try agree(try work.facts())
        let pipeline = try JobPipeline(self, work.checkpoint, options: work.options, format: work.format)
        let engine = try Engine(work.checkpoint, tokenizer: tokenizer, options: work.options, pipeline: pipeline)
        let others = remotePipelines()
        // Each stage's share once, however many pipelines have it.
        var known: [Int: [(name: String, value: String)]] = [:]
        try ready(try work.share(0)) { [place] rank in
            let stage = rank % place.stages
            let share = try known[stage] ?? work.share(stage)
            known[stage] = share
            return share
        }
        return (engine, others)
    }

    /// Other ranks: loads the rank's share and works until rank 0 says that the work is done.
    /// - Throws: `JobError` where that is not how it ends, and what loading throws.
    public func assist(_ work: JobWork, tokenizer: (() throws -> Tokenizer)?) throws {
        try agree(try work.facts())
        let pipeline = try JobPipeline(self, work.checkpoint, options: work.options, format: work.format)
        guard place.isHead else {
            let worker = try StageWorker(self, work.checkpoint, options: work.options, pipeline: pipeline)
            try ready(try work.share(place.stage)) { _ in [] }
            return try worker.work()
        }
        let engine = try Engine(work.checkpoint, tokenizer: tokenizer?(), options: work.options, pipeline: pipeline)
        defer { engine.stop() }
        offer(engine)
        try ready(try work.share(0)) { _ in [] }
        try serve()
    }
}
