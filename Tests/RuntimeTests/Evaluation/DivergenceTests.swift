import Foundation
import Runtime
import Testing

/// The ruler itself: by hand where a hand can reckon, and on models that differ in a known way.
@Suite struct DivergenceTests {
    private func token(_ p: [Double], _ q: [Double], next: Int) -> TokenDivergence? {
        // Logits are free up to a constant.
        let reference = p.map { Float(log($0) + 3) }
        let candidate = q.map { Float(log($0) - 7) }
        return reference.withUnsafeBufferPointer { reference in
            candidate.withUnsafeBufferPointer {
                TokenDivergence(reference: reference, candidate: $0, next: next)
            }
        }
    }

    @Test func oneToken() throws {
        // KL((½, ¼, ¼) ‖ (¼, ½, ¼)) = ½·ln 2 + ¼·ln ½ = ¼·ln 2
        let result = try #require(token([0.5, 0.25, 0.25], [0.25, 0.5, 0.25], next: 1))
        #expect(abs(result.divergence - log(2) / 4) < 1e-6)
        #expect(!result.sameTop)
        #expect(abs(result.deltaP - 0.25) < 1e-6)
        #expect(abs(result.referenceLoss - log(4)) < 1e-6)
        #expect(abs(result.candidateLoss - log(2)) < 1e-6)
        let same = try #require(token([0.7, 0.2, 0.1], [0.7, 0.2, 0.1], next: 2))
        #expect(same.divergence < 1e-9 && same.sameTop && abs(same.deltaP) < 1e-6)
    }

    @Test func notFinite() {
        #expect(token([0.5, 0.5], [.nan, 0.5], next: 0) == nil)
        #expect(token([0.5, 0.5], [.infinity, 0.5], next: 0) == nil)
    }

    @Test func summary() {
        let tokens = (0..<1000).map { (index: Int) -> TokenDivergence in
            let deltaP: Double = index % 2 == 0 ? 0.1 : -0.1
            return TokenDivergence(
                divergence: Double(index), sameTop: index % 4 != 0, deltaP: deltaP, referenceLoss: 2,
                candidateLoss: 2.5)
        }
        let summary = DivergenceSummary(tokens)
        #expect(summary.tokens == 1000)
        #expect(summary.mean.value == 499.5 && summary.median.value == 499.5)
        #expect(abs(summary.p99.value - 989.01) < 1e-9 && summary.maximum.value == 999)
        #expect(summary.maximum.standardError == nil)
        #expect(summary.sameTop.value == 0.75)
        #expect(abs(summary.deltaP.value - 0.1) < 1e-12)
        #expect(abs(summary.referencePerplexity.value - exp(2)) < 1e-9)
        #expect(abs(summary.candidatePerplexity.value - exp(2.5)) < 1e-9)
        #expect(abs(summary.logRatio.value - 0.5) < 1e-12 && summary.logRatio.standardError! < 1e-12)
        // Runs of 32 neighbours, 31 of them: the spread of their means, 1000/√12/√31 ≈ 52, within the bootstrap's noise.
        #expect((40...65).contains(summary.mean.standardError!))
    }

    /// One token says nothing of its spread.
    @Test func fewTokens() {
        let one = TokenDivergence(divergence: 1, sameTop: true, deltaP: 0, referenceLoss: 1, candidateLoss: 1)
        #expect(DivergenceSummary([one]).mean == Estimate(1, nil))
    }

    @Test func modelAgainstItself() async throws {
        let checkpoint = try Checkpoint(directory: fixture("models/llama"))
        var options = ComparisonOptions()
        options.window = 16
        let vocabulary = Int32(checkpoint.configuration.vocabulary)
        let text = (0..<40).map { Int32($0 * 7) % vocabulary }
        let comparison = try await ModelComparison.run(
            reference: checkpoint, candidate: checkpoint, text: text, options: options)
        #expect(comparison.windows == 2 && comparison.summary.tokens == 30)
        #expect(comparison.summary.maximum.value < 1e-9 && comparison.summary.sameTop.value == 1)
        #expect(comparison.layers.map(\.module) == checkpoint.configuration.decoderLinearLayers.map(\.module))
        #expect(comparison.layers.allSatisfy { $0.outputError == 0 && $0.decibels == .infinity })
    }

    /// Embedding and head are told of where their weights are not the reference's: a tied head's are the embedding's.
    @Test(arguments: ["qwen2-tied", "qwen2-untied"], [true, false])
    func embeddingAndHead(_ name: String, quantizesHead: Bool) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "ends-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let reference = try Checkpoint(directory: fixture("models/\(name)"))
        let model = reference.configuration
        let coarse = QuantizationScheme(bits: 4, groupSize: nil)
        let plan = QuantizationPlan(
            model, scheme: QuantizationScheme(bits: 8, groupSize: nil), embedding: QuantizationScheme(bits: 8),
            head: quantizesHead ? coarse : nil)
        _ = try ModelQuantizer(reference, recipe: QuantizationRecipe(plan: plan)).write(to: directory)
        var options = ComparisonOptions()
        options.window = 16
        let layers = try await ModelComparison.run(
            reference: reference, candidate: Checkpoint(directory: directory),
            text: (0..<32).map { Int32($0 * 7) % Int32(model.vocabulary) }, options: options
        ).layers
        let decoder = model.decoderLinearLayers.map(\.module)
        let differs = quantizesHead || model.tiedEmbeddings
        #expect(layers.map(\.module) == ["model.embed_tokens"] + decoder + (differs ? ["lm_head"] : []))
        #expect(layers[0].scheme == QuantizationScheme(bits: 8).label && layers[0].outputError == nil)
        let embedded = try #require(layers[0].decibels)
        #expect((25...70).contains(embedded), "\(embedded) dB")
        guard let head = layers.last, !head.isInDecoder else { return }
        #expect(head.scheme == (quantizesHead ? coarse : QuantizationScheme(bits: 8)).label)
        let (decibels, error) = (try #require(head.decibels), try #require(head.outputError))
        #expect((quantizesHead ? 5...25 : 25...70).contains(decibels), "\(decibels) dB")
        #expect((quantizesHead ? 0.01...0.5 : 0.0005...0.05).contains(error), "\(error)")
    }

    @Test func badInput() async throws {
        let checkpoint = try Checkpoint(directory: fixture("models/llama"))
        var options = ComparisonOptions()
        options.window = 16
        await #expect(throws: EvaluationError.tooShort(place: "--text", tokens: 3, needed: 16)) {
            try await ModelComparison.run(
                reference: checkpoint, candidate: checkpoint, text: [1, 2, 3], options: options)
        }
        options.window = 1 << 30
        await #expect(throws: EvaluationError.self) {
            try await ModelComparison.run(
                reference: checkpoint, candidate: checkpoint, text: [1, 2, 3], options: options)
        }
    }
}
