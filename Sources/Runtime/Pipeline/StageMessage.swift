/// What travels from stage to stage: the batch, its hidden states [rows, width], and what the way has cost.
struct StageMessage: Sendable {
    var batch: Batch
    var hidden: AlignedBuffer<Float>
    /// Of the hidden states.
    var width: Int
    /// Seconds each stage worked on it.
    var stageSeconds: [Double] = []
    /// The answers to the batch's readouts, a list a segment; written by the last stage.
    var readings: [[Reading]] = []
    /// When it was handed to the stage that has it now, by this process' clock.
    var sentAt = 0.0
    /// Its number in the pipeline, where it leaves the process.
    var number: UInt64 = 0
    /// What went wrong on the way; later stages pass it on.
    var failure: (any Error)?
}
