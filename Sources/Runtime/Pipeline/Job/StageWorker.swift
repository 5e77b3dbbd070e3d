/// A rank that is not the first stage of its pipeline: it has no scheduler, and neither reads requests nor writes answers.
public final class StageWorker: Sendable {
    private let job: Job
    private let stages: StageSet
    private let transport: JobTransport

    /// Loads the stage's share of the checkpoint.
    /// - Throws: `CheckpointError`, `QuantizationError`, `EngineError`.
    public init(_ job: Job, _ checkpoint: Checkpoint, options: EngineOptions, pipeline: JobPipeline) throws {
        try Engine.validate(options)
        self.job = job
        transport = pipeline.transport
        stages = try StageSet(
            checkpoint, partition: Partition(checkpoint.configuration, stages: options.stages), options: options,
            kernels: try KernelSet.select(options.kernels), observer: nil, transport: transport,
            sharing: pipeline.sharing)
        job.reportRegularly { [stages] in stages.usage }
        stages.start()
    }

    /// Works until rank 0 says that the work is done.
    /// - Throws: what ended the job.
    public func work() throws {
        defer {
            transport.close()
            stages.wait()
        }
        try job.waitForStop()
    }
}
