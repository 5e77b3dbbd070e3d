import Foundation

/// How positions are rotated into queries and keys.
public struct RopeConfiguration: Sendable, Equatable {
    public enum Scaling: Sendable, Equatable {
        case none
        /// Positions are divided by `factor`.
        case linear(factor: Double)
        /// Llama 3.1's: long wavelengths are divided by `factor`, short ones kept, those between interpolated.
        case llama3(
            factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalContext: Int)
    }

    public let theta: Double
    public let scaling: Scaling

    public init(theta: Double, scaling: Scaling) {
        self.theta = theta
        self.scaling = scaling
    }
}

/// What config.json (and generation_config.json) say about a model, checked. Whatever the runtime would compute
/// differently from transformers is refused with its key and value.
public struct ModelConfiguration: Sendable, Equatable {
    public enum Family: String, Sendable, CaseIterable {
        case llama, qwen2, mistral

        /// What transformers takes where config.json has no max_position_embeddings.
        var defaultContext: Int {
            switch self {
            case .llama: 2048
            case .qwen2: 32768
            case .mistral: 131_072
            }
        }
    }

    public let family: Family
    /// Decoder layers.
    public let layers: Int
    /// Width of the residual stream.
    public let hidden: Int
    /// Query heads; a multiple of `kvHeads`.
    public let heads: Int
    public let kvHeads: Int
    /// Width of a head; even. heads · headDim need not be `hidden`.
    public let headDim: Int
    /// Width of the MLP.
    public let intermediate: Int
    /// Rows of the embedding and of the head.
    public let vocabulary: Int
    /// Tokens that the model was made for: max_position_embeddings.
    public let contextLength: Int
    public let rmsEpsilon: Float
    public let rope: RopeConfiguration
    /// Whether the head is the embedding.
    public let tiedEmbeddings: Bool
    public let qkvBias: Bool
    public let outputBias: Bool
    public let mlpBias: Bool
    /// The type that the checkpoint is stored in: F32, F16 or BF16.
    public let dtype: DType
    /// From generation_config.json, or else config.json; nil where neither has one.
    public let bosToken: Int32?
    /// Tokens that end a text, from generation_config.json, or else config.json.
    public let eosTokens: [Int32]
    /// `quantization_config` as it stands in config.json.
    public let quantizationJSON: JSONValue?

    /// Rows of q_proj, columns of o_proj.
    public var queryWidth: Int { heads * headDim }
    /// Rows of k_proj and v_proj.
    public var kvWidth: Int { kvHeads * headDim }

    /// Reads config.json's text and, where there is one, generation_config.json's. `place` names the first in errors.
    public init(
        json data: Data, place: String, generation: Data? = nil, generationPlace: String = "generation_config.json"
    ) throws {
        let settings = try Settings(JSONValue(parsing: data, place: place), place: place)
        let generation = try generation.map {
            try Settings(JSONValue(parsing: $0, place: generationPlace), place: generationPlace)
        }
        try self.init(settings, generation: generation)
    }

    init(_ settings: Settings, generation: Settings?) throws {
        let family = try Self.family(settings)
        self.family = family
        try Self.refuseUnsupported(settings, family: family)

        layers = try settings.size("num_hidden_layers", atMost: 10_000)
        hidden = try settings.size("hidden_size")
        heads = try settings.size("num_attention_heads")
        intermediate = try settings.size("intermediate_size")
        vocabulary = try settings.size("vocab_size", atMost: Int(Int32.max))
        // Only Llama's own default is the number of heads; the other two have constants that no checkpoint relies on.
        let heads = heads
        kvHeads = try settings.size("num_key_value_heads", default: family == .llama ? heads : nil)
        guard heads % kvHeads == 0 else {
            throw settings.failure(
                "num_key_value_heads", "does not divide num_attention_heads", expected: "a divisor of \(heads)",
                got: "\(kvHeads)")
        }
        if settings.isSet("head_dim") {
            headDim = try settings.size("head_dim")
        } else {
            guard hidden % heads == 0 else {
                throw settings.failure(
                    "hidden_size", "is no multiple of num_attention_heads and there is no head_dim",
                    expected: "a multiple of \(heads)", got: "\(hidden)")
            }
            headDim = hidden / heads
        }
        guard headDim % 2 == 0 else {
            throw settings.failure("head_dim", "is odd, so it cannot be rotated in pairs", got: "\(headDim)")
        }
        // Both are below 2^31, so the product fits.
        guard heads * headDim <= Int(Int32.max) else {
            throw settings.failure("head_dim", "times num_attention_heads is too large", got: "\(heads) × \(headDim)")
        }
        contextLength = try settings.size("max_position_embeddings", default: family.defaultContext)
        rmsEpsilon = Float(try settings.positive("rms_norm_eps", default: 1e-6, atMost: 1))
        rope = try RopeConfiguration(settings)
        tiedEmbeddings = try settings.flag("tie_word_embeddings", default: false)

        let attentionBias = try family == .llama && settings.flag("attention_bias", default: false)
        qkvBias = attentionBias || family == .qwen2
        outputBias = attentionBias
        mlpBias = try family == .llama && settings.flag("mlp_bias", default: false)
        dtype = try Self.dtype(settings)
        let sources = [generation, settings].compactMap { $0 }
        bosToken = try sources.lazy.compactMap { try $0.tokens("bos_token_id") }.first?.first
        eosTokens = try sources.lazy.compactMap { try $0.tokens("eos_token_id") }.first ?? []
        quantizationJSON = settings["quantization_config"]
    }

    private static func family(_ settings: Settings) throws -> Family {
        let byArchitecture: [String: Family] = [
            "LlamaForCausalLM": .llama, "Qwen2ForCausalLM": .qwen2, "MistralForCausalLM": .mistral,
        ]
        let type = try settings.text("model_type").map { name in
            guard let family = Family(rawValue: name) else {
                throw settings.unsupported("model_type", Family.allCases.map(\.rawValue).joined(separator: ", "))
            }
            return family
        }
        guard let architectures = settings["architectures"] else {
            if let type { return type }
            throw settings.failure("architectures", "is missing", expected: "[\"LlamaForCausalLM\"] or the like")
        }
        guard let names = architectures.array, names.count == 1, let name = names[0].string,
            let family = byArchitecture[name]
        else { throw settings.unsupported("architectures", byArchitecture.keys.sorted().joined(separator: ", ")) }
        guard type == nil || type == family else {
            throw settings.failure(
                "model_type", "contradicts architectures", expected: family.rawValue, got: type?.rawValue)
        }
        return family
    }

    private static func refuseUnsupported(_ settings: Settings, family: Family) throws {
        if let activation = try settings.text("hidden_act"), activation != "silu", activation != "swish" {
            throw settings.unsupported("hidden_act", "silu")
        }
        for key in [
            "num_local_experts", "num_experts", "n_routed_experts", "num_experts_per_tok", "moe_intermediate_size",
            "n_shared_experts", "decoder_sparse_step",
        ] where settings.isSet(key) && settings[key] != 0 {
            throw settings.unsupported(key, "dense models, without a mixture of experts")
        }
        if try settings.flag("use_sliding_window", default: false) {
            throw settings.unsupported("use_sliding_window", "false")
        }
        try refuseWindow(settings, family: family)
        if let types = settings["layer_types"], types.array?.allSatisfy({ $0 == "full_attention" }) != true {
            throw settings.unsupported("layer_types", "full_attention in every layer")
        }
        if let part = settings["partial_rotary_factor"], part.double != 1 {
            throw settings.unsupported("partial_rotary_factor", "1")
        }
        if let method = settings["quantization_config"]?["quant_method"], method != "compressed-tensors" {
            throw settings.unsupported(
                "quantization_config.quant_method", "compressed-tensors", value: method)
        }
    }

    /// A window that is no shorter than the context changes nothing. Qwen2 writes one down even where it is switched
    /// off; Mistral has one unless config.json says null, and Llama none whatever it says.
    private static func refuseWindow(_ settings: Settings, family: Family) throws {
        guard family == .mistral else { return }
        guard settings.object["sliding_window"] != nil else {
            throw settings.failure(
                "sliding_window", "is missing, which means 4096 to transformers", expected: "null, or a number")
        }
        guard settings.isSet("sliding_window") else { return }
        let context = try settings.size("max_position_embeddings", default: family.defaultContext)
        guard try settings.size("sliding_window") < context else { return }
        throw settings.unsupported("sliding_window", "null, or the context of \(context) at the least")
    }

    private static func dtype(_ settings: Settings) throws -> DType {
        // transformers 5 writes `dtype`, those before it `torch_dtype`; without either, fp32 is meant.
        for key in ["dtype", "torch_dtype"] {
            guard let name = try settings.text(key) else { continue }
            guard let dtype = DType.allCases.first(where: { $0.torchName == name }) else {
                throw settings.unsupported(key, "float32, float16, bfloat16")
            }
            return dtype
        }
        return .f32
    }
}

extension RopeConfiguration {
    /// Reads either spelling: `rope_theta` and `rope_scaling` beside each other, or both within `rope_parameters`.
    init(_ settings: Settings) throws {
        guard !(settings.isSet("rope_parameters") && settings.isSet("rope_scaling")) else {
            throw settings.failure("rope_parameters", "and rope_scaling are both there", expected: "one of them")
        }
        let key = settings.isSet("rope_parameters") ? "rope_parameters" : "rope_scaling"
        guard settings.isSet(key) else {
            self.init(theta: try settings.positive("rope_theta", default: 10_000), scaling: .none)
            return
        }
        let rope = try settings.section(key)
        let topTheta = try settings.isSet("rope_theta") ? settings.positive("rope_theta") : nil
        let theta = try rope.positive("rope_theta", default: topTheta ?? 10_000)
        guard topTheta == nil || topTheta == theta else {
            throw rope.failure(
                "rope_theta", "contradicts the one beside \(key)", expected: "\(topTheta!)", got: "\(theta)")
        }
        if let part = rope["partial_rotary_factor"], part.double != 1 {
            throw rope.unsupported("partial_rotary_factor", "1")
        }
        let typeKey = rope.isSet("rope_type") ? "rope_type" : "type"
        switch try rope.text(typeKey) {
        case "default": self.init(theta: theta, scaling: .none)
        case "linear": self.init(theta: theta, scaling: .linear(factor: try rope.positive("factor")))
        case "llama3":
            let low = try rope.positive("low_freq_factor")
            let high = try rope.positive("high_freq_factor")
            guard high > low else {
                throw rope.failure("high_freq_factor", "is not above low_freq_factor \(low)", got: "\(high)")
            }
            self.init(
                theta: theta,
                scaling: .llama3(
                    factor: try rope.positive("factor"), lowFrequencyFactor: low, highFrequencyFactor: high,
                    originalContext: try rope.size("original_max_position_embeddings")))
        case nil: throw rope.failure("rope_type", "is missing", expected: "default, linear or llama3")
        default: throw rope.unsupported(typeKey, "default, linear, llama3")
        }
    }
}
