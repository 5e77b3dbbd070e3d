import Foundation
import Runtime
import Testing

/// What is drawn from, against Hugging Face transformers. Goldens and their script: Tests/Fixtures/sampling.
@Suite struct SamplingTests {
    private struct Goldens: Decodable {
        struct Case: Decodable {
            let temperature: Float
            let topK: Int
            let topP: Float
            let minP: Float
            let penalty: Float
            let tokens: [Int32]
            let first: Double
            let last: Double
        }
        let logits: [Float]
        let seen: [Int32]
        let cases: [Case]
    }

    @Test func drawsFromWhatTransformersDrawsFrom() throws {
        let data = try Data(contentsOf: fixture("sampling/goldens.json"))
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let goldens = try decoder.decode(Goldens.self, from: data)
        #expect(goldens.cases.count == 324)
        for golden in goldens.cases {
            let sampling = Sampling(
                temperature: golden.temperature, topK: golden.topK, topP: golden.topP, minP: golden.minP,
                repetitionPenalty: golden.penalty)
            let got = sampling.distribution(goldens.logits, seen: goldens.seen)
            #expect(got.map(\.token) == golden.tokens, "\(golden)")
            #expect(abs(got[0].probability - golden.first) < 1e-6, "\(golden)")
            #expect(abs(got[got.count - 1].probability - golden.last) < 1e-6, "\(golden)")
        }
    }

    @Test func refusesValuesOutOfRange() throws {
        for bad in [
            Sampling(temperature: -1), Sampling(temperature: .nan), Sampling(temperature: 1, topK: -1),
            Sampling(temperature: 1, topP: 0), Sampling(temperature: 1, topP: 1.5),
            Sampling(temperature: 1, minP: -0.1),
            Sampling(temperature: 1, minP: 1.1), Sampling(temperature: 1, repetitionPenalty: 0),
            Sampling(temperature: 1, repetitionPenalty: .infinity),
        ] {
            #expect(throws: EngineError.self) { try bad.validate() }
        }
        try Sampling(temperature: 0.5, topK: 3, topP: 0.9, minP: 0.1, repetitionPenalty: 1.1).validate()
    }

    private func completion(_ name: String, _ change: (inout Request) -> Void) async throws -> Completion {
        let golden = try Golden(name)
        let engine = try golden.engine(stages: 2)
        defer { engine.stop() }
        var request = Request(
            id: "r", program: [.tokens(golden.prompt), .generate(name: "text", maxTokens: 8, stop: [])])
        request.ignoresEndTokens = true
        change(&request)
        return try await engine.run(request)
    }

    /// Against the log-softmax of transformers' logits at the prompt's end.
    @Test func logProbabilitiesAreTheModels() async throws {
        let golden = try Golden("llama")
        let text = try await completion("llama") { $0.logProbabilities = 5 }.texts[0]
        #expect(text.logProbabilities.map(\.token) == text.tokens)
        let rows = try #require(golden.activations["logits"])
        let vocabulary = golden.checkpoint.configuration.vocabulary
        let logits = rows[((golden.prompt.count - 1) * vocabulary)..<(golden.prompt.count * vocabulary)].map(
            Double.init)
        let total = log(logits.reduce(0) { $0 + exp($1) })
        let first = text.logProbabilities[0]
        for alternative in first.alternatives {
            #expect(abs(alternative.logProbability - (logits[Int(alternative.token)] - total)) < 1e-3)
        }
        let best = logits.indices.sorted { logits[$0] > logits[$1] }.prefix(5).map(Int32.init)
        #expect(first.alternatives.map(\.token) == best)
        #expect(first.logProbability == first.alternatives[0].logProbability)

        let plain = try await completion("llama") { _ in }.texts[0]
        #expect(plain.tokens == text.tokens && plain.logProbabilities.isEmpty)
        await #expect(throws: EngineError.invalidOption(name: "--logprobs", expected: "0…20", got: "21")) {
            try await completion("llama") { $0.logProbabilities = 21 }
        }
    }

    @Test func aPenaltyKeepsFromRepeating() async throws {
        let text = try await completion("llama") {
            $0.sampling = Sampling(temperature: 0, repetitionPenalty: 1e6)
        }
        let written = text.texts[0].tokens
        #expect(Set(written).count == written.count, "\(written)")
        #expect(Set(written).isDisjoint(with: try Golden("llama").prompt))
    }
}
