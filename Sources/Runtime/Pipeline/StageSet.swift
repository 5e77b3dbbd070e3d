import Foundation

/// The stages that run in this process: their shares of the model, in memory and ready to start.
struct StageSet: Sendable {
    let stages: [Stage]
    /// Threads of each.
    let threads: Int
    private let running: Threads

    /// How the cache is cut up: the same on every stage, since page numbers travel with the batches.
    static func pages(_ model: ModelConfiguration, _ options: EngineOptions) throws -> Int {
        let pages = options.cacheBytes / KVCache.bytesPerPage(model, options.cachePrecision)
        guard pages >= 1 else {
            throw EngineError.invalidOption(
                name: "--cache-memory",
                expected: "at least \(KVCache.bytesPerPage(model, options.cachePrecision)) bytes",
                got: "\(options.cacheBytes)")
        }
        return pages
    }

    /// Loads the transport's stages, and no other tensor of the checkpoint.
    /// - Parameter sharing: pipeline processes on this machine, which divide its cores.
    /// - Throws: `CheckpointError`, `QuantizationError`, `EngineError`.
    init(
        _ checkpoint: Checkpoint, partition: Partition, options: EngineOptions, kernels: KernelSet,
        observer: (any EngineObserver)?, transport: any Transport, sharing: Int = 1
    ) throws {
        let model = checkpoint.configuration
        let pages = try Self.pages(model, options)
        let cores = ProcessInfo.processInfo.activeProcessorCount
        let atWork = transport.stages.count * sharing
        let threads = options.threadsPerStage ?? max(1, cores / atWork)
        self.threads = threads
        // Where stages and threads outnumber the cores, a spinning worker would only be in a busy one's way.
        let spins = threads * atWork > cores ? 50 : 20_000
        stages = try transport.stages.map { index in
            let range = partition.ranges[index]
            let compute = Compute(kernels: kernels, threads: threads, spins: spins)
            let weights = try DecoderWeights(checkpoint, range: range, precision: options.precision, compute: compute)
            let cache = try KVCache(
                layers: range.count, kvHeads: model.kvHeads, headDim: model.headDim,
                precision: options.cachePrecision, pages: pages)
            let decoder = Decoder(model, weights: weights, cache: cache, compute: compute)
            decoder.observer = observer
            return Stage(
                index: index, of: partition.ranges.count, decoder: decoder, hidden: model.hidden, transport: transport)
        }
        running = Threads(count: stages.count)
    }

    func start() { for stage in stages { stage.start(onExit: running.oneEnded) } }

    /// Waits for the end of all stages, which comes when their transport is closed.
    func wait() { running.wait() }

    var usage: [StageUsage] { stages.map(\.currentUsage) }
}

/// Counts threads out.
final class Threads: Sendable {
    private let group: DispatchGroup

    init(count: Int) {
        group = DispatchGroup()
        for _ in 0..<count { group.enter() }
    }

    var oneEnded: @Sendable () -> Void { { [group] in group.leave() } }
    func wait() { group.wait() }
}
