import Foundation

/// Continuous batching over a pipeline: requests join and leave between steps, and so many batches are on their way that
/// each stage has work. One thread; everything in it is that thread's own.
final class Scheduler: @unchecked Sendable {
    enum Event: Sendable {
        case submit(Submission)
        case computed(StageMessage)
        /// The pipeline is broken: nothing can be answered any more.
        case broken(any Error)
        case stop
    }

    struct Submission: Sendable {
        var request: Request
        var program: [CompiledStep]
        var arrival: Double
        var completion: @Sendable (Result<Completion, any Error>) -> Void

        var order: Double { arrival + request.priority.headStart }
        func isPastDeadline(_ now: Double) -> Bool { request.deadline.map { now - arrival > $0 } ?? false }
    }

    struct Limits: Sendable {
        /// Sequences at work at once.
        var sequences: Int
        /// Rows in one batch.
        var rows: Int
        /// Batches on their way at once.
        var batches: Int
    }

    private struct Running {
        var submission: Submission
        var state: SequenceState
        var pages: [Int32]
        /// Prompt positions that are known to the prefix tree.
        var published = 0
        /// Batches on their way with rows of this sequence.
        var inFlight = 0
        var admitted: Double
        var first: Double?
        var timings = RequestTimings()
        var timedOut = false
    }

    let inbox = Channel<Event>(capacity: .max)
    private let send: @Sendable (StageMessage) -> Void
    private let sequenceLimits: SequenceState.Limits
    private let limits: Limits
    private let tokenizer: Tokenizer?
    private let hidden: Int
    private let observer: (any EngineObserver)?

    private var pages: PageTable
    private var waiting: [Submission] = []
    private var running: [Int: Running] = [:]
    /// Running sequences in order of admission.
    private var order: [Int] = []
    private var nextSequence = 0
    private var inFlight = 0
    private var spare: [AlignedBuffer<Float>] = []
    private var failure: (any Error)?

    init(
        tokenizer: Tokenizer?, hidden: Int, pages: Int, sequenceLimits: SequenceState.Limits, limits: Limits,
        observer: (any EngineObserver)?, send: @escaping @Sendable (StageMessage) -> Void
    ) {
        self.tokenizer = tokenizer
        self.hidden = hidden
        self.pages = PageTable(pages: pages)
        self.sequenceLimits = sequenceLimits
        self.limits = limits
        self.observer = observer
        self.send = send
    }

    func start(onExit: @escaping @Sendable () -> Void) {
        let thread = Thread { [self] in
            loop()
            onExit()
        }
        thread.name = "scheduler"
        thread.start()
    }

    private func loop() {
        var stopping = false
        while !stopping {
            for event in inbox.drain(waiting: true) {
                switch event {
                case .submit(let submission): enqueue(submission)
                case .computed(let message): absorb(message)
                case .broken(let error):
                    failure = failure ?? error
                    endAll(error)
                case .stop: stopping = true
                }
            }
            if !stopping { dispatch() }
        }
        endAll(EngineError.stopped)
    }

    private func endAll(_ error: any Error) {
        for sequence in order { running[sequence]?.submission.completion(.failure(error)) }
        for submission in waiting { submission.completion(.failure(error)) }
        (running, order, waiting) = ([:], [], [])
    }

    /// Keeps those that wait in order of arrival and priority.
    private func enqueue(_ submission: Submission) {
        if let failure { return submission.completion(.failure(failure)) }
        let place = waiting.lastIndex { $0.order <= submission.order }
        waiting.insert(submission, at: place.map { $0 + 1 } ?? 0)
    }

    // MARK: Deadlines

    /// Ends what is past its deadline; looked at between batches, which always come while anything waits or runs. A
    /// sequence with rows on their way ends when they are back.
    private func expire(_ now: Double) {
        guard
            running.values.contains(where: { $0.submission.isPastDeadline(now) })
                || waiting.contains(where: { $0.isPastDeadline(now) })
        else { return }
        for sequence in order {
            guard var entry = running[sequence], entry.inFlight == 0, !entry.state.isFinished,
                entry.submission.isPastDeadline(now)
            else { continue }
            entry.state.expire()
            entry.timedOut = true
            complete(sequence, entry, now)
        }
        let late = waiting.filter { $0.isPastDeadline(now) }
        waiting.removeAll { $0.isPastDeadline(now) }
        for submission in late {
            var timings = RequestTimings()
            timings.queue = now - submission.arrival
            timings.total = timings.queue
            timings.timeToFirstToken = timings.queue
            submission.completion(
                .success(
                    Completion(
                        id: submission.request.id, choices: [], texts: [], promptTokens: 0, outputTokens: 0, tokens: [],
                        timings: timings, timedOut: true)))
        }
    }

    // MARK: Sending

    private func dispatch() {
        // One moment for both: what is not ended here may be sent below, so that an event always follows.
        let now = monotonicSeconds()
        expire(now)
        admit()
        while inFlight < limits.batches, let batch = makeBatch(now) {
            var hiddenStates = spare.popLast() ?? AlignedBuffer<Float>(count: 0)
            if hiddenStates.count < batch.rows * hidden {
                hiddenStates = AlignedBuffer(count: max(batch.rows, 16) * hidden)
            }
            inFlight += 1
            send(StageMessage(batch: batch, hidden: hiddenStates, width: hidden, sentAt: monotonicSeconds()))
        }
    }

    /// Takes waiting requests in, in order, while there is room for all that they may need.
    private func admit() {
        var taken = 0
        for submission in waiting {
            guard order.count < limits.sequences else { break }
            var state = SequenceState(
                submission.program, request: submission.request, limits: sequenceLimits, tokenizer: tokenizer)
            if !submission.request.traced, isBeingComputed(state.prompt) { break }
            let most = submission.program.reduce(0) { $0 + $1.mostTokens }
            let positions = min(most, sequenceLimits.context)
            // A traced request computes everything itself, so that its trace is whole.
            guard
                let room = pages.admit(
                    prompt: state.prompt, positions: positions, sharing: !submission.request.traced)
            else { break }
            state.skip(room.computed)
            let now = monotonicSeconds()
            if submission.request.traced, let observer {
                do {
                    try observer.began(submission.request.id, prompt: state.prompt)
                } catch {
                    pages.release(room.pages)
                    submission.completion(.failure(error))
                    taken += 1
                    continue
                }
            }
            var entry = Running(
                submission: submission, state: state, pages: room.pages, published: room.computed, admitted: now)
            entry.timings.queue = now - submission.arrival
            entry.timings.sharedPromptTokens = room.computed
            running[nextSequence] = entry
            order.append(nextSequence)
            nextSequence += 1
            taken += 1
        }
        waiting.removeFirst(taken)
    }

    /// Whether a running request is still computing a beginning that this prompt could share: then it is worth the wait.
    private func isBeingComputed(_ prompt: [Int32]) -> Bool {
        order.contains { sequence in
            guard let entry = running[sequence], entry.state.sent < entry.state.prompt.count else { return false }
            let other = entry.state.prompt
            var common = 0
            while common < min(prompt.count, other.count) - 1, prompt[common] == other[common] { common += 1 }
            return entry.state.sent < common / PageTable.chunk * PageTable.chunk
        }
    }

    /// The next batch: a fair share of the sequences that are ready, those that decode before those that read.
    private func makeBatch(_ now: Double) -> Batch? {
        let share = max(1, (order.count + limits.batches - 1) / limits.batches)
        var batch = Batch()
        for reading in [false, true] {
            for sequence in order where batch.segments.count < share {
                guard var entry = running[sequence], !entry.submission.isPastDeadline(now) else { continue }
                let isReading = entry.state.sent + 1 < entry.state.tokens.count
                guard isReading == reading, batch.rows == 0 || batch.rows + entry.state.nextRows <= limits.rows,
                    let step = entry.state.next()
                else { continue }
                let traced = entry.submission.request.traced && step.keeps
                if traced, let observer {
                    let beyond = step.tokens.suffix(
                        max(0, step.firstPosition + step.tokens.count - entry.state.prompt.count))
                    if !beyond.isEmpty {
                        do {
                            try observer.fed(entry.submission.request.id, tokens: Array(beyond))
                        } catch {
                            end(sequence, entry, .failure(error))
                            continue
                        }
                    }
                }
                batch.append(
                    sequence: sequence, tokens: step.tokens, firstPosition: step.firstPosition, pages: entry.pages,
                    readouts: step.readouts, request: entry.submission.request.id,
                    traced: traced)
                entry.inFlight += 1
                publish(&entry)
                running[sequence] = entry
            }
        }
        return batch.segments.isEmpty ? nil : batch
    }

    private func publish(_ entry: inout Running) {
        let prompt = entry.state.prompt
        let computed = min(entry.state.sent, prompt.count)
        guard computed / KVCache.pagePositions > entry.published / KVCache.pagePositions else { return }
        pages.publish(entry.pages, prompt: prompt, computed: computed)
        entry.published = computed
    }

    // MARK: Receiving

    private func absorb(_ message: StageMessage) {
        inFlight -= 1
        spare.append(message.hidden)
        let now = monotonicSeconds()
        for (index, segment) in message.batch.segments.enumerated() {
            guard var entry = running[segment.sequence] else { continue }
            entry.inFlight -= 1
            let share = Double(segment.rows.count) / Double(message.batch.rows)
            if entry.timings.stages.isEmpty { entry.timings.stages = message.stageSeconds.map { _ in 0 } }
            for (stage, seconds) in message.stageSeconds.enumerated() { entry.timings.stages[stage] += seconds * share }
            if let failure = message.failure {
                end(segment.sequence, entry, .failure(failure))
                continue
            }
            if !segment.readouts.isEmpty {
                entry.state.absorb(message.readings[index])
                if entry.first == nil, entry.state.outputTokens > 0 { entry.first = now }
            }
            running[segment.sequence] = entry
            if entry.state.isFinished, entry.inFlight == 0 { complete(segment.sequence, entry, now) }
        }
    }

    private func complete(_ sequence: Int, _ entry: Running, _ now: Double) {
        var timings = entry.timings
        let first = entry.first ?? now
        timings.prefill = first - entry.admitted
        timings.decode = now - first
        timings.total = now - entry.submission.arrival
        timings.draftedTokens = entry.state.draftedTokens
        timings.acceptedTokens = entry.state.acceptedTokens
        timings.timeToFirstToken = first - entry.submission.arrival
        let completion = Completion(
            id: entry.submission.request.id, choices: entry.state.choices, texts: entry.state.texts,
            promptTokens: entry.state.promptTokens, outputTokens: entry.state.outputTokens, tokens: entry.state.tokens,
            timings: timings, timedOut: entry.timedOut)
        do {
            if entry.submission.request.traced {
                try observer?.finished(completion)
            }
            end(sequence, entry, .success(completion))
        } catch {
            end(sequence, entry, .failure(error))
        }
    }

    private func end(_ sequence: Int, _ entry: Running, _ result: Result<Completion, any Error>) {
        pages.release(entry.pages)
        running[sequence] = nil
        order.removeAll { $0 == sequence }
        entry.submission.completion(result)
    }
}
