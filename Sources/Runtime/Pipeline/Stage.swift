import Foundation
import Synchronization

/// One stage of the pipeline: its share of the model on a thread of its own.
final class Stage: @unchecked Sendable {
    // `decoder` is made and used by the stage's thread alone; `usage` has its lock.
    private let index: Int
    private let isFirst: Bool
    private let isLast: Bool
    private let hiddenWidth: Int
    private let decoder: Decoder
    private let inbound: Channel<StageMessage>
    private let transport: any Transport
    private let usage: Mutex<StageUsage>

    init(
        index: Int, of stages: Int, decoder: Decoder, hidden: Int, transport: any Transport
    ) {
        self.index = index
        isFirst = index == 0
        isLast = index == stages - 1
        hiddenWidth = hidden
        self.decoder = decoder
        inbound = transport.inbound(index)
        self.transport = transport
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
                var result = process(message, begin)
                let end = monotonicSeconds()
                usage.withLock {
                    $0.batches += 1
                    $0.rows += message.batch.rows
                    $0.busySeconds += end - begin
                    $0.hopSeconds += max(0, begin - message.sentAt)
                    $0.cpuSeconds += decoder.cpuSeconds - cpuBegin
                    $0.firstArrival = $0.firstArrival ?? begin
                    $0.spanSeconds = end - $0.firstArrival!
                    let pages = message.batch.segments.reduce(0) { max($0, Int($1.pages.max() ?? -1) + 1) }
                    $0.cacheBytes = max($0.cacheBytes, decoder.cache.byteCount(pages: pages))
                }
                result.sentAt = end
                let bytes = transport.deliver(result, from: index)
                usage.withLock { $0.bytesSent += bytes }
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
