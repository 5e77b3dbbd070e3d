import Foundation
import Runtime
import Testing

/// Labels by likelihood: the sum or the mean over their tokens, less what they are worth of themselves, tempered.
@Suite struct ChoiceScoringTests {
    static let labels = [" a", " stale source", "!", " jump in mid-epoch"]

    private func outcome(_ scoring: ChoiceScoring) async throws -> ChoiceOutcome {
        let directory = Golden.directory("qwen2-tied")
        var options = EngineOptions()
        options.stages = 1
        let engine = try Engine(
            Checkpoint(directory: directory), tokenizer: Tokenizer(directory: directory), options: options)
        defer { engine.stop() }
        let request = Request(
            id: "r",
            program: [
                .text("The kind is"), .choose(ChoiceSet(name: "kind", labels: Self.labels, scoring: scoring)),
            ])
        return try #require(try await engine.run(request).choices.first)
    }

    @Test func asWritten() async throws {
        let tokenizer = try Tokenizer(directory: Golden.directory("qwen2-tied"))
        let lengths = Self.labels.map { Double(tokenizer.encode($0, addSpecialTokens: false).count) }
        #expect(Set(lengths).count > 1)
        let plain = try await outcome(ChoiceScoring())
        let logs = plain.logProbabilities
        func softmax(_ scores: [Double]) -> [Double] {
            let weights = scores.map { exp($0 - scores.max()!) }
            return weights.map { $0 / weights.reduce(0, +) }
        }
        func check(_ got: ChoiceOutcome, _ scores: [Double], temperature: Double = 1, _ what: String) {
            let expected = softmax(scores.map { $0 / temperature })
            for (a, b) in zip(got.probabilities, expected) { #expect(abs(a - b) < 1e-12, "\(what)") }
            #expect(got.label == Self.labels[scores.firstIndex(of: scores.max()!)!], "\(what)")
            #expect(got.logProbabilities == logs, "\(what)")
        }
        check(plain, logs, "plain")
        check(try await outcome(.init(perToken: true)), zip(logs, lengths).map { $0 / $1 }, "mean")
        check(try await outcome(.init(temperature: 3)), logs, temperature: 3, "tempered")
        let offsets = [-1.0, -9, 2, -30]
        check(try await outcome(.init(offsets: offsets)), zip(logs, offsets).map { $0 - $1 }, "contextual")
        // What a content-free prompt says itself makes all labels equal.
        let flat = try await outcome(.init(offsets: logs))
        for probability in flat.probabilities { #expect(abs(probability - 0.25) < 1e-12) }
    }
}
