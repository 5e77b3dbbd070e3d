import Foundation
import Runtime
import Testing

/// config.json in the spellings that occur, read as transformers reads them (Tests/Fixtures/checkpoints/make.py).
@Suite struct ConfigurationTests {
    static let cases = try! JSONValue(
        parsing: Data(contentsOf: fixture("checkpoints/configs.json")), place: "configs.json")["configs"]!.array!

    @Test(arguments: cases.indices)
    func asTransformersReadsIt(_ index: Int) throws {
        let (given, expected) = (Self.cases[index]["config"]!, Self.cases[index]["expected"]!)
        let model = try ModelConfiguration(json: given.serialized(), place: "config.json")
        #expect(model.family.rawValue == expected["family"]?.string)
        #expect(model.hidden == given["hidden_size"]?.int && model.layers == given["num_hidden_layers"]?.int)
        #expect(model.intermediate == given["intermediate_size"]?.int && model.vocabulary == given["vocab_size"]?.int)
        #expect(model.heads == given["num_attention_heads"]?.int)
        #expect(model.contextLength == given["max_position_embeddings"]?.int)
        #expect(model.headDim == expected["headDim"]?.int)
        #expect(model.kvHeads == expected["kvHeads"]?.int)
        #expect(Double(model.rmsEpsilon) == expected["rmsEpsilon"]?.double.map { Double(Float($0)) })
        #expect(model.dtype.torchName == expected["dtype"]?.string)
        #expect(model.tiedEmbeddings == expected["tied"]?.bool)
        #expect(model.qkvBias == expected["qkvBias"]?.bool)
        #expect(model.outputBias == expected["outputBias"]?.bool)
        #expect(model.mlpBias == expected["mlpBias"]?.bool)
        let rope = try #require(expected["rope"])
        #expect(model.rope.theta == rope["rope_theta"]?.double)
        let scaling: RopeConfiguration.Scaling =
            switch rope["rope_type"]?.string {
            case "linear": .linear(factor: rope["factor"]!.double!)
            case "llama3":
                .llama3(
                    factor: rope["factor"]!.double!, lowFrequencyFactor: rope["low_freq_factor"]!.double!,
                    highFrequencyFactor: rope["high_freq_factor"]!.double!,
                    originalContext: rope["original_max_position_embeddings"]!.int!)
            default: .none
            }
        #expect(model.rope.scaling == scaling)
    }

    static func base(_ family: String) -> JSONObject {
        cases.first { $0["expected"]?["family"]?.string == family }!["config"]!.object!
    }

    static func refusal(_ family: String, _ changes: [(String, JSONValue?)], generation: String? = nil) -> String? {
        var config = base(family)
        for (key, value) in changes { config[key] = value }
        return wording {
            _ = try ModelConfiguration(
                json: JSONValue.object(config).serialized(), place: "config.json",
                generation: generation.map { Data($0.utf8) })
        }
    }

    /// Family, changed key and value (nil: removed), the message.
    static let refusals: [(String, String, JSONValue?, String)] = [
        (
            "llama", "rope_scaling", ["rope_type": "yarn", "factor": 4.0],
            "rope_scaling.rope_type = \"yarn\" is not supported; expected default, linear, llama3"
        ),
        (
            "llama", "rope_scaling", ["type": "dynamic", "factor": 2.0],
            "rope_scaling.type = \"dynamic\" is not supported"
        ),
        (
            "llama", "rope_parameters", ["rope_type": "longrope", "rope_theta": 1e4],
            "rope_parameters.rope_type = \"longrope\" is not supported"
        ),
        ("llama", "rope_scaling", ["factor": 2.0], "rope_scaling.rope_type is missing"),
        ("llama", "rope_scaling", ["rope_type": "linear"], "rope_scaling.factor is missing"),
        (
            "llama", "rope_scaling", ["rope_type": "linear", "factor": 0],
            "rope_scaling.factor is out of range; expected a number above 0, got 0.0"
        ),
        (
            "llama", "rope_scaling",
            [
                "rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4,
                "original_max_position_embeddings": 32,
            ], "rope_scaling.high_freq_factor is not above low_freq_factor 4.0; got 4.0"
        ),
        ("llama", "rope_scaling", "linear", "rope_scaling is of the wrong kind; expected an object, got \"linear\""),
        (
            "llama", "rope_parameters", ["rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5],
            "rope_parameters.partial_rotary_factor = 0.5 is not supported; expected 1"
        ),
        ("llama", "rope_theta", -1.0, "rope_theta is out of range; expected a number above 0, got -1.0"),
        ("llama", "rope_theta", "10000", "rope_theta is of the wrong kind; expected a number, got \"10000\""),
        ("llama", "partial_rotary_factor", 0.25, "partial_rotary_factor = 0.25 is not supported"),
        (
            "mistral", "sliding_window", 16,
            "sliding_window = 16 is not supported; expected null, or the context of 64 at the least"
        ),
        ("mistral", "sliding_window", nil, "sliding_window is missing, which means 4096 to transformers"),
        ("qwen2", "use_sliding_window", true, "use_sliding_window = true is not supported; expected false"),
        (
            "qwen2", "layer_types", ["full_attention", "sliding_attention"],
            "layer_types = [\"full_attention\",\"sliding_attention\"] is not supported; expected full_attention in every layer"
        ),
        (
            "llama", "num_local_experts", 8,
            "num_local_experts = 8 is not supported; expected dense models, without a mixture of experts"
        ),
        ("qwen2", "num_experts", 60, "num_experts = 60 is not supported"),
        ("llama", "hidden_act", "gelu", "hidden_act = \"gelu\" is not supported; expected silu"),
        ("llama", "hidden_act", 3, "hidden_act is of the wrong kind; expected a string, got 3"),
        (
            "llama", "architectures", ["GemmaForCausalLM"],
            "architectures = [\"GemmaForCausalLM\"] is not supported; expected LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM"
        ),
        ("llama", "architectures", ["LlamaForSequenceClassification"], "is not supported"),
        (
            "llama", "architectures", ["Qwen2ForCausalLM"],
            "model_type contradicts architectures; expected qwen2, got llama"
        ),
        ("llama", "architectures", "LlamaForCausalLM", "architectures = \"LlamaForCausalLM\" is not supported"),
        ("llama", "model_type", "mixtral", "model_type = \"mixtral\" is not supported; expected llama, qwen2, mistral"),
        (
            "llama", "num_key_value_heads", 3,
            "num_key_value_heads does not divide num_attention_heads; expected a divisor of 2, got 3"
        ),
        ("llama", "num_attention_heads", 3, "is no multiple of num_attention_heads"),
        (
            "llama", "hidden_size", 17,
            "hidden_size is no multiple of num_attention_heads and there is no head_dim; expected a multiple of 2, got 17"
        ),
        ("llama", "head_dim", 7, "head_dim is odd, so it cannot be rotated in pairs; got 7"),
        ("llama", "head_dim", 2_147_483_646, "head_dim times num_attention_heads is too large; got 2 × 2147483646"),
        ("llama", "rms_norm_eps", 0, "rms_norm_eps is out of range; expected a number above 0, up to 1.0, got 0.0"),
        ("llama", "rms_norm_eps", 1e300, "rms_norm_eps is out of range"),
        (
            "llama", "torch_dtype", "float8_e4m3fn",
            "torch_dtype = \"float8_e4m3fn\" is not supported; expected float32, float16, bfloat16"
        ),
        ("llama", "dtype", "int8", "dtype = \"int8\" is not supported"),
        (
            "llama", "tie_word_embeddings", "yes",
            "tie_word_embeddings is of the wrong kind; expected true or false, got \"yes\""
        ),
        (
            "llama", "eos_token_id", [1, -2],
            "eos_token_id is of the wrong kind; expected a token id, or a list of them"
        ),
        ("llama", "bos_token_id", 4_294_967_296, "bos_token_id is of the wrong kind"),
        (
            "llama", "quantization_config", ["quant_method": "gptq"],
            "quantization_config.quant_method = \"gptq\" is not supported; expected compressed-tensors"
        ),
    ]

    @Test(arguments: refusals.indices)
    func refusesByKeyAndValue(_ index: Int) throws {
        let (family, key, value, message) = Self.refusals[index]
        let said = try #require(Self.refusal(family, [(key, value)]), "\(family) \(key) was accepted")
        #expect(said.hasPrefix("config.json: ") && said.contains(message), "got: \(said)")
    }

    @Test(arguments: ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size"])
    func sizes(_ key: String) {
        #expect(Self.refusal("llama", [(key, nil)]) == "config.json: \(key) is missing")
        #expect(Self.refusal("llama", [(key, .null)]) == "config.json: \(key) is missing")
        for value: JSONValue in [0, -4, 2_147_483_648, 1e18] {
            let said = Self.refusal("llama", [(key, value)])
            #expect(
                said?.contains("\(key) is out of range; expected 1 to ") == true,
                "\(key) \(value): \(said ?? "accepted")")
        }
        for value: JSONValue in [1.5, "16", true, [16], 1e19] {
            let said = Self.refusal("llama", [(key, value)])
            #expect(
                said?.contains("\(key) is of the wrong kind; expected a whole number, got ") == true,
                "\(key) \(value): \(said ?? "accepted")")
        }
    }

    @Test func contradictions() {
        let scaling: JSONValue = ["rope_type": "linear", "factor": 2.0]
        #expect(
            Self.refusal("llama", [("rope_scaling", scaling), ("rope_parameters", scaling)])?.contains(
                "rope_parameters and rope_scaling are both there") == true)
        #expect(
            Self.refusal(
                "llama", [("rope_theta", 1e6), ("rope_parameters", ["rope_type": "default", "rope_theta": 1e4])])?
                .contains(
                    "rope_parameters.rope_theta contradicts the one beside rope_parameters; expected 1000000.0, got 10000.0"
                ) == true)
    }

    @Test func acceptsWhatChangesNothing() {
        #expect(Self.refusal("mistral", [("sliding_window", 64)]) == nil, "as long as the context")
        #expect(Self.refusal("llama", [("sliding_window", 16)]) == nil, "not Llama's")
        #expect(Self.refusal("qwen2", [("sliding_window", 16), ("use_sliding_window", false)]) == nil)
        #expect(
            Self.refusal("llama", [("hidden_act", "swish"), ("partial_rotary_factor", 1.0), ("num_experts", 0)]) == nil)
        #expect(Self.refusal("llama", [("model_type", nil)]) == nil)
        #expect(Self.refusal("llama", [("architectures", nil)]) == nil)
        #expect(
            Self.refusal("llama", [("architectures", nil), ("model_type", nil)])?.contains("architectures is missing")
                == true)
    }

    @Test func specialTokensFromGenerationConfigFirst() throws {
        var config = Self.base("llama")
        config["bos_token_id"] = 1
        config["eos_token_id"] = 2
        let data = JSONValue.object(config).serialized()
        let alone = try ModelConfiguration(json: data, place: "c")
        #expect(alone.bosToken == 1 && alone.eosTokens == [2])
        let both = try ModelConfiguration(
            json: data, place: "c", generation: Data(#"{"eos_token_id":[7,8]}"#.utf8))
        #expect(both.bosToken == 1 && both.eosTokens == [7, 8])
        #expect(
            Self.refusal("llama", [], generation: "{").map { $0.hasPrefix("generation_config.json, line 1") } == true)
    }

    @Test(arguments: ["", "[]", "{", "null", "\u{FEFF}{}", "{\"a\":1,\"a\":2}"])
    func noConfiguration(_ text: String) throws {
        let said = try #require(wording { _ = try ModelConfiguration(json: Data(text.utf8), place: "config.json") })
        #expect(said.hasPrefix("config.json"), "got: \(said)")
    }

    /// config.json cut off anywhere, with a byte changed anywhere: refused or read, never a crash.
    @Test func damaged() {
        let whole = JSONValue.object(Self.base("qwen2")).serialized()
        for count in 0..<whole.count - 2 {
            #expect(throws: (any Error).self) { try ModelConfiguration(json: whole.prefix(count), place: "c") }
        }
        for position in whole.indices {
            for byte: UInt8 in [0, 0x22, 0x2D, 0x39, 0x7B, 0xFF] {
                var bytes = whole
                bytes[position] = byte
                _ = try? ModelConfiguration(json: bytes, place: "c")
            }
        }
    }
}
