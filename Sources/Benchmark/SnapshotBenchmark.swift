import Foundation
import QDashboard
import Reporting
import Runtime
import Synchronization

/// Answers recorded requests under a load, and measures: what `qbench run` does with one model.
public struct SnapshotBenchmark: Sendable {
    public var model: URL
    public var engine: EngineOptions
    public var chatTemplate: String?
    public var prompts: URL
    public var language: Language
    public var load: Load
    /// Requests answered before the clock starts, to fill caches and wake threads.
    public var warmup = 0

    public init(
        model: URL, engine: EngineOptions, chatTemplate: String?, prompts: URL, language: Language, load: Load
    ) {
        self.model = model
        self.engine = engine
        self.chatTemplate = chatTemplate
        self.prompts = prompts
        self.language = language
        self.load = load
    }

    /// What was measured.
    public struct Measured: Sendable {
        public let checkpoint: Checkpoint
        public let modelDigest: String
        public let kernelSet: String
        public let threadsPerStage: Int
        public let startedAt: Date
        public let wallSeconds: Double
        /// In the requests' order.
        public let outcomes: [SnapshotRun.Outcome]
        public let stages: [Runtime.StageUsage]
        /// Of the whole process, in bytes.
        public let peakMemory: Int?
        public let noise: Double?

        var answered: [(answer: AnswerRecord, completion: Completion)] {
            outcomes.compactMap { outcome in (try? outcome.result.get()).map { ($0.answer, $0.completion) } }
        }
    }

    /// - Parameter progress: called with the number of answers so far, on the engine's thread.
    /// - Throws: `CheckpointError`, `PromptError`, `EngineError`, …
    public func run(
        _ requests: [AnalysisRequest], trace: Trace? = nil, progress: @escaping @Sendable (Int) -> Void = { _ in }
    ) throws -> Measured {
        let checkpoint = try Checkpoint(directory: model)
        let digest = try checkpoint.digest()
        let prompt = try PromptLibrary(directory: prompts).analysis(language: language)
            .prepared(for: ChatTemplate(directory: model, override: chatTemplate))
        let runner = try Engine(checkpoint, tokenizer: Tokenizer(directory: model), options: engine, trace: trace)
        defer { runner.stop() }
        let run = SnapshotRun(engine: runner, prompt: prompt, modelDigest: digest, nodeID: "qubic-node-001")
        if warmup > 0 {
            var first = requests.prefix(warmup).makeIterator()
            try run.run(inFlight: warmup, next: { _ in first.next() }, finished: { _ in })
            runner.resetUsage()
        }
        let noise = MachineNoise.measure()
        let outcomes = Mutex<[SnapshotRun.Outcome]>([])
        let startedAt = Date()
        let arrivals = load.arrivals(requests)
        let answered = arrivals.answered
        try run.run(
            inFlight: load.inFlight(of: requests.count), traced: trace != nil, next: { _ in arrivals.next() },
            finished: { outcome in
                progress(
                    outcomes.withLock {
                        $0.append(outcome)
                        return $0.count
                    })
                answered()
            })
        let wallSeconds = Date().timeIntervalSince(startedAt)
        return Measured(
            checkpoint: checkpoint, modelDigest: digest, kernelSet: runner.kernelSet,
            threadsPerStage: runner.threadsPerStage, startedAt: startedAt, wallSeconds: wallSeconds,
            outcomes: outcomes.withLock { $0 }.sorted { $0.request.ordinal < $1.request.ordinal },
            stages: runner.usage, peakMemory: Benchmark.peakMemory(), noise: noise)
    }
}
