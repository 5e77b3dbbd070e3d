import Foundation
import Synchronization

/// What travels from stage to stage: the batch, its hidden states [rows, hidden], and what the way has cost.
struct StageMessage: Sendable {
    var batch: Batch
    var hidden: AlignedBuffer<Float>
    /// Seconds each stage worked on it.
    var stageSeconds: [Double] = []
    /// The answers to the batch's readouts, a list a segment; written by the last stage.
    var readings: [[Reading]] = []
    /// When it was handed to the stage that has it now.
    var sentAt = 0.0
    /// What went wrong on the way; later stages pass it on.
    var failure: (any Error)?
}

/// What a stage has done so far.
public struct StageUsage: Sendable {
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
    /// The most that ever waited when one was taken.
    public var longestQueue = 0
    fileprivate var firstArrival: Double?
    /// Bytes of hidden states handed to the next stage.
    public var bytesSent = 0
    public var weightBytes = 0
    /// Weights of the linear layers and the head: what each decoding step reads.
    public var productBytes = 0
    /// Of these the head's, which a prompt's reading needs once, at its end.
    public var headBytes = 0
    /// Keys and values of the pages that were ever in use.
    public var cacheBytes = 0

    /// Seconds without work within the span: the pipeline's bubble.
    public var bubbleSeconds: Double { max(0, spanSeconds - busySeconds) }

    /// Share of the span spent at work; nil before the first batch.
    public var utilization: Double? { spanSeconds > 0 ? busySeconds / spanSeconds : nil }
}

/// One stage of the pipeline: its share of the model on a thread of its own.
final class Stage: @unchecked Sendable {
    // `decoder` is made and used by the stage's thread alone; `usage` has its lock.
    private let index: Int
    private let isFirst: Bool
    private let isLast: Bool
    private let hiddenWidth: Int
    private let decoder: Decoder
    private let inbound: Channel<StageMessage>
    private let deliver: @Sendable (StageMessage) -> Void
    private let usage: Mutex<StageUsage>

    init(
        index: Int, of stages: Int, decoder: Decoder, hidden: Int, inbound: Channel<StageMessage>,
        deliver: @escaping @Sendable (StageMessage) -> Void
    ) {
        self.index = index
        isFirst = index == 0
        isLast = index == stages - 1
        hiddenWidth = hidden
        self.decoder = decoder
        self.inbound = inbound
        self.deliver = deliver
        usage = Mutex(
            StageUsage(
                stage: index, layers: decoder.weights.range, weightBytes: decoder.weights.byteCount,
                productBytes: decoder.weights.productByteCount, headBytes: decoder.weights.headByteCount))
    }

    var currentUsage: StageUsage {
        var current = usage.withLock { $0 }
        current.queueLength = inbound.count
        return current
    }

    /// Begins to count anew; memory stays.
    func resetUsage() {
        usage.withLock {
            var fresh = StageUsage(stage: $0.stage, layers: $0.layers)
            (fresh.weightBytes, fresh.productBytes, fresh.headBytes) = ($0.weightBytes, $0.productBytes, $0.headBytes)
            fresh.cacheBytes = $0.cacheBytes
            $0 = fresh
        }
    }

    func start(onExit: @escaping @Sendable () -> Void) {
        let thread = Thread { [self] in
            while let message = inbound.receive() {
                let begin = monotonicSeconds()
                let cpuBegin = decoder.cpuSeconds
                let waiting = inbound.count
                var result = process(message, begin)
                let end = monotonicSeconds()
                usage.withLock {
                    $0.batches += 1
                    $0.longestQueue = max($0.longestQueue, waiting)
                    $0.rows += message.batch.rows
                    $0.busySeconds += end - begin
                    $0.hopSeconds += max(0, begin - message.sentAt)
                    $0.cpuSeconds += decoder.cpuSeconds - cpuBegin
                    $0.firstArrival = $0.firstArrival ?? begin
                    $0.spanSeconds = end - $0.firstArrival!
                    let pages = message.batch.segments.reduce(0) { max($0, Int($1.pages.max() ?? -1) + 1) }
                    $0.cacheBytes = max($0.cacheBytes, decoder.cache.byteCount(pages: pages))
                    if !isLast { $0.bytesSent += message.batch.rows * hiddenWidth * MemoryLayout<Float>.size }
                }
                result.sentAt = end
                deliver(result)
            }
            onExit()
        }
        thread.name = "stage-\(index)"
        thread.stackSize = 4 << 20
        thread.start()
    }

    private func process(_ message: StageMessage, _ begin: Double) -> StageMessage {
        var message = message
        if message.failure == nil {
            do {
                let x = Rows(message.hidden.pointer, rows: message.batch.rows, width: hiddenWidth)
                if isFirst { try decoder.embed(message.batch, into: x) }
                try decoder.forward(x, message.batch)
                if isLast {
                    try decoder.observeHead(x, message.batch)
                    message.readings = try read(x, message.batch)
                }
            } catch {
                message.failure = error
            }
        }
        message.stageSeconds.append(monotonicSeconds() - begin)
        return message
    }

    /// Answers the batch's readouts; the head runs for their rows alone.
    private func read(_ x: Rows, _ batch: Batch) throws -> [[Reading]] {
        let wanted = batch.segments.flatMap { segment in segment.readouts.map { segment.rows.lowerBound + $0.row } }
        guard !wanted.isEmpty else { return batch.segments.map { _ in [] } }
        let logits = try decoder.logits(x, rows: wanted, batch)
        let questions = batch.segments.flatMap { segment in segment.readouts.map { (segment, $0) } }
        var answers = [Result<Reading, any Error>?](repeating: nil, count: questions.count)
        answers.withUnsafeMutableBufferPointer { answers in
            decoder.inParallel(questions.count) { index in
                let (segment, readout) = questions[index]
                let row = UnsafeBufferPointer(start: logits[index], count: logits.width)
                answers[index] = Result {
                    try answer(readout.kind, row, position: segment.firstPosition + readout.row, segment)
                }
            }
        }
        var next = answers.makeIterator()
        return try batch.segments.map { segment in try segment.readouts.map { _ in try next.next()!!.get() } }
    }

    private func answer(
        _ kind: Readout.Kind, _ logits: UnsafeBufferPointer<Float>, position: Int, _ segment: Batch.Segment
    ) throws -> Reading {
        guard allFinite(logits) else {
            throw EngineError.notFinite(request: segment.request, position: position)
        }
        switch kind {
        case .sample(let query):
            guard let token = query.sampling.pick(logits, position: position, seen: query.seen, mask: query.mask) else {
                throw EngineError.noTokenFits(request: segment.request, position: position)
            }
            return .token(
                query.alternatives.map { PickedToken(token, alternatives: $0, logits) } ?? PickedToken(unweighed: token)
            )
        case .logProbabilities(let tokens):
            let normaliser = logSumExp(logits)
            return .logProbabilities(tokens.map { Double(logits[Int($0)]) - normaliser })
        case .logits:
            return .logits(Array(logits))
        }
    }
}

func monotonicSeconds() -> Double { seconds(of: CLOCK_MONOTONIC) }
