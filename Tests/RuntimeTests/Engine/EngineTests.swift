import Foundation
import Runtime
import Testing

/// What an answer must not depend on: who else is in the batch, stages, threads, shared prefixes, kernel sets.
@Suite struct EngineTests {
    /// Quantizes a fixture into a directory of its own.
    private func quantized(_ name: String, bits: Int, in folder: URL) throws -> Checkpoint {
        let scheme = QuantizationScheme(bits: bits, symmetric: true, groupSize: 32)
        let output = folder.appending(path: "\(name)-\(bits)")
        _ = try ModelQuantizer(Checkpoint(directory: Golden.directory(name)), scheme: scheme).write(to: output)
        return try Checkpoint(directory: output)
    }

    private func temporaryFolder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appending(path: "engine-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    /// Twelve prompts with a common beginning of 150 tokens and 1…12 tokens of their own.
    private func answers(_ checkpoint: Checkpoint, stages: Int, threads: Int, concurrency: Int, kernels: String? = nil)
        async throws -> [[Int32]]
    {
        var options = EngineOptions()
        options.stages = stages
        options.threadsPerStage = threads
        options.concurrency = concurrency
        options.cacheBytes = 16 << 20
        options.kernels = kernels
        let engine = try Engine(checkpoint, tokenizer: nil, options: options)
        defer { engine.stop() }
        let shared = (0..<150).map { Int32($0 * 7 % 90 + 3) }
        return try await withThrowingTaskGroup(of: (Int, [Int32]).self) { group in
            for index in 0..<12 {
                let prompt = shared + (0...index).map { Int32($0 * 11 % 80 + 5) }
                var request = Request(
                    id: "\(index)", program: [.tokens(prompt), .generate(name: "text", maxTokens: 20, stop: [])])
                request.ignoresEndTokens = true
                let fixed = request
                group.addTask { (index, try await engine.run(fixed).texts[0].tokens) }
            }
            var results = Array(repeating: [Int32](), count: 12)
            for try await (index, tokens) in group { results[index] = tokens }
            return results
        }
    }

    @Test(arguments: [("llama", 8), ("llama", 4), ("qwen2-tied", 8), ("qwen2-tied", 4), ("llama", 32)])
    func answersDependOnNothingButTheModel(_ name: String, bits: Int) async throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let checkpoint =
            bits == 32
            ? try Checkpoint(directory: Golden.directory(name)) : try quantized(name, bits: bits, in: folder)
        let expected = try await answers(checkpoint, stages: 1, threads: 1, concurrency: 1)
        #expect(Set(expected).count > 1, "the prompts must matter")
        for (stages, threads, concurrency) in [(1, 1, 16), (1, 3, 5), (2, 1, 16), (2, 2, 3)] {
            let got = try await answers(checkpoint, stages: stages, threads: threads, concurrency: concurrency)
            #expect(got == expected, "\(name) int\(bits): \(stages) stages, \(threads) threads, \(concurrency) at once")
        }
        guard bits < 32 else { return }
        for set in KernelSet.all where set.supported {
            let got = try await answers(checkpoint, stages: 1, threads: 1, concurrency: 16, kernels: set.name)
            #expect(got == expected, "\(name) int\(bits): kernel set \(set.name)")
        }
    }

    @Test func refusesWhatItCannotAnswer() async throws {
        let checkpoint = try Checkpoint(directory: Golden.directory("llama"))
        var options = EngineOptions()
        options.stages = 2
        options.cacheBytes = 8 << 20
        let engine = try Engine(checkpoint, tokenizer: nil, options: options)
        defer { engine.stop() }
        func failure(_ tokens: [Int32], maxTokens: Int = 4) async -> EngineError? {
            do {
                _ = try await engine.run(
                    Request(
                        id: "r", program: [.tokens(tokens), .generate(name: "t", maxTokens: maxTokens, stop: [])]))
                return nil
            } catch { return error as? EngineError }
        }
        #expect(await failure([]) == .emptyPrompt(request: "r"))
        #expect(await failure([5, 192]) == .tokenOutOfRange(request: "r", token: 192, vocabulary: 192))
        let long = await failure(Array(repeating: 5, count: 300))
        #expect(long == .promptTooLong(request: "r", tokens: 300, output: 1, context: 256))
        // A text may run into the end of the context: it ends there, with what it has.
        let cut = try await engine.run(
            Request(
                id: "cut",
                program: [
                    .tokens(Array(repeating: 5, count: 250)), .generate(name: "t", maxTokens: 100, stop: []),
                ]))
        #expect(cut.tokens.count <= 256)

        options.stages = 3
        #expect(throws: EngineError.tooManyStages(stages: 3, layers: 2)) {
            try Engine(checkpoint, tokenizer: nil, options: options)
        }
        #expect(throws: KernelError.self) { try KernelSet.select("no-such-set") }
    }
}
