import Foundation
import Runtime
import Testing

/// Whole checkpoints by methods that need calibration.
@Suite struct CalibratedModelTests {
    private func calibration(_ model: ModelConfiguration, tokens: Int = 1024) throws -> CalibrationSet {
        var random = SeededValues(21)
        let texts = (0..<10).map { _ in
            (0..<tokens / 8).map { _ in Int32(random.uniform() * random.uniform() * Float(model.vocabulary)) }
        }
        var options = CalibrationSet.Options()
        options.tokens = tokens
        options.window = 64
        return try CalibrationSet(texts: texts, source: "seeded", vocabulary: model.vocabulary, options: options)
    }

    private func recipe(
        _ checkpoint: Checkpoint, _ method: QuantizationRecipe.Method, bits: Int = 4
    ) throws -> QuantizationRecipe {
        let plan = QuantizationPlan(checkpoint.configuration, scheme: QuantizationScheme(bits: bits, groupSize: 32))
        return QuantizationRecipe(
            plan: plan, method: method, calibration: try calibration(checkpoint.configuration))
    }

    /// Mean over layers of the outputs' relative error, on the calibration text, by the weights alone.
    private func error(_ checkpoint: Checkpoint, _ recipe: QuantizationRecipe, in directory: URL) async throws -> Double
    {
        let output = directory.appending(path: recipe.label + "-\(recipe.compensation)-\(recipe.quantizesActivations)")
        _ = try ModelQuantizer(checkpoint, recipe: recipe).write(to: output)
        let candidate = try Checkpoint(directory: output)
        try candidate.validate()
        var options = ComparisonOptions()
        options.window = 64
        options.layerWindows = 16
        options.precision = .fp32
        let text = recipe.calibration?.windows.flatMap { $0 } ?? []
        let comparison = try await ModelComparison.run(
            reference: checkpoint, candidate: candidate, text: text, options: options)
        let errors = comparison.layers.compactMap(\.outputError)
        return errors.reduce(0, +) / Double(errors.count)
    }

    @Test(arguments: ["qwen2-tied", "llama"])
    func eachMethodHasItsPlace(_ name: String) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "methods-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let checkpoint = try Checkpoint(directory: fixture("models/\(name)"))
        var errors: [String: Double] = [:]
        for method in QuantizationRecipe.Method.allCases {
            errors[method.rawValue] = try await error(checkpoint, recipe(checkpoint, method), in: directory)
        }
        var smoothed = try recipe(checkpoint, .gptq)
        smoothed.smooths = true
        errors["awq+gptq"] = try await error(checkpoint, smoothed, in: directory)
        let (rtn, mse, gptq) = (errors["rtn"]!, errors["mse"]!, errors["gptq"]!)
        #expect(mse < rtn && gptq < mse, "\(errors)")
        #expect(errors["imatrix"]! < rtn && errors["awq"]! < rtn && errors["awq+gptq"]! < mse, "\(errors)")
    }

    /// The head alone, also one that is parted from its embedding: GPTQ rounds it by what reaches it.
    @Test(arguments: ["qwen2-tied", "qwen2-untied"])
    func theHeadIsCalibratedToo(_ name: String) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "head-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let checkpoint = try Checkpoint(directory: fixture("models/\(name)"))
        let model = checkpoint.configuration
        var divergences: [QuantizationRecipe.Method: Double] = [:]
        for method in [QuantizationRecipe.Method.mse, .gptq] {
            var plan = QuantizationPlan(model)
            plan["lm_head"] = QuantizationScheme(bits: 4, groupSize: nil)
            let recipe = QuantizationRecipe(plan: plan, method: method, calibration: try calibration(model))
            let output = directory.appending(path: method.rawValue)
            _ = try ModelQuantizer(checkpoint, recipe: recipe).write(to: output)
            var options = ComparisonOptions()
            options.window = 64
            options.precision = .fp32
            let comparison = try await ModelComparison.run(
                reference: checkpoint, candidate: try Checkpoint(directory: output),
                text: recipe.calibration?.windows.flatMap { $0 } ?? [], options: options)
            divergences[method] = comparison.summary.mean.value
        }
        #expect(divergences[.gptq]! < 0.9 * divergences[.mse]!, "\(divergences)")
    }

    @Test func provenanceStandsInTheFile() throws {
        try temporaryDirectory { directory in
            let checkpoint = try Checkpoint(directory: fixture("models/qwen2-tied"))
            let output = directory.appending(path: "q")
            let recipe = try recipe(checkpoint, .gptq)
            _ = try ModelQuantizer(checkpoint, recipe: recipe).write(to: output)
            let metadata = try Checkpoint(directory: output).files[0].metadata
            #expect(metadata["format"] == "pt")
            #expect(metadata["qquant.method"] == "gptq")
            #expect(metadata["qquant.version"] == QuantizationRecipe.toolVersion)
            #expect(try metadata["qquant.source_sha256"] == checkpoint.digest())
            #expect(metadata["qquant.calibration_sha256"] == recipe.calibration?.digest)
            #expect(metadata["qquant.calibration_tokens"] == "1024")
            #expect(metadata["qquant.calibration_seed"] == "1")
        }
    }

    /// What a budget aimed at and rested on, and the text even where the method itself reads none.
    @Test func aBudgetStandsInTheFile() throws {
        try temporaryDirectory { directory in
            let checkpoint = try Checkpoint(directory: fixture("models/qwen2-tied"))
            let text = try calibration(checkpoint.configuration)
            let found = try Sensitivities.measure(checkpoint, calibration: text)
            let limit = Budget.Limit.bitsPerWeight(6.5)
            let plan = try Budget.plan(checkpoint, found, limit: limit).plan
            var recipe = QuantizationRecipe(plan: plan, method: .mse, calibration: text)
            recipe.budget = Budget.Record(limit: limit, sensitivities: found)
            let output = directory.appending(path: "q")
            _ = try ModelQuantizer(checkpoint, recipe: recipe).write(to: output)
            let metadata = try Checkpoint(directory: output).files[0].metadata
            #expect(metadata["qquant.target_bpw"] == "6.5")
            #expect(metadata["qquant.sensitivities_sha256"] == found.digest)
            #expect(metadata["qquant.sensitivities_tokens"] == "512")
            #expect(metadata["qquant.calibration_sha256"] == text.digest)
            #expect(metadata["qquant.activations"] == nil)
        }
    }

    /// compressed-tensors takes an order of columns for groups, and not for whole rows.
    @Test(arguments: [32, nil] as [Int?])
    func orderIsSaidOfGroups(_ groupSize: Int?) throws {
        try temporaryDirectory { directory in
            let checkpoint = try Checkpoint(directory: fixture("models/qwen2-tied"))
            let scheme = QuantizationScheme(bits: 8, groupSize: groupSize)
            let recipe = QuantizationRecipe(
                plan: QuantizationPlan(checkpoint.configuration, scheme: scheme), method: .gptq,
                calibration: try calibration(checkpoint.configuration))
            let output = directory.appending(path: "q")
            _ = try ModelQuantizer(checkpoint, recipe: recipe).write(to: output)
            let quantization = try #require(try Checkpoint(directory: output).quantization)
            #expect(quantization.groups.map(\.activationOrder) == [groupSize != nil])
        }
    }

    /// Refused weights leave no layers behind: those of the mended model are others.
    @Test(arguments: ["model.layers.1.mlp.up_proj.weight", "model.norm.weight"])
    func refusedWeightsLeaveNothing(_ tensor: String) throws {
        try copied("models/qwen2-tied") { directory in
            // NaN in BF16.
            try setFirst(of: tensor, in: directory, to: [0xC0, 0x7F])
            let checkpoint = try Checkpoint(directory: directory)
            let folder = directory.deletingLastPathComponent()
            let quantizer = try ModelQuantizer(checkpoint, recipe: recipe(checkpoint, .gptq))
            let said = wording { _ = try quantizer.write(to: folder.appending(path: "q")) }
            #expect(said?.contains(tensor) == true && said?.contains("NaN") == true, "got: \(said ?? "written")")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["model"])
        }
    }

    /// A weight that is finite, but makes what is computed with it overflow: said of the layer, and nothing is written.
    @Test(
        arguments: [
            "layers.0.self_attn.q_proj", "layers.0.self_attn.v_proj", "layers.0.self_attn.o_proj",
            "layers.0.mlp.gate_proj", "layers.1.mlp.up_proj", "layers.1.mlp.down_proj", "embed_tokens",
        ], [Float(0), 0.5])
    func activationsThatOverflow(_ name: String, _ compensation: Float) throws {
        try copied("models/qwen2-tied") { directory in
            try setFirst(of: "model.\(name).weight", in: directory, to: [0x62, 0x7F])
            let checkpoint = try Checkpoint(directory: directory)
            let folder = directory.deletingLastPathComponent()
            var recipe = try recipe(checkpoint, .gptq)
            recipe.compensation = compensation
            let said = wording {
                _ = try ModelQuantizer(checkpoint, recipe: recipe).write(to: folder.appending(path: "q"))
            }
            let expected = "model.\(name): the activations overflow on the calibration text: its outputs for "
            #expect(said?.hasPrefix(expected) == true, "got: \(said ?? "written")")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["model"])
        }
    }

    /// The same by every method that reads activations; a norm has no layer of its own, so the first behind it is named.
    @Test(arguments: [QuantizationRecipe.Method.imatrix, .gptq, .awq])
    func inputsThatOverflow(_ method: QuantizationRecipe.Method) throws {
        try copied("models/qwen2-tied") { directory in
            try setFirst(of: "model.layers.1.input_layernorm.weight", in: directory, to: [0x62, 0x7F])
            let checkpoint = try Checkpoint(directory: directory)
            let folder = directory.deletingLastPathComponent()
            let quantizer = try ModelQuantizer(checkpoint, recipe: recipe(checkpoint, method))
            let said = wording { _ = try quantizer.write(to: folder.appending(path: "q")) }
            let expected = "model.layers.1.self_attn.q_proj: the activations overflow on the calibration text: "
            #expect(said?.hasPrefix(expected) == true, "got: \(said ?? "written")")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["model"])
        }
    }

    /// Smoothing multiplies weights: where that overflows, the checkpoint is not called damaged.
    @Test func smoothingThatOverflows() throws {
        try copied("models/qwen2-tied") { directory in
            try setFirst(of: "model.layers.1.mlp.up_proj.weight", in: directory, to: [0x62, 0x7F])
            let checkpoint = try Checkpoint(directory: directory)
            let folder = directory.deletingLastPathComponent()
            var recipe = try recipe(checkpoint, .gptq)
            recipe.smooths = true
            let said = try #require(
                wording { _ = try ModelQuantizer(checkpoint, recipe: recipe).write(to: folder.appending(path: "q")) })
            #expect(said.contains("model.layers.1.mlp.up_proj") && said.contains("overflow"), "got: \(said)")
            #expect(!said.contains("download"), "got: \(said)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["model"])
        }
    }

    /// Layers that an earlier recipe has left for the same output go; those of other outputs stay, however these are called.
    @Test func layersOfOtherOutputsStay() throws {
        try temporaryDirectory { directory in
            let stale = ".m.0123456789abcdef.layers"
            let others = [
                ".m.v2.0123456789abcdef.layers", ".m.0123456789abcde.layers", ".m.0123456789abcdef0.layers",
                ".m.what_i_have_done.layers", ".mm.0123456789abcdef.layers",
            ]
            for name in others + [stale] {
                let folder = directory.appending(path: name)
                try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
                try Data().write(to: folder.appending(path: "layer-0.safetensors"))
            }
            let checkpoint = try Checkpoint(directory: fixture("models/qwen2-tied"))
            let output = directory.appending(path: "m")
            _ = try ModelQuantizer(checkpoint, recipe: recipe(checkpoint, .imatrix)).write(to: output)
            let left = try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
            #expect(left == (others + ["m"]).sorted())
        }
    }

    /// The result depends on source, recipe and calibration, and on nothing else.
    @Test func threadsDoNotMatter() throws {
        try temporaryDirectory { directory in
            let checkpoint = try Checkpoint(directory: fixture("models/qwen2-tied"))
            var digests: Set<String> = []
            for threads in [1, 2, 3] {
                var recipe = try recipe(checkpoint, .gptq)
                recipe.compensation = 0.5
                recipe.threads = threads
                let output = directory.appending(path: "q\(threads)")
                _ = try ModelQuantizer(checkpoint, recipe: recipe).write(to: output)
                digests.insert(try Checkpoint(directory: output).digest())
            }
            #expect(digests.count == 1)
        }
    }

    /// Shards hold what one file would have held.
    @Test func shardsAndTheirIndex() throws {
        try temporaryDirectory { directory in
            let checkpoint = try Checkpoint(directory: fixture("models/qwen2-tied"))
            var recipe = try recipe(checkpoint, .rtn)
            let (one, many) = (directory.appending(path: "one"), directory.appending(path: "many"))
            _ = try ModelQuantizer(checkpoint, recipe: recipe).write(to: one)
            recipe.maxShardBytes = 20_000
            _ = try ModelQuantizer(checkpoint, recipe: recipe).write(to: many)
            let (single, sharded) = (try Checkpoint(directory: one), try Checkpoint(directory: many))
            try sharded.validate()
            #expect(sharded.files.count > 2)
            #expect(single.tensors == sharded.tensors)
            for name in single.tensors.keys {
                #expect(try single.withBytes(name) { Data($0) } == sharded.withBytes(name) { Data($0) }, "\(name)")
            }
            for file in sharded.files {
                let bytes = file.entries.values.reduce(0) { $0 + $1.info.byteCount }
                #expect(bytes <= 20_000 || file.entries.count == 1)
            }
        }
    }

    // MARK: A quantized embedding

    /// A tied embedding that is quantized once serves as embedding and as head, as its dequantized values would.
    @Test(arguments: ["qwen2-tied", "qwen2-untied"])
    func quantizedEmbedding(_ name: String) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "embedding-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let checkpoint = try Checkpoint(directory: fixture("models/\(name)"))
        let plan = QuantizationPlan(
            checkpoint.configuration, scheme: QuantizationScheme(bits: 8), embedding: QuantizationScheme(bits: 4))
        let (packed, plain) = (directory.appending(path: "packed"), directory.appending(path: "plain"))
        _ = try ModelQuantizer(checkpoint, recipe: QuantizationRecipe(plan: plan, method: .mse)).write(to: packed)
        let quantized = try Checkpoint(directory: packed)
        try quantized.validate()
        #expect(quantized.configuration.tiedEmbeddings == checkpoint.configuration.tiedEmbeddings)
        #expect(quantized.tensors["model.embed_tokens.weight"] == nil)
        #expect(quantized.tensors["lm_head.weight_packed"] == nil)
        try ModelDequantizer(quantized, dtype: .f32).write(to: plain)
        var options = ComparisonOptions()
        options.window = 32
        options.precision = .fp32
        let text = (0..<64).map { Int32($0 * 29 % 100) }
        let comparison = try await ModelComparison.run(
            reference: Checkpoint(directory: plain), candidate: quantized, text: text, options: options)
        #expect(comparison.summary.maximum.value < 1e-9, "the same numbers: \(comparison.summary.maximum.value)")
        #expect(comparison.summary.sameTop.value == 1)
        // And as it runs, with int8 activations, it is near.
        options.precision = .auto
        let running = try await ModelComparison.run(
            reference: Checkpoint(directory: plain), candidate: quantized, text: text, options: options)
        #expect(running.summary.mean.value < 0.01, "\(running.summary.mean.value)")
    }

    // MARK: Calibration that cannot be used

    private func refusal(_ texts: [[Int32]], vocabulary: Int = 100) -> String? {
        wording { _ = try CalibrationSet(texts: texts, source: "texts.jsonl", vocabulary: vocabulary) }
    }

    @Test func unusableCalibration() throws {
        #expect(refusal([]) == "texts.jsonl: the calibration is empty; give a file with text")
        #expect(refusal([[], []]) == "texts.jsonl: the calibration is empty; give a file with text")
        #expect(
            refusal([[1, 2, 3]])
                == "texts.jsonl: the calibration is too short; expected at least 512 tokens, got 3; give more text")
        let long = [Int32](repeating: 5, count: 600)
        #expect(
            refusal([long, [5, 100]])
                == "texts.jsonl: the calibration holds tokens of another model; expected 0 to 99, got 100; give text, or tokens of this model's tokenizer"
        )
        #expect(refusal([long, [-1]])?.contains("tokens of another model") == true)
        let checkpoint = try Checkpoint(directory: fixture("models/qwen2-tied"))
        let plan = QuantizationPlan(checkpoint.configuration, scheme: QuantizationScheme(bits: 4, groupSize: 32))
        #expect(
            wording { _ = try ModelQuantizer(checkpoint, recipe: QuantizationRecipe(plan: plan, method: .gptq)) }?
                .hasSuffix("the method gptq needs calibration; give --calibration FILE") == true)
    }

    @Test func windowsAreDrawnBySeed() throws {
        let texts = (0..<20).map { text in (0..<100).map { Int32(text * 4 + $0 % 4) } }
        func set(_ seed: UInt64, tokens: Int = 1024) throws -> CalibrationSet {
            var options = CalibrationSet.Options()
            (options.tokens, options.window, options.seed) = (tokens, 64, seed)
            return try CalibrationSet(texts: texts, source: "", vocabulary: 100, options: options)
        }
        #expect(try set(1) == set(1))
        #expect(try set(1).digest != set(2).digest)
        #expect(try set(1).tokens == 1024)
        #expect(try set(1, tokens: 100_000).tokens == 1984, "whole windows of all there is")
        #expect(try set(1).windows.allSatisfy { $0.count == 64 })
    }

    // MARK: Sensitivities

    @Test func measuredSensitivitiesServeABudget() throws {
        let checkpoint = try Checkpoint(directory: fixture("models/qwen2-tied"))
        let found = try Sensitivities.measure(checkpoint, calibration: calibration(checkpoint.configuration))
        // Four sets a layer, and the tied embedding.
        #expect(found.entries.count == 4 * checkpoint.configuration.layers + 1)
        for entry in found.entries {
            let choices = entry.choices
            #expect(choices.allSatisfy { $0.divergence > 0 && $0.divergence.isFinite }, "\(entry.modules)")
            let coarse = choices.first { $0.scheme.bits == 4 }!
            let fine = choices.last { $0.scheme.bits == 8 }!
            #expect(fine.divergence < coarse.divergence / 20, "\(entry.modules): \(choices)")
        }
        let (plan, _) = try Budget.plan(checkpoint, found, limit: .bitsPerWeight(6.5))
        let summary = try ModelQuantizer(checkpoint, recipe: QuantizationRecipe(plan: plan)).plan
        #expect(summary.totalBitsPerWeight <= 6.5 && summary.totalBitsPerWeight > 5.5, "\(summary.totalBitsPerWeight)")
        #expect(Set(summary.layers.map(\.scheme)).count > 1)
    }
}
