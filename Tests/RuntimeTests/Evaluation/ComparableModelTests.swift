import Foundation
import Runtime
import Testing

/// What may be compared: a version of the reference, whole, and by the tokens that the reference reads.
@Suite struct ComparableModelTests {
    private func refusal(_ candidate: URL, _ reference: URL) -> String? {
        wording { _ = try ComparableModel(candidate, reference: Checkpoint(directory: reference)) }
    }

    /// Adds a tensor of zeros to a checkpoint of one file.
    private func add(_ name: String, _ shape: [Int], to model: URL) throws {
        let source = try Checkpoint(directory: model)
        let extra = try #require(TensorInfo(name: name, dtype: .i32, shape: shape))
        let writer = try SafetensorsWriter(
            url: model.appending(path: "model.safetensors"), tensors: Array(source.tensors.values) + [extra],
            metadata: [:], overwrite: true)
        for tensor in source.tensors.keys { try source.withBytes(tensor) { try writer.write(tensor, $0) } }
        try [UInt8](repeating: 0, count: extra.byteCount).withUnsafeBytes { try writer.write(name, $0) }
        try writer.finish()
    }

    /// The order of columns, without which the others mean something else: whoever would compute with them refuses it.
    @Test func anOrderOfColumnsIsRefused() throws {
        try temporaryDirectory { directory in
            let reference = fixture("models/qwen2-tied")
            let model = directory.appending(path: "q")
            _ = try ModelQuantizer(
                Checkpoint(directory: reference), scheme: QuantizationScheme(bits: 4, groupSize: 32)
            ).write(to: model)
            try add("model.layers.0.self_attn.q_proj.weight_g_idx", [64], to: model)
            let problem = try ModelInspection(model).problem
            #expect(problem?.contains("unexpected model.layers.0.self_attn.q_proj.weight_g_idx") == true)
            let checkpoint = try Checkpoint(directory: model)
            var options = EngineOptions()
            options.stages = 1
            options.cacheBytes = 8 << 20
            #expect(wording { _ = try Engine(checkpoint, tokenizer: nil, options: options) } == problem)
            #expect(wording { _ = try ModelDequantizer(checkpoint) } == problem)
            #expect(refusal(model, reference) == problem)
        }
    }

    // MARK: Configurations

    private static let edits: [(change: [String: JSONValue], said: String)] = [
        (["rms_norm_eps": 1e-6], "rms_norm_eps differs; expected 1e-05, got 1e-06"),
        (
            ["rope_parameters": ["rope_theta": 20_000.0, "rope_type": "default"]],
            "rope_theta differs; expected 10000.0, got 20000.0"
        ),
        (
            ["rope_parameters": ["rope_theta": 10_000.0, "rope_type": "linear", "factor": 2.0]],
            "rope_scaling differs; expected pair 0 turned by 1.0 a position, got 0.5"
        ),
        // The same shapes.
        (
            ["num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 8],
            "num_attention_heads differs; expected 4, got 8"
        ),
        (["hidden_act": "gelu"], "hidden_act = \"gelu\" is not supported; expected silu"),
    ]

    @Test func anotherFunctionIsRefused() throws {
        let reference = fixture("models/llama")
        for (change, said) in Self.edits {
            try copied("models/llama") { candidate in
                try editJSON(candidate.appending(path: "config.json")) { config in
                    for (key, value) in change { config[key] = value }
                }
                let got = refusal(candidate, reference)
                #expect(got?.contains(said) == true, "\(change): \(got ?? "accepted")")
            }
        }
        let other = refusal(fixture("models/llama-linear"), reference)
        #expect(other?.contains("num_hidden_layers differs; expected 2, got 3") == true, "\(other ?? "accepted")")
    }

    /// How weights are stored, who wrote them, and for how long a text.
    @Test func otherSettingsMayDiffer() throws {
        try copied("models/llama") { candidate in
            try editJSON(candidate.appending(path: "config.json")) { config in
                config["dtype"] = "bfloat16"
                config["transformers_version"] = "4.0.0"
                config["_name_or_path"] = "elsewhere"
                config["max_position_embeddings"] = 128
            }
            #expect(refusal(candidate, fixture("models/llama")) == nil)
        }
    }

    // MARK: Tokenizers

    private func withTokenizer(_ change: (inout JSONObject) throws -> Void, _ body: (String?) -> Void) throws {
        try copied("models/qwen2-tied") { candidate in
            try editJSON(candidate.appending(path: "tokenizer.json"), change)
            body(refusal(candidate, fixture("models/qwen2-tied")))
        }
    }

    private func editModel(_ file: inout JSONObject, _ change: (inout JSONObject) throws -> Void) throws {
        var model = try #require(file["model"]?.object)
        try change(&model)
        file["model"] = .object(model)
    }

    @Test func anotherTokenizerIsRefused() throws {
        func expect(_ said: String, _ change: (inout JSONObject) throws -> Void) throws {
            try withTokenizer(change) { got in
                #expect(got?.contains("the reference: tokenizer.json, \(said)") == true, "\(got ?? "accepted")")
            }
        }
        try expect("model.vocab.! differs; expected 0, got 1") { file in
            try editModel(&file) { model in
                var vocabulary = try #require(model["vocab"]?.object)
                (vocabulary["!"], vocabulary["\""]) = (vocabulary["\""], vocabulary["!"])
                model["vocab"] = .object(vocabulary)
            }
        }
        try expect("model.merges[") { file in
            try editModel(&file) { model in
                model["merges"] = .array(Array(try #require(model["merges"]?.array).dropLast()))
            }
        }
        try expect("pre_tokenizer.use_regex differs; expected true, got false") { file in
            var preTokenizer = try #require(file["pre_tokenizer"]?.object)
            preTokenizer["use_regex"] = false
            file["pre_tokenizer"] = .object(preTokenizer)
        }
        try expect("normalizer") { $0["normalizer"] = ["type": "NFC"] }
        try expect("added_tokens.<|im_end|> differs; expected 301, got nothing") { file in
            file["added_tokens"] = .array(Array(try #require(file["added_tokens"]?.array).dropLast()))
        }
        try copied("models/qwen2-tied") { candidate in
            try Data("{".utf8).write(to: candidate.appending(path: "tokenizer.json"))
            #expect(refusal(candidate, fixture("models/qwen2-tied"))?.contains("tokenizer.json, line 1") == true)
        }
    }

    /// As another library writes it: merges as "a b", defaults left out, a token more for padding; or no tokenizer.
    @Test func aTokenizerMayBeSavedAnew() throws {
        let change: (inout JSONObject) throws -> Void = { file in
            try editModel(&file) { model in
                let merges = try #require(model["merges"]?.array)
                model["merges"] = .array(
                    try merges.map { merge -> JSONValue in
                        .string(try #require(merge.array).compactMap(\.string).joined(separator: " "))
                    })
                for key in ["ignore_merges", "fuse_unk", "byte_fallback"] { model[key] = nil }
            }
            file["truncation"] = ["max_length": 64]
            file["normalizer"] = nil
            let padding: JSONValue = ["id": 302, "content": "<pad>", "special": true]
            file["added_tokens"] = .array(try #require(file["added_tokens"]?.array) + [padding])
        }
        try withTokenizer(change) { #expect($0 == nil) }
        try copied("models/qwen2-tied") { candidate in
            try FileManager.default.removeItem(at: candidate.appending(path: "tokenizer.json"))
            #expect(refusal(candidate, fixture("models/qwen2-tied")) == nil)
        }
    }

    // MARK: GGUF

    @Test func ggufOfAnotherModelIsRefused() throws {
        try temporaryDirectory { directory in
            let url = directory.appending(path: "x.gguf")
            let reference = directory.appending(path: "model")
            let original = GGUFBytes.llama()
            try original.data.write(to: url)
            _ = try GGUFImport(url: url).write(to: reference)
            #expect(refusal(url, reference) == nil)
            guard case .strings(var tokens)? = original["tokenizer.ggml.tokens"] else {
                preconditionFailure("the file has a vocabulary")
            }
            tokens.swapAt(300, 301)
            let changes: [(key: String, value: GGUFBytes.Value, said: String)] = [
                ("llama.rope.freq_base", .f32(20_000), "llama.rope.freq_base differs; expected 10000.0, got 20000.0"),
                (
                    "llama.attention.layer_norm_rms_epsilon", .f32(1e-6),
                    "llama.attention.layer_norm_rms_epsilon differs; expected 1e-05, got 1e-06"
                ),
                ("llama.attention.head_count", .u32(1), "llama.attention.head_count differs; expected 2, got 1"),
                ("llama.rope.scaling.factor", .f32(2), "llama.rope.scaling differs"),
                ("general.architecture", .string("qwen2"), "general.architecture differs; expected llama, got qwen2"),
                ("tokenizer.ggml.tokens", .strings(tokens), "tokenizer.ggml.tokens[300] differs"),
            ]
            for (key, value, said) in changes {
                var file = original
                file[key] = value
                try file.data.write(to: url)
                let got = refusal(url, reference)
                #expect(got?.contains(said) == true, "\(key): \(got ?? "accepted")")
            }
        }
    }

    /// Exported and read again, the weights are what they were, to the half of a step of Q8_0; Mistral's too, which
    /// llama.cpp calls Llama, and with frequencies that no settings of GGUF's describe.
    @Test(arguments: ["llama", "mistral", "llama3-rope", "qwen2-tied"])
    func exportedModels(_ name: String) throws {
        try copied("models/" + (name == "mistral" ? "llama" : name)) { model in
            if name == "mistral" {
                try editJSON(model.appending(path: "config.json")) { config in
                    config["architectures"] = ["MistralForCausalLM"]
                    config["model_type"] = "mistral"
                    config["sliding_window"] = JSONValue.null
                }
            }
            let reference = try Checkpoint(directory: model)
            let url = model.appending(path: "x.gguf")
            _ = try GGUFExport(reference, format: .q80).write(to: url)
            let candidate = try ComparableModel(url, reference: reference).checkpoint
            for layer in [reference.configuration.embedding] + reference.configuration.decoderLinearLayers {
                let shape = [layer.rows, layer.columns]
                let expected = try reference.float32(layer.weight, shape: shape)
                let got = try candidate.float32(layer.weight, shape: shape)
                let worst = zip(expected, got).map { abs($0 - $1) }.max() ?? 0
                let bound = (expected.map(\.magnitude).max() ?? 0) / 127
                #expect(worst <= bound, "\(name) \(layer.module): \(worst), at most \(bound)")
            }
        }
    }

    /// A tied head that has got weights of its own keeps them in GGUF.
    @Test func ggufWithAHeadOfItsOwn() throws {
        try temporaryDirectory { directory in
            let reference = try Checkpoint(directory: fixture("models/qwen2-tied"))
            let model = directory.appending(path: "q")
            _ = try ModelQuantizer(
                reference, scheme: QuantizationScheme(bits: 8, groupSize: 32), quantizesHead: true
            ).write(to: model)
            let url = directory.appending(path: "q.gguf")
            _ = try GGUFExport(Checkpoint(directory: model), format: .q80).write(to: url)
            #expect(refusal(model, fixture("models/qwen2-tied")) == nil)
            let candidate = try ComparableModel(url, reference: reference).checkpoint
            #expect(!candidate.configuration.tiedEmbeddings && candidate.tensors["lm_head.weight"] != nil)
        }
    }

    /// The dequantized copy has no name in the file system, and can be read all the same.
    @Test func theCopyIsUnlinked() throws {
        try temporaryDirectory { directory in
            let url = directory.appending(path: "x.gguf")
            try GGUFBytes.llama().data.write(to: url)
            let checkpoint = try ComparableModel(url).checkpoint
            #expect(!FileManager.default.fileExists(atPath: checkpoint.directory.path))
            #expect(try checkpoint.float32("model.norm.weight", shape: [8]).count == 8)
        }
    }
}
