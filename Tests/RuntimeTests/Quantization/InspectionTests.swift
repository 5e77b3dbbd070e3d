import Foundation
import Runtime
import Testing

@Suite struct InspectionTests {
    @Test func plainCheckpoint() throws {
        let found = try ModelInspection(fixture("checkpoints/bf16-sharded"))
        let checkpoint = try Checkpoint(directory: fixture("checkpoints/bf16-sharded"))
        #expect(found.format == "safetensors" && found.files == 3 && found.problem == nil)
        #expect(found.model == checkpoint.configuration)
        #expect(found.digest == (try checkpoint.digest()))
        #expect(found.parameters == checkpoint.tensors.values.reduce(0) { $0 + $1.count })
        #expect(found.tensorBytes == 2 * found.parameters && found.bitsPerWeight == 16)
        #expect(found.schemes.isEmpty && found.quantizedBitsPerWeight == nil)
        #expect(found.tensors.count == checkpoint.tensors.count)
        #expect(found.tensors.contains(.init(name: "model.norm.weight", dtype: "BF16", shape: [16], bytes: 32)))
    }

    @Test func quantizedCheckpoint() throws {
        try temporaryDirectory { directory in
            let model = directory.appending(path: "model")
            try SparseModel(layers: 11).write(to: model)
            let plain = try ModelInspection(model)
            let output = directory.appending(path: "q")
            let scheme = QuantizationScheme(bits: 4, symmetric: false, groupSize: 64)
            let summary = try ModelQuantizer(Checkpoint(directory: model), scheme: scheme).write(to: output)
            let found = try ModelInspection(output)
            #expect(found.problem == nil)
            #expect(found.parameters == plain.parameters, "a packed weight counts as what it stands for")
            #expect(found.schemes.map(\.label) == ["int4 g64 asymmetric"] && found.schemes.map(\.layers) == [77])
            #expect(found.tensorBytes == summary.bytesAfter)
            #expect(found.quantizedBitsPerWeight == summary.bitsPerWeight)
            // 4 bits, an F16 scale and a 4-bit zero point for 64 weights, and the 16 bytes of each weight_shape.
            let bits = try #require(found.quantizedBitsPerWeight)
            #expect(abs(bits - (4 + 16.0 / 64 + 4.0 / 64)) < 0.002)
            // Layer 2 before layer 10.
            let names = found.tensors.map(\.name)
            let second = try #require(names.firstIndex { $0.hasPrefix("model.layers.2.") })
            let tenth = try #require(names.firstIndex { $0.hasPrefix("model.layers.10.") })
            #expect(second < tenth)
        }
    }

    @Test func ggufFile() throws {
        let found = try ModelInspection(fixture("gguf/llama3-v2.gguf"))
        #expect(found.format == "GGUF v2" && found.files == 1 && found.problem == nil && found.digest == nil)
        #expect(
            found.model?.rope.scaling
                == .llama3(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 8192))
        #expect(
            found.tensors.contains(.init(name: "token_embd.weight", dtype: "Q8_0", shape: [512, 32], bytes: 512 * 34)))
        #expect(found.schemes.map(\.label) == ["Q4_0", "Q4_1", "Q8_0"])
    }

    /// As our own export writes it where llama.cpp has no name for the tokenizer: no problem, but to be said.
    @Test func ggufWithoutVocabulary() throws {
        try temporaryDirectory { directory in
            let url = directory.appending(path: "x.gguf")
            var file = GGUFBytes.llama()
            file["tokenizer.ggml.model"] = .string("no_vocab")
            for key in ["tokens", "token_type", "merges", "pre"] { file["tokenizer.ggml." + key] = nil }
            try file.data.write(to: url)
            let found = try ModelInspection(url)
            #expect(found.problem == nil && found.model?.layers == 1 && found.tensors.count == 11)
            #expect(found.note?.contains("there is no vocabulary") == true)
            #expect(try ModelInspection(fixture("gguf/llama.gguf")).note == nil)
            // A tensor too few is a problem still.
            file.tensors.removeLast()
            try file.data.write(to: url)
            #expect(try ModelInspection(url).problem?.contains("missing model.layers.0.mlp.down_proj.weight") == true)
        }
    }

    /// What cannot be imported can still be looked at.
    @Test func problemsAreToldAndNotThrown() throws {
        try temporaryDirectory { directory in
            let url = directory.appending(path: "x.gguf")
            var file = GGUFBytes.llama(pre: "tekken")
            file.tensors.removeLast()
            try file.data.write(to: url)
            let found = try ModelInspection(url)
            #expect(found.tensors.count == 10 && found.model == nil)
            #expect(found.problem?.contains("tokenizer.ggml.pre = tekken is not supported") == true)
        }
        try copied("checkpoints/f32-tied") { directory in
            try editJSON(directory.appending(path: "config.json")) { $0["num_hidden_layers"] = 1 }
            let problem = try ModelInspection(directory).problem
            #expect(problem?.contains("unexpected model.layers.1.") == true)
        }
    }

    @Test func singleFilesAndOthers() throws {
        let file = try ModelInspection(fixture("checkpoints/f32-tied/model.safetensors"))
        #expect(file.model == nil && file.format == "safetensors" && file.tensors.count > 10)
        let said = wording { _ = try ModelInspection(fixture("checkpoints/make.py")) }
        #expect(said?.contains("make.py: the header's length is out of range") == true)
        #expect(wording { _ = try ModelInspection(fixture("nothing")) }?.contains("there is no such directory") == true)
    }
}
