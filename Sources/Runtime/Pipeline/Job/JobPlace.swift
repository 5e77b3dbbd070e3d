/// Where a process stands in a job of stages × replicas. The ranks of a pipeline follow each other: rank 0 orchestrates,
/// and is the first stage of the first pipeline.
public struct JobPlace: Sendable, Equatable {
    public let rank: Int
    public let ranks: Int
    public let stages: Int

    public init(rank: Int, ranks: Int, stages: Int) {
        self.rank = rank
        self.ranks = ranks
        self.stages = stages
    }

    public var stage: Int { rank % stages }
    /// Which pipeline.
    public var replica: Int { rank / stages }
    public var replicas: Int { ranks / stages }
    /// The rank of the pipeline's first stage, which has its scheduler.
    public var head: Int { replica * stages }
    public var isHead: Bool { stage == 0 }
    /// The rank of another stage of the same pipeline.
    func rank(ofStage stage: Int) -> Int { head + stage }

    /// A rank in words, e.g. "rank 5 (stage 3 of pipeline 2)".
    public func name(of rank: Int) -> String {
        let stage = "stage \(rank % stages + 1)"
        return replicas > 1
            ? "rank \(rank) (\(stage) of pipeline \(rank / stages + 1))" : "rank \(rank) (\(stage) of \(stages))"
    }
}
