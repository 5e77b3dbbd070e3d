import Foundation
import Runtime
import Testing

/// A model's directory: shards and their index, and whether its tensors are the model's.
@Suite struct CheckpointTests {
    private func refusal(_ directory: URL) -> String? { wording { try Checkpoint(directory: directory).validate() } }

    private func editIndex(_ directory: URL, _ change: (inout JSONObject) -> Void) throws {
        try editJSON(directory.appending(path: "model.safetensors.index.json")) { index in
            var map = index["weight_map"]!.object!
            change(&map)
            index["weight_map"] = .object(map)
        }
    }

    @Test func directories() throws {
        try copied("checkpoints/f32-tied") { directory in
            let file = directory.appending(path: "model.safetensors")
            #expect(
                refusal(file)
                    == "\(file.path): is a file, where a model's directory is expected; give the directory that holds config.json"
            )
            let missing = directory.appending(path: "none")
            #expect(refusal(missing) == "\(missing.path): there is no such directory; give the directory of a model")
            let gguf = directory.appending(path: "x.gguf")
            try Data().write(to: gguf)
            #expect(refusal(gguf)?.hasSuffix("make one with: qquant import x.gguf --output DIR") == true)

            try FileManager.default.removeItem(at: file)
            #expect(
                refusal(directory)?.contains(
                    "there is neither model.safetensors nor model.safetensors.index.json; x.gguf is not read") == true)
            try FileManager.default.createDirectory(at: file, withIntermediateDirectories: false)
            #expect(refusal(directory) == "\(file.path): is a directory, where a file is expected")
            let config = directory.appending(path: "config.json")
            try FileManager.default.removeItem(at: config)
            #expect(refusal(directory) == "\(config.path): cannot open the file: No such file or directory (errno 2)")
            try FileManager.default.createDirectory(at: config, withIntermediateDirectories: false)
            #expect(refusal(directory) == "\(config.path): is a directory, where a file is expected")
        }
    }

    @Test func configurationTexts() throws {
        try copied("checkpoints/f32-tied") { directory in
            let config = directory.appending(path: "config.json")
            try Data().write(to: config)
            #expect(refusal(directory)?.contains("config.json, line 1, column 1 (byte 0): the text ends") == true)
            try Data([0x7B, 0x22, 0xC3, 0x28, 0x22, 0x3A, 0x31, 0x7D]).write(to: config)
            #expect(refusal(directory)?.contains("a string that is not valid UTF-8") == true)
            // Larger than any real one, and sparse: refused before it is read.
            let handle = try FileHandle(forWritingTo: config)
            try handle.truncate(atOffset: 1 << 36)
            try handle.close()
            #expect(
                refusal(directory)?.contains("too large: 68719476736 bytes, where at most 67108864 are read") == true)
        }
    }

    @Test func indexNamesAMissingShard() throws {
        try copied("checkpoints/bf16-sharded") { directory in
            let shard = directory.appending(path: "model-00002-of-00003.safetensors")
            try FileManager.default.removeItem(at: shard)
            #expect(refusal(directory) == "\(shard.path): cannot open the file: No such file or directory (errno 2)")
        }
    }

    @Test func indexAndShardsDisagree() throws {
        let one = "model-00001-of-00003.safetensors"
        try copied("checkpoints/bf16-sharded") { directory in
            try editIndex(directory) { $0["model.layers.9.ghost"] = .string(one) }
            #expect(
                refusal(directory)?.hasSuffix(
                    "model.safetensors.index.json → \(one): there is no tensor model.layers.9.ghost") == true)
        }
        try copied("checkpoints/bf16-sharded") { directory in
            try editIndex(directory) {
                $0["model.norm.weight"] =
                    $0["model.norm.weight"] == .string(one) ? "model-00002-of-00003.safetensors" : .string(one)
            }
            #expect(
                refusal(directory)?.contains(
                    "tensor model.norm.weight: is not where the index says; expected model-0000") == true)
        }
        try copied("checkpoints/bf16-sharded") { directory in
            try editIndex(directory) { $0["model.norm.weight"] = nil }
            #expect(
                refusal(directory)?.contains(
                    "tensor model.norm.weight: is not where the index says; expected no such tensor, got model-0000")
                    == true)
        }
        try copied("checkpoints/bf16-sharded") { directory in
            let manager = FileManager.default
            let second = directory.appending(path: "model-00002-of-00003.safetensors")
            try manager.removeItem(at: second)
            try manager.copyItem(at: directory.appending(path: one), to: second)
            #expect(refusal(directory)?.contains("occurs in \(one) too") == true)
        }
    }

    @Test func hostileIndexes() throws {
        try copied("checkpoints/bf16-sharded") { directory in
            func expect(_ text: String, _ message: String) throws {
                try Data(text.utf8).write(to: directory.appending(path: "model.safetensors.index.json"))
                let said = refusal(directory) ?? "accepted"
                #expect(said.contains(message), "got: \(said)")
            }
            try expect("{}", "weight_map is missing or no object")
            try expect(#"{"weight_map":[]}"#, "weight_map is missing or no object")
            try expect(#"{"weight_map":{}}"#, "weight_map is empty")
            try expect(#"{"weight_map":{"a":1}}"#, "the file of a is malformed; expected a string, got an integer")
            for name in ["../../x.safetensors", "/x.safetensors", "a.bin", "sub/a.safetensors", "a\\u0000.safetensors"]
            {
                let problem = "the file of a is no plain name; expected NAME.safetensors"
                try expect("{\"weight_map\":{\"a\":\"\(name)\"}}", problem)
            }
            try expect("{", "model.safetensors.index.json, line 1")
        }
    }

    /// Rewrites the tied model's weights with other shapes.
    private func rewritten(
        _ change: (inout [String: [Int]]) -> Void, dtype: String = "F32", size: Int = 4
    ) throws -> String? {
        try copied("checkpoints/f32-tied") { directory in
            var shapes = try Checkpoint(directory: directory).tensors.mapValues(\.shape)
            change(&shapes)
            let tensors = shapes.sorted { $0.key < $1.key }.map { (name: $0.key, shape: $0.value) }
            try safetensors(tensors, dtype: dtype, size: size).write(to: directory.appending(path: "model.safetensors"))
            return refusal(directory)
        }
    }

    @Test func tensorsThatAreNotTheModels() throws {
        #expect(try rewritten { _ in } == nil)
        func expect(_ message: String, _ change: (inout [String: [Int]]) -> Void) throws {
            let said = try rewritten(change)
            #expect(
                said?.contains("the tensors are not those of the model in config.json: \(message)") == true,
                "got: \(said ?? "accepted")")
        }
        try expect("missing model.layers.1.mlp.up_proj.weight; use") { $0["model.layers.1.mlp.up_proj.weight"] = nil }
        try expect("missing model.embed_tokens.weight;") { $0["model.embed_tokens.weight"] = nil }
        try expect("unexpected model.layers.2.input_layernorm.weight") {
            $0["model.layers.2.input_layernorm.weight"] = [16]
        }
        try expect("unexpected model.layers.0.self_attn.q_proj.bias") {
            $0["model.layers.0.self_attn.q_proj.bias"] = [16]
        }
        try expect("model.norm.weight has shape [17], expected [16]") { $0["model.norm.weight"] = [17] }
        try expect("model.norm.weight has shape [1, 16], expected [16]") { $0["model.norm.weight"] = [1, 16] }
        try expect("model.layers.0.self_attn.k_proj.weight has shape [16, 8], expected [8, 16]") {
            $0["model.layers.0.self_attn.k_proj.weight"] = [16, 8]
        }
        try expect(
            "missing model.norm.weight; model.embed_tokens.weight has shape [41, 16], expected [40, 16]; unexpected x"
        ) {
            $0["model.norm.weight"] = nil
            $0["model.embed_tokens.weight"] = [41, 16]
            $0["x"] = [1]
        }
        // A tied head may be there, and frequencies of old checkpoints.
        #expect(try rewritten { $0["lm_head.weight"] = [40, 16] } == nil)
        #expect(try rewritten { $0["model.layers.0.self_attn.rotary_emb.inv_freq"] = [4] } == nil)
        try expect("lm_head.weight has shape [39, 16], expected [40, 16]") { $0["lm_head.weight"] = [39, 16] }
        #expect(
            try rewritten({ _ in }, dtype: "I32")?.contains(
                "model.embed_tokens.weight is I32, expected F32 or F16 or BF16") == true)
        #expect(try rewritten({ _ in }, dtype: "F8_E4M3", size: 1)?.contains("is F8_E4M3, expected") == true)
        // Thousands of wrong tensors are not listed one by one.
        let many = try rewritten { shapes in for i in 0..<5000 { shapes["extra.\(i)"] = [1] } }
        #expect(many?.contains("and 4993 more like the last") == true && many!.count < 1000)
    }

    @Test func untiedWithoutHead() throws {
        try copied("checkpoints/f32-tied") { directory in
            try editJSON(directory.appending(path: "config.json")) { $0["tie_word_embeddings"] = false }
            #expect(refusal(directory)?.contains("missing lm_head.weight") == true)
        }
    }

    @Test func asking() throws {
        let checkpoint = try Checkpoint(directory: fixture("checkpoints/f16-untied"))
        #expect(wording { _ = try checkpoint.info("nope") }?.hasSuffix("f16-untied: there is no tensor nope") == true)
        #expect(
            wording { _ = try checkpoint.float32("model.norm.weight", shape: [15]) }?.hasSuffix(
                "tensor model.norm.weight: the shape is not the model's; expected [15], got [32]") == true)
    }
}
