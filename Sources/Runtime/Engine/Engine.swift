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
    /// The mean request that the stages are balanced for.
    public var workload = Workload()

    public init() {}
}

/// A model, split over stages, that answers requests.
public final class Engine: Sendable {
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

    private let stages: [Stage]
    private let links: [Channel<StageMessage>]
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

    package init(
        _ checkpoint: Checkpoint, tokenizer: Tokenizer?, options: EngineOptions, observer: (any EngineObserver)?
    ) throws {
        try Self.validate(options)
        model = checkpoint.configuration
        self.tokenizer = tokenizer
        self.options = options
        let kernels = try KernelSet.select(options.kernels)
        self.kernels = kernels
        partition = try Partition(ModelOutline(checkpoint), options: options)
        context = min(options.context ?? model.contextLength, model.contextLength)
        let pages = options.cacheBytes / KVCache.bytesPerPage(model, options.cachePrecision)
        capacity = pages * KVCache.pagePositions
        grammars = Grammars(tokenizer, model)
        guard pages >= 1 else {
            throw EngineError.invalidOption(
                name: "--cache-memory",
                expected: "at least \(KVCache.bytesPerPage(model, options.cachePrecision)) bytes",
                got: "\(options.cacheBytes)")
        }
        let cores = ProcessInfo.processInfo.activeProcessorCount
        let threads = options.threadsPerStage ?? max(1, cores / options.stages)
        threadsPerStage = threads
        // Where stages and threads outnumber the cores, a spinning worker would only be in a busy one's way.
        let spins = threads * options.stages > cores ? 50 : 20_000

        let count = options.stages
        let links = (0..<count).map { _ in Channel<StageMessage>(capacity: 2 * count) }
        let scheduler = Scheduler(
            tokenizer: tokenizer, hidden: model.hidden, pages: pages,
            sequenceLimits: SequenceState.Limits(
                context: context, endTokens: Set(model.eosTokens), drafts: options.draftTokens),
            limits: Scheduler.Limits(
                sequences: options.concurrency, rows: options.rowsPerBatch, batches: count == 1 ? 1 : count),
            observer: observer, send: { links[0].send($0) })
        self.links = links
        self.scheduler = scheduler
        stages = try partition.ranges.enumerated().map { [model] index, range in
            let compute = Compute(kernels: kernels, threads: threads, spins: spins)
            let weights = try DecoderWeights(
                checkpoint, range: range, precision: options.precision, compute: compute)
            let cache = try KVCache(
                layers: range.count, kvHeads: model.kvHeads, headDim: model.headDim,
                precision: options.cachePrecision, pages: pages)
            let decoder = Decoder(model, weights: weights, cache: cache, compute: compute)
            decoder.observer = observer
            return Stage(
                index: index, of: count, decoder: decoder, hidden: model.hidden, inbound: links[index],
                deliver: { message in
                    if index + 1 < count {
                        links[index + 1].send(message)
                    } else {
                        scheduler.inbox.send(.computed(message))
                    }
                })
        }
        running = Threads(count: count + 1)
        for stage in stages { stage.start(onExit: running.oneEnded) }
        scheduler.start(onExit: running.oneEnded)
    }

    deinit { stop() }

    /// Ends all threads; requests that are not answered yet fail with `EngineError.stopped`.
    public func stop() {
        scheduler.inbox.send(.stop)
        for link in links { link.close() }
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
            request, tokenizer, vocabulary: model.vocabulary, grammar: grammars.grammar)
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

    /// What each stage has done so far.
    public var usage: [StageUsage] { stages.map(\.currentUsage) }

    /// Begins to count the stages' work anew, e.g. after a warm-up.
    public func resetUsage() { for stage in stages { stage.resetUsage() } }

    private static func validate(_ options: EngineOptions) throws {
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

/// Counts threads out.
private final class Threads: Sendable {
    private let group: DispatchGroup

    init(count: Int) {
        group = DispatchGroup()
        for _ in 0..<count { group.enter() }
    }

    var oneEnded: @Sendable () -> Void { { [group] in group.leave() } }
    func wait() { group.wait() }
}
