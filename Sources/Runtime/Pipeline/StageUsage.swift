/// What a stage has done so far.
public struct StageUsage: Sendable, Codable {
    public let stage: Int
    public let layers: Range<Int>
    public var batches = 0
    public var rows = 0
    /// Seconds at work on batches.
    public var busySeconds = 0.0
    /// Processor seconds of the stage's threads.
    public var cpuSeconds = 0.0
    /// Seconds from the first batch's arrival to the last one's end.
    public var spanSeconds = 0.0
    /// Seconds from the hand of the one before to the beginning of work, summed over batches.
    public var hopSeconds = 0.0
    /// Batches that wait before the stage now.
    public var queueLength = 0
    var firstArrival: Double?
    /// Bytes handed on: hidden states, or between processes whole messages.
    public var bytesSent = 0
    public var weightBytes = 0
    /// Weights of the linear layers and the head: what each decoding step reads.
    public var productBytes = 0
    /// Of these the head's, which a prompt's reading needs once, at its end.
    public var headBytes = 0
    /// Keys and values of the pages that were ever in use.
    public var cacheBytes = 0

    init(stage: Int, layers: Range<Int>, weightBytes: Int = 0, productBytes: Int = 0, headBytes: Int = 0) {
        self.stage = stage
        self.layers = layers
        self.weightBytes = weightBytes
        self.productBytes = productBytes
        self.headBytes = headBytes
    }

    /// Seconds without work within the span: the pipeline's bubble.
    public var bubbleSeconds: Double { max(0, spanSeconds - busySeconds) }

    /// Share of the span spent at work; nil before the first batch.
    public var utilization: Double? { spanSeconds > 0 ? busySeconds / spanSeconds : nil }
}
