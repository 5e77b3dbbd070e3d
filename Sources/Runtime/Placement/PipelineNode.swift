/// A machine that takes one stage of the pipeline.
public struct PipelineNode: Sendable, Equatable {
    /// How fast it computes and reads, compared with the others: only the ratios matter to the partition.
    public var speed: Double
    /// Bytes that the stage may take; nil for no limit.
    public var memoryBytes: Int?

    public init(speed: Double = 1, memoryBytes: Int? = nil) {
        self.speed = speed
        self.memoryBytes = memoryBytes
    }
}

/// The mean request that stages are balanced for.
public struct Workload: Sendable, Equatable, Encodable {
    /// Tokens that are read; those that requests share count once for all, so not here.
    public var promptTokens: Int
    /// Tokens that are written. The head runs for these alone.
    public var outputTokens: Int

    public init(promptTokens: Int = 192, outputTokens: Int = 64) {
        self.promptTokens = promptTokens
        self.outputTokens = outputTokens
    }

    var tokens: Int { promptTokens + outputTokens }
}
