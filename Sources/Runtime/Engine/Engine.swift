import Foundation
import Synchronization

/// How the engine is set up.
public struct EngineOptions: Sendable {
    public var stages = 3
    /// Threads of each stage; nil divides the cores among the stages.
    public var threadsPerStage: Int?
    public var precision = ComputePrecision.auto
    public var cachePrecision = CachePrecision.fp32
    /// Bytes for keys and values, over all stages.
    public var cacheBytes = 2 << 30
    /// Requests at work at once; others wait in a queue.
    public var concurrency = 128
    /// Rows in one batch.
    public var rowsPerBatch = 512
    /// Positions a sequence may have; nil takes the model's own limit.
    public var context: Int?
    /// The kernel set by name; nil takes QUBIC_KERNELS or the fastest.
    public var kernels: String?
    /// Tokens guessed ahead by prompt lookup and checked in one step; 0 guesses none. Answers are the same either way.
    public var draftTokens = 0
    /// The machines, one a stage, that the layers are divided for; empty for equal ones without a limit.
    public var nodes: [PipelineNode] = []
    /// Each stage is a process of its own: then the first one also reads, schedules and writes, and has fewer layers for it.
    public var stagesAreNodes = false
    /// The mean request that the stages are balanced for.
    public var workload = Workload()

    public init() {}
}

/// A model, split over stages, that answers requests.
public final class Engine: Answering {
    public let model: ModelConfiguration
    public let tokenizer: Tokenizer?
    public let partition: Partition
    public let options: EngineOptions
    public var kernelSet: String { kernels.name }
    public let kernels: KernelSet
    public let threadsPerStage: Int
    /// Rows of a prompt that are computed at once, with one reading of the weights.
    public var promptRows: Int { PageTable.chunk }
    /// Positions that one sequence may have.
    public let context: Int

    private let stages: StageSet
    private let transport: any Transport
    private let scheduler: Scheduler
    private let running: Threads
    private let capacity: Int
    private let grammars: Grammars

    /// Loads each stage's share of the checkpoint and starts the stages.
    /// - Parameter tokenizer: nil for callers that bring tokens and want tokens.
    /// - Throws: `CheckpointError`, `QuantizationError`, `EngineError`, `KernelError`.
    public convenience init(
        _ checkpoint: Checkpoint, tokenizer: Tokenizer?, options: EngineOptions, trace: Trace? = nil
    ) throws {
        try self.init(checkpoint, tokenizer: tokenizer, options: options, observer: trace)
    }

    /// The beginning of a pipeline whose other stages run in the job's other processes.
    /// - Throws: as above.
    public convenience init(
        _ checkpoint: Checkpoint, tokenizer: Tokenizer?, options: EngineOptions, pipeline: JobPipeline
    ) throws {
        try self.init(
            checkpoint, tokenizer: tokenizer, options: options, observer: nil, transport: pipeline.transport,
            sharing: pipeline.sharing)
    }

    package convenience init(
        _ checkpoint: Checkpoint, tokenizer: Tokenizer?, options: EngineOptions, observer: (any EngineObserver)?
    ) throws {
        try Self.validate(options)
        try self.init(
            checkpoint, tokenizer: tokenizer, options: options, observer: observer,
            transport: ThreadTransport(stages: options.stages), sharing: 1)
    }

    init(
        _ checkpoint: Checkpoint, tokenizer: Tokenizer?, options: EngineOptions, observer: (any EngineObserver)?,
        transport: any Transport, sharing: Int
    ) throws {
        try Self.validate(options)
        // A tensor that nobody reads may change what the others mean: weight_g_idx, the order of their columns.
        try checkpoint.validate()
        model = checkpoint.configuration
        self.tokenizer = tokenizer
        self.options = options
        self.transport = transport
        kernels = try KernelSet.select(options.kernels)
        partition = try Partition(ModelOutline(checkpoint), options: options)
        context = min(options.context ?? model.contextLength, model.contextLength)
        let pages = try StageSet.pages(model, options)
        capacity = pages * KVCache.pagePositions
        grammars = Grammars(tokenizer, model)
        let scheduler = Scheduler(
            tokenizer: tokenizer, hidden: model.hidden, pages: pages,
            sequenceLimits: SequenceState.Limits(
                context: context, endTokens: Set(model.eosTokens), drafts: options.draftTokens),
            limits: Scheduler.Limits(
                sequences: options.concurrency, rows: options.rowsPerBatch, batches: transport.batches),
            observer: observer, send: { transport.enter($0) })
        self.scheduler = scheduler
        stages = try StageSet(
            checkpoint, partition: partition, options: options, kernels: kernels, observer: observer,
            transport: transport, sharing: sharing)
        threadsPerStage = stages.threads
        transport.connect(
            returned: { scheduler.inbox.send(.computed($0)) }, broken: { scheduler.inbox.send(.broken($0)) })
        running = Threads(count: 1)
        stages.start()
        scheduler.start(onExit: running.oneEnded)
    }

    deinit { stop() }

    /// Ends all threads; requests that are not answered yet fail with `EngineError.stopped`.
    public func stop() {
        scheduler.inbox.send(.stop)
        transport.close()
        stages.wait()
        running.wait()
    }

    /// Queues a request; `completion` is called on the scheduler's thread and must not block.
    /// - Throws: `EngineError` where the request cannot be answered by this engine at all.
    public func submit(
        _ request: Request, completion: @escaping @Sendable (Result<Completion, any Error>) -> Void
    ) throws {
        let arrival = monotonicSeconds()
        try request.sampling.validate()
        if let alternatives = request.logProbabilities, !(0...20).contains(alternatives) {
            throw EngineError.invalidOption(name: "--logprobs", expected: "0…20", got: "\(alternatives)")
        }
        let program = try CompiledStep.compile(
            request, tokenizer, vocabulary: model.vocabulary, grammars: grammars)
        // A text at the end may be cut short by the end of the context; everything before it must fit.
        let given = program.dropLast().reduce(0) { $0 + $1.mostTokens } + (program.last?.fewestTokens ?? 0)
        guard given <= context else {
            let prompt = program.reduce(0) { $0 + $1.givenTokens }
            throw EngineError.promptTooLong(
                request: request.id, tokens: prompt, output: given - prompt, context: context)
        }
        let positions = min(program.reduce(0) { $0 + $1.mostTokens }, context)
        guard positions <= capacity else {
            throw EngineError.exceedsCache(request: request.id, positions: positions, capacity: capacity)
        }
        scheduler.inbox.send(
            .submit(
                Scheduler.Submission(request: request, program: program, arrival: arrival, completion: completion)))
    }

    /// Answers a request.
    public func run(_ request: Request) async throws -> Completion {
        try await withCheckedThrowingContinuation { continuation in
            do {
                try submit(request) { continuation.resume(with: $0) }
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }

    /// Answers a request; the calling thread waits.
    public func answer(_ request: Request) throws -> Completion {
        let done = DispatchSemaphore(value: 0)
        let outcome = Once<Result<Completion, any Error>>()
        try submit(request) {
            outcome.set($0)
            done.signal()
        }
        done.wait()
        return try outcome.value!.get()
    }

    /// What each stage has done so far.
    public var usage: [StageUsage] { (stages.usage + transport.elsewhere).sorted { $0.stage < $1.stage } }

    /// Of the stages in this process alone.
    public var ownUsage: [StageUsage] { stages.usage }

    /// Begins to count the work of this process' stages anew, e.g. after a warm-up.
    public func resetUsage() { for stage in stages.stages { stage.resetUsage() } }

    static func validate(_ options: EngineOptions) throws {
        func atLeastOne(_ name: String, _ value: Int) throws {
            guard value >= 1 else {
                throw EngineError.invalidOption(name: name, expected: "at least 1", got: "\(value)")
            }
        }
        try atLeastOne("--stages", options.stages)
        if let threads = options.threadsPerStage { try atLeastOne("--threads", threads) }
        try atLeastOne("--batch", options.concurrency)
        try atLeastOne("--batch-rows", options.rowsPerBatch)
        guard (0...32).contains(options.draftTokens) else {
            throw EngineError.invalidOption(name: "--draft", expected: "0…32", got: "\(options.draftTokens)")
        }
        if let context = options.context { try atLeastOne("--context", context) }
    }
}
