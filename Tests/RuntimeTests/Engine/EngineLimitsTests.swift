import Foundation
import Runtime
import Testing

/// The engine at its edges: guessing ahead, more work than room, contexts that end, odd numbers of threads.
@Suite struct EngineLimitsTests {
    private func options(_ change: (inout EngineOptions) -> Void = { _ in }) -> EngineOptions {
        var options = EngineOptions()
        options.stages = 2
        options.cacheBytes = 8 << 20
        change(&options)
        return options
    }

    private func texts(_ engine: Engine, _ requests: [Request]) async throws -> [Completion] {
        try await withThrowingTaskGroup(of: (Int, Completion).self) { group in
            for (index, request) in requests.enumerated() {
                group.addTask { (index, try await engine.run(request)) }
            }
            return try await group.reduce(into: [(Int, Completion)]()) { $0.append($1) }
                .sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    /// A prompt that repeats itself, and a text that does, too: greedy texts of such a small model run in circles.
    private func request(_ index: Int, sampling: Sampling = .greedy, maxTokens: Int = 60) -> Request {
        let motif = (0..<5).map { Int32(($0 * 31 + index * 7) % 150 + 10) }
        var request = Request(
            id: "\(index)",
            program: [.tokens(motif + motif + motif), .generate(name: "text", maxTokens: maxTokens, stop: [])],
            sampling: sampling)
        request.ignoresEndTokens = true
        return request
    }

    @Test(arguments: ["llama", "qwen2-tied"])
    func guessingAheadLeavesTheTextsAlone(_ name: String) async throws {
        let checkpoint = try Checkpoint(directory: Golden.directory(name))
        let requests = (0..<6).map { request($0, sampling: $0 < 4 ? .greedy : Sampling(temperature: 0.7, seed: 3)) }
        let plain = try Engine(checkpoint, tokenizer: nil, options: options())
        let expected = try await texts(plain, requests)
        plain.stop()
        #expect(expected.allSatisfy { $0.timings.draftedTokens == 0 })
        for (drafts, concurrency) in [(1, 6), (5, 1), (5, 6), (32, 4)] {
            let engine = try Engine(
                checkpoint, tokenizer: nil,
                options: options {
                    $0.draftTokens = drafts
                    $0.concurrency = concurrency
                })
            let got = try await texts(engine, requests)
            engine.stop()
            #expect(got.map(\.tokens) == expected.map(\.tokens), "\(drafts) drafts, \(concurrency) at once")
            #expect(got.reduce(0) { $0 + $1.timings.draftedTokens } > 0)
            #expect(got.reduce(0) { $0 + $1.timings.acceptedTokens } > 0, "\(drafts): nothing was guessed right")
        }
        #expect(throws: EngineError.invalidOption(name: "--draft", expected: "0…32", got: "33")) {
            try Engine(checkpoint, tokenizer: nil, options: options { $0.draftTokens = 33 })
        }
    }

    @Test func threadsMayBeFewOrMany() async throws {
        let checkpoint = try Checkpoint(directory: Golden.directory("llama"))
        #expect(throws: EngineError.invalidOption(name: "--threads", expected: "at least 1", got: "0")) {
            try Engine(checkpoint, tokenizer: nil, options: options { $0.threadsPerStage = 0 })
        }
        var answers: [[Int32]] = []
        for threads in [1, 64] {
            let engine = try Engine(checkpoint, tokenizer: nil, options: options { $0.threadsPerStage = threads })
            answers.append(try await texts(engine, [request(1, maxTokens: 12)])[0].tokens)
            engine.stop()
        }
        #expect(answers[0] == answers[1])
    }

    /// Room for two sequences at a time, and forty requests: the rest wait, and all are answered.
    @Test func moreRequestsThanRoomWait() async throws {
        let checkpoint = try Checkpoint(directory: Golden.directory("llama"))
        let model = checkpoint.configuration
        // Keys and values in fp32 of 64 positions, over all layers.
        let page = 2 * model.layers * model.kvHeads * model.headDim * 4 * 64
        let engine = try Engine(checkpoint, tokenizer: nil, options: options { $0.cacheBytes = 4 * page })
        defer { engine.stop() }
        let requests = (0..<40).map { request($0, maxTokens: 60 + $0 % 3) }
        let answers = try await texts(engine, requests)
        #expect(answers.count == 40)
        for (index, answer) in answers.enumerated() {
            #expect(answer.texts[0].tokens.count == 60 + index % 3)
        }
        // One alone, with all the room: the same text.
        #expect(try await engine.run(requests[7]).tokens == answers[7].tokens)
    }

    /// A request that runs into the context's end stops there with `length`; the others go on.
    @Test func theContextsEndIsOneRequestsAffair() async throws {
        let checkpoint = try Checkpoint(directory: Golden.directory("llama"))
        for drafts in [0, 8] {
            let engine = try Engine(
                checkpoint, tokenizer: nil,
                options: options {
                    $0.context = 64
                    $0.draftTokens = drafts
                })
            let answers = try await texts(engine, [request(0, maxTokens: 500), request(1, maxTokens: 20)])
            engine.stop()
            #expect(answers[0].texts[0].finishReason == .length && answers[0].tokens.count == 64)
            #expect(answers[1].texts[0].finishReason == .length && answers[1].texts[0].tokens.count == 20)
        }
    }
}
