import Synchronization

/// One stage in this process, the others in the job's other ones: batches go down from rank to rank, readings from the
/// last straight back to the scheduler's.
///
/// What only the scheduler needs (tokens, who asked, the buffer) stays in its process, by the batch's number.
final class JobTransport: Transport {
    let stages: Range<Int>
    let batches: Int
    private let job: Job
    private let kernels: KernelSet
    private let isLast: Bool
    // No more than `batches` are on their way: there is always room.
    private let link = Channel<StageMessage>(capacity: .max)
    private let scheduler = Once<@Sendable (StageMessage) -> Void>()
    private let state: Mutex<State>

    private struct State {
        var outbound: BatchWire
        var inbound: BatchWire
        var number: UInt64 = 0
        /// At the head: batches that have gone down and not come back.
        var away: [UInt64: StageMessage] = [:]
        /// Elsewhere: buffers of batches that have gone on.
        var spare: [AlignedBuffer<Float>] = []
    }

    init(_ job: Job, batches: Int, width: Int, pages: Int, format: WireFormat, kernels: KernelSet) {
        self.job = job
        self.batches = batches
        self.kernels = kernels
        let place = job.place
        stages = place.stage..<place.stage + 1
        isLast = place.stage == place.stages - 1
        let wire = BatchWire(format: format, width: width, pages: pages)
        state = Mutex(State(outbound: wire, inbound: wire))
        job.onFailure { [link] _ in link.close() }
        // Weak: a late message finds nobody after the end.
        job.handle(.batch) { [weak self] parcel, rank in
            guard let self else { return }
            guard rank == place.rank - 1, place.stage > 0 else {
                throw ParcelReader.Malformed(what: "it comes from the wrong stage")
            }
            var message = try state.withLock { state in
                try state.inbound.read(parcel, kernels) { Self.buffer($0, &state.spare) }
            }
            message.sentAt = job.watch.local(message.sentAt, of: rank) ?? monotonicSeconds()
            link.send(message)
        }
        job.handle(.readings) { [weak self] parcel, _ in try self?.takeBack(parcel) }
    }

    private static func buffer(_ count: Int, _ spare: inout [AlignedBuffer<Float>]) -> AlignedBuffer<Float> {
        if let place = spare.lastIndex(where: { $0.count >= count }) { return spare.remove(at: place) }
        _ = spare.popLast()
        return AlignedBuffer(count: count)
    }

    func inbound(_ stage: Int) -> Channel<StageMessage> { link }

    func enter(_ message: StageMessage) {
        var message = message
        message.number = state.withLock {
            $0.number += 1
            return $0.number
        }
        link.send(message)
    }

    func deliver(_ message: StageMessage, from stage: Int) -> Int {
        let place = job.place
        if isLast, place.isHead {
            scheduler.value?(message)
            return 0
        }
        let parcel = Parcel(capacity: isLast ? 1024 : 1024 + message.batch.rows * message.width * 4)
        guard !isLast else {
            ReadingWire.write(message, to: parcel)
            release(message)
            let count = parcel.count
            job.messenger.send(parcel, .readings, to: place.head)
            return count
        }
        state.withLock { $0.outbound.write(message, to: parcel, kernels) }
        if place.isHead { state.withLock { $0.away[message.number] = message } } else { release(message) }
        let count = parcel.count
        job.messenger.send(parcel, .batch, to: place.rank + 1)
        return count
    }

    private func release(_ message: StageMessage) {
        state.withLock { if $0.spare.count < batches { $0.spare.append(message.hidden) } }
    }

    private func takeBack(_ parcel: Parcel) throws {
        let answers = try ReadingWire.read(parcel)
        guard var message = state.withLock({ $0.away.removeValue(forKey: answers.number) }) else {
            throw ParcelReader.Malformed(what: "batch \(answers.number) is not on its way")
        }
        let asked = message.batch.segments.map(\.readouts.count)
        guard answers.failure != nil || answers.readings.map(\.count) == asked else {
            throw ParcelReader.Malformed(what: "\(answers.readings.count) answers for \(asked.count) segments")
        }
        message.stageSeconds = answers.stageSeconds
        message.readings = answers.readings
        message.failure = answers.failure
        scheduler.value?(message)
    }

    func connect(
        returned: @escaping @Sendable (StageMessage) -> Void, broken: @escaping @Sendable (any Error) -> Void
    ) {
        scheduler.set(returned)
        job.onFailure { broken($0) }
    }

    var elsewhere: [StageUsage] {
        let place = job.place
        return job.reports.filter { $0.rank / place.stages == place.replica && $0.rank != place.rank }
            .flatMap(\.stages)
    }

    func close() { link.close() }
}

/// This process' share of a pipeline over a job.
public struct JobPipeline: Sendable {
    let transport: JobTransport
    /// Pipeline processes on this machine.
    let sharing: Int

    /// - Throws: `EngineError` where the model has fewer layers than there are stages, `KernelError`.
    public init(_ job: Job, _ checkpoint: Checkpoint, options: EngineOptions, format: WireFormat) throws {
        let outline = try ModelOutline(checkpoint)
        let kernels = try KernelSet.select(options.kernels)
        let costs = try ModelCosts(
            outline, precision: options.precision, cachePrecision: options.cachePrecision, kernels: kernels)
        let ranges = try Partition(outline, options: options).ranges
        let model = checkpoint.configuration
        transport = JobTransport(
            job, batches: PipelineDepth.batches(costs, ranges, options: options), width: model.hidden,
            pages: try StageSet.pages(model, options), format: format, kernels: kernels)
        sharing = job.messenger.ranksHere
    }
}
