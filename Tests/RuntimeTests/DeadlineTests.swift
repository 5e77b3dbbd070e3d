import Foundation
import Runtime
import Synchronization
import Testing

/// Deadlines and priorities.
@Suite struct DeadlineTests {
    private func engine(concurrency: Int, cacheBytes: Int = 16 << 20) throws -> Engine {
        var options = EngineOptions()
        options.stages = 2
        options.threadsPerStage = 1
        options.concurrency = concurrency
        options.cacheBytes = cacheBytes
        return try Engine(Checkpoint(directory: Golden.directory("llama")), tokenizer: nil, options: options)
    }

    private func request(_ id: String, tokens: Int, prompt: Int = 4) -> Request {
        let given = (0..<prompt).map { Int32($0 * 7 % 90 + 3) }
        var request = Request(
            id: id, program: [.tokens(given), .generate(name: "text", maxTokens: tokens, stop: [])])
        request.ignoresEndTokens = true
        return request
    }

    /// Past its deadline a request ends with what it has, and its memory serves the next one.
    @Test func endsWithWhatItHas() async throws {
        // Room for one such request at a time.
        let engine = try engine(concurrency: 4, cacheBytes: 4 << 20)
        defer { engine.stop() }
        let whole = try await engine.run(request("whole", tokens: 200))
        #expect(!whole.timedOut && whole.texts[0].tokens.count == 200 && whole.texts[0].finishReason == .length)
        for index in 0..<20 {
            var hurried = request("r\(index)", tokens: 200)
            hurried.deadline = whole.timings.total * Double(index) / 20
            let cut = try await engine.run(hurried)
            let tokens = cut.texts.first?.tokens ?? []
            #expect(cut.timedOut || tokens.count == 200)
            #expect(tokens == Array(whole.texts[0].tokens.prefix(tokens.count)), "what it has is right")
            if cut.timedOut, let text = cut.texts.first { #expect(text.finishReason == .timeout) }
        }
        var never = request("never", tokens: 5)
        never.deadline = -1
        let missed = try await engine.run(never)
        #expect(missed.timedOut && missed.texts.isEmpty && missed.outputTokens == 0)
        #expect(try await engine.run(request("after", tokens: 200)).texts[0].tokens == whole.texts[0].tokens)
    }

    /// 150 at once, half of them without time: all end, the others in full.
    @Test func manyAtOnce() async throws {
        let engine = try engine(concurrency: 128)
        defer { engine.stop() }
        let alone = try await engine.run(request("alone", tokens: 12)).texts[0].tokens
        let completions = try await withThrowingTaskGroup(of: (Int, Completion).self) { group in
            for index in 0..<150 {
                var one = request("r\(index)", tokens: 12)
                if index % 2 == 1 { one.deadline = 0 }
                let fixed = one
                group.addTask { (index, try await engine.run(fixed)) }
            }
            return try await group.reduce(into: [Int: Completion]()) { $0[$1.0] = $1.1 }
        }
        #expect(completions.count == 150)
        for (index, completion) in completions {
            if index % 2 == 0 {
                #expect(!completion.timedOut && completion.texts[0].tokens == alone)
            } else {
                #expect(completion.timedOut)
            }
        }
    }

    /// 120 at once over three stages, none without an answer, and all of the same bytes as alone.
    @Test func hundredAndTwentyAtOnce() async throws {
        var options = EngineOptions()
        options.stages = 3
        options.threadsPerStage = 1
        options.concurrency = 128
        options.cacheBytes = 16 << 20
        let engine = try Engine(
            Checkpoint(directory: Golden.directory("llama-linear")), tokenizer: nil, options: options)
        defer { engine.stop() }
        var alone: [[Int32]] = []
        for index in 0..<4 {
            alone.append(try await engine.run(request("alone", tokens: 16, prompt: 4 + index)).texts[0].tokens)
        }
        engine.resetUsage()
        let texts = try await withThrowingTaskGroup(of: (Int, [Int32]).self) { group in
            for index in 0..<120 {
                let one = request("r\(index)", tokens: 16, prompt: 4 + index % 4)
                group.addTask { (index, try await engine.run(one).texts[0].tokens) }
            }
            return try await group.reduce(into: [Int: [Int32]]()) { $0[$1.0] = $1.1 }
        }
        #expect(texts.count == 120 && texts.allSatisfy { $1 == alone[$0 % 4] })
        for usage in engine.usage {
            #expect(usage.rows >= 120 * 16 && usage.batches > 16 && usage.busySeconds > 0, "\(usage)")
            #expect(usage.spanSeconds >= usage.busySeconds && usage.longestQueue <= 6, "\(usage)")
        }
    }

    /// Of those that wait, high priority goes first, and equals in order of arrival.
    @Test func highPriorityGoesFirst() throws {
        let engine = try engine(concurrency: 1)
        defer { engine.stop() }
        let order = Mutex<[String]>([])
        let all = DispatchGroup()
        func submit(_ id: String, _ priority: Priority, tokens: Int) throws {
            var one = request(id, tokens: tokens)
            one.priority = priority
            all.enter()
            try engine.submit(one) { _ in
                order.withLock { $0.append(id) }
                all.leave()
            }
        }
        // The scheduler's thread is held until all have come: nothing depends on who is faster.
        let open = DispatchSemaphore(value: 0)
        let held = DispatchSemaphore(value: 0)
        all.enter()
        try engine.submit(request("gate", tokens: 1)) { _ in
            held.signal()
            open.wait()
            all.leave()
        }
        held.wait()
        for index in 0..<3 { try submit("medium\(index)", .medium, tokens: 2) }
        for index in 0..<3 { try submit("high\(index)", .high, tokens: 2) }
        open.signal()
        all.wait()
        #expect(
            order.withLock { $0 } == ["high0", "high1", "high2", "medium0", "medium1", "medium2"])
    }
}
