/// Joins the stages of one pipeline. Scheduler and stages hand batches over and take them in, and know nothing of what
/// lies between: threads of one process, or processes on several machines.
///
/// Batches arrive in the order in which they were handed over, at every stage and at the scheduler: sequences share pages
/// of the cache on the strength of it.
protocol Transport: AnyObject, Sendable {
    /// The stages that run in this process.
    var stages: Range<Int> { get }

    /// Batches on their way at once, so that each stage has work: one is with each, and where a hop takes its time others
    /// are between them.
    var batches: Int { get }

    /// Where a stage of this process takes its batches from; nil comes out of it when the pipeline ends.
    func inbound(_ stage: Int) -> Channel<StageMessage>

    /// Hands a batch to the first stage, which is one of this process.
    func enter(_ message: StageMessage)

    /// Hands a batch on: to the next stage, or from the last one back to the scheduler. Never waits for the receiver to
    /// compute.
    /// - Returns: the bytes that went the way.
    func deliver(_ message: StageMessage, from stage: Int) -> Int

    /// Where batches go when they have been through all stages, and what is told when the pipeline breaks. Set once,
    /// before the first batch enters.
    func connect(returned: @escaping @Sendable (StageMessage) -> Void, broken: @escaping @Sendable (any Error) -> Void)

    /// What the stages of other processes have done, as far as it is known here.
    var elsewhere: [StageUsage] { get }

    /// Ends the stages of this process.
    func close()
}

/// All stages in this process, a thread each.
final class ThreadTransport: Transport {
    let stages: Range<Int>
    private let links: [Channel<StageMessage>]
    private let scheduler = Once<@Sendable (StageMessage) -> Void>()

    init(stages count: Int) {
        stages = 0..<count
        links = stages.map { _ in Channel(capacity: 2 * count) }
    }

    var batches: Int { stages.count }

    func inbound(_ stage: Int) -> Channel<StageMessage> { links[stage] }

    func enter(_ message: StageMessage) { links[0].send(message) }

    func deliver(_ message: StageMessage, from stage: Int) -> Int {
        guard stage + 1 < links.count else {
            scheduler.value?(message)
            return 0
        }
        links[stage + 1].send(message)
        return message.batch.rows * message.width * MemoryLayout<Float>.size
    }

    func connect(
        returned: @escaping @Sendable (StageMessage) -> Void, broken: @escaping @Sendable (any Error) -> Void
    ) { scheduler.set(returned) }

    var elsewhere: [StageUsage] { [] }

    func close() { for link in links { link.close() } }
}
