/// How a node is, as its own readings show it.
public enum NodeHealth: String, Sendable, CaseIterable {
    case ok
    /// Requests wait, but no stage has taken a batch for a while.
    case stalled
    /// Requests failed since the reading before.
    case failing
}

/// One reading of a node's state. Counters count from the run's start.
public struct NodeSample: Sendable, Equatable {
    public var node: String
    /// Since the run's start.
    public var elapsedMs: Double
    /// Mean share of the stages' time at work, 0…1.
    public var utilization: Double?
    public var cpuSeconds: Double?
    public var residentBytes: Int?
    /// Requests handed over and not yet answered; at other ranks of a job, batches before their stage.
    public var queueLength: Int?
    /// Of this process.
    public var diskReadBytes, diskWrittenBytes: Int?
    /// Of this machine, loopback left out.
    public var networkReceivedBytes, networkSentBytes: Int?
    /// Tokens read and written for answers that are done.
    public var tokens: Int?
    public var health: NodeHealth?

    public init(
        node: String, elapsedMs: Double, utilization: Double? = nil, cpuSeconds: Double? = nil,
        residentBytes: Int? = nil, queueLength: Int? = nil, diskReadBytes: Int? = nil, diskWrittenBytes: Int? = nil,
        networkReceivedBytes: Int? = nil, networkSentBytes: Int? = nil, tokens: Int? = nil, health: NodeHealth? = nil
    ) {
        self.node = node
        self.elapsedMs = elapsedMs
        self.utilization = utilization
        self.cpuSeconds = cpuSeconds
        self.residentBytes = residentBytes
        self.queueLength = queueLength
        self.diskReadBytes = diskReadBytes
        self.diskWrittenBytes = diskWrittenBytes
        self.networkReceivedBytes = networkReceivedBytes
        self.networkSentBytes = networkSentBytes
        self.tokens = tokens
        self.health = health
    }
}

/// One reading of a pipeline stage. All but the queue's length count from the run's start.
public struct StageSample: Sendable, Equatable {
    public var node: String
    public var stage: Int
    /// Since the run's start.
    public var elapsedMs: Double
    public var batches: Int
    /// At work on batches.
    public var busySeconds: Double
    /// Without work, between the first batch's arrival and the last one's end.
    public var bubbleSeconds: Double
    /// From the hand of the one before to the beginning of work, summed over batches.
    public var hopSeconds: Double
    public var bytesSent: Int
    /// Batches that wait before the stage.
    public var queueLength: Int

    public init(
        node: String, stage: Int, elapsedMs: Double, batches: Int, busySeconds: Double, bubbleSeconds: Double,
        hopSeconds: Double, bytesSent: Int, queueLength: Int
    ) {
        self.node = node
        self.stage = stage
        self.elapsedMs = elapsedMs
        self.batches = batches
        self.busySeconds = busySeconds
        self.bubbleSeconds = bubbleSeconds
        self.hopSeconds = hopSeconds
        self.bytesSent = bytesSent
        self.queueLength = queueLength
    }
}
