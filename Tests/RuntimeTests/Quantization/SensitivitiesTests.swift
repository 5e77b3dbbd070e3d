import Foundation
import Runtime
import Testing

/// Sensitivities as they are measured, and what a dry run expects.
@Suite struct SensitivitiesTests {
    private func calibration(_ model: ModelConfiguration, seed: UInt64 = 1) throws -> CalibrationSet {
        var random = SeededValues(5)
        let text = (0..<4096).map { _ in Int32(random.uniform() * Float(model.vocabulary)) }
        var options = CalibrationSet.Options()
        (options.tokens, options.window, options.seed) = (1024, 64, seed)
        return try CalibrationSet(texts: [text], source: "seeded", vocabulary: model.vocabulary, options: options)
    }

    /// How they were measured stands in their file, so that a call that says otherwise can be refused.
    @Test func howTheyWereMeasured() throws {
        let checkpoint = try Checkpoint(directory: fixture("models/qwen2-tied"))
        let text = try calibration(checkpoint.configuration, seed: .max)
        var options = Sensitivities.Options()
        options.tokens = 2000
        let found = try Sensitivities.measure(checkpoint, calibration: text, options: options)
        #expect(found.calibrationDigest == text.digest && found.calibrationOptions == text.options)
        #expect(found.tokens == 1024 && found.wantedTokens == 2000)
        try temporaryDirectory { directory in
            let file = directory.appending(path: "s.json")
            try found.json.serialized().write(to: file)
            #expect(try Sensitivities(reading: file, of: checkpoint) == found)
        }
    }

    /// A weight that is finite, but makes what is computed with it overflow: said of the layer.
    @Test(arguments: [
        "embed_tokens", "layers.0.self_attn.q_proj", "layers.0.self_attn.v_proj", "layers.0.self_attn.o_proj",
        "layers.0.mlp.gate_proj", "layers.1.mlp.up_proj", "layers.1.mlp.down_proj",
    ])
    func weightsThatOverflow(_ name: String) throws {
        try copied("models/qwen2-tied") { directory in
            // 3e38 in BF16.
            try setFirst(of: "model.\(name).weight", in: directory, to: [0x62, 0x7F])
            let checkpoint = try Checkpoint(directory: directory)
            let said = wording {
                _ = try Sensitivities.measure(checkpoint, calibration: calibration(checkpoint.configuration))
            }
            #expect(said?.hasPrefix("model.\(name)") == true, "got: \(said ?? "measured")")
        }
    }

    /// What smoothing and compensation add, a dry run knows.
    @Test func estimatesCountEachStep() throws {
        let checkpoint = try Checkpoint(directory: fixture("models/qwen2-tied"))
        let model = checkpoint.configuration
        let plan = QuantizationPlan(model, scheme: QuantizationScheme(bits: 4, groupSize: 32))
        func estimate(
            _ method: QuantizationRecipe.Method, smooths: Bool = false, compensation: Float = 0
        ) throws -> QuantizationEstimate {
            var recipe = QuantizationRecipe(plan: plan, method: method, calibration: try calibration(model))
            recipe.smooths = smooths
            recipe.compensation = compensation
            return try ModelQuantizer(checkpoint, recipe: recipe).estimate()
        }
        let (plain, smoothed) = (try estimate(.rtn), try estimate(.rtn, smooths: true))
        #expect(smoothed.memoryBytes > plain.memoryBytes && smoothed.seconds > plain.seconds)
        let (imatrix, gptq) = (try estimate(.imatrix), try estimate(.gptq))
        #expect(try estimate(.imatrix, smooths: true).memoryBytes > imatrix.memoryBytes)
        #expect(try estimate(.gptq, compensation: 0.5).memoryBytes > gptq.memoryBytes)
        var measuring = plain
        measuring.addMeasuring(seconds: 1000)
        #expect(measuring.seconds == plain.seconds + 1000 && measuring.memoryBytes >= plain.memoryBytes)
    }
}
