import Foundation

/// config.json and generation_config.json, out of a GGUF file's metadata.
struct GGUFConfiguration {
    let config: JSONObject
    let generation: JSONObject

    /// `dtype` is the one in which the weights will be written.
    init(_ file: GGUFFile, dtype: DType) throws {
        try file.refuse("general.type", unless: { $0.string == "model" }, supported: "model")
        try file.refuse("split.count", unless: { ($0.int ?? 0) <= 1 }, supported: "a single file")
        let architecture = try file.required("general.architecture", file.string)
        let families = ["llama": ("LlamaForCausalLM", "llama"), "qwen2": ("Qwen2ForCausalLM", "qwen2")]
        guard let (className, modelType) = families[architecture] else {
            throw CheckpointError.unsupported(
                place: file.path, key: "general.architecture", value: printable(architecture), supported: "llama, qwen2"
            )
        }
        let isLlama = architecture == "llama"
        func key(_ name: String) -> String { "\(architecture).\(name)" }
        try file.refuse(key("expert_count"), unless: { $0.int == 0 }, supported: "dense models")
        try file.refuse(key("attention.sliding_window"), unless: { $0.int == 0 }, supported: "none")
        try file.refuse(key("attention.causal"), unless: { $0.bool == true }, supported: "true")

        func size(_ name: String, _ fallback: Int? = nil) throws -> Int {
            guard let value = try file.uniformInt(key(name)) ?? fallback else {
                throw file.failure(key(name), "is missing")
            }
            guard (1...Int(Int32.max)).contains(value) else {
                throw file.failure(key(name), "is out of range", expected: "1 to \(Int32.max)", got: "\(value)")
            }
            return value
        }
        let hidden = try size("embedding_length")
        let heads = try size("attention.head_count")
        let headDim = try size("attention.key_length", hidden / heads)
        for name in ["attention.value_length", "rope.dimension_count"] {
            let supported = "\(headDim), the width of a head"
            try file.refuse(key(name), unless: { $0.int == headDim }, supported: supported)
        }
        guard let embedding = file.tensors.first(where: { $0.name == "token_embd.weight" }) else {
            throw CheckpointError.missingTensor(path: file.path, name: "token_embd.weight")
        }
        let theta = try file.ropeTheta(architecture)
        let names = Set(file.tensors.map(\.name))

        var config: JSONObject = ["architectures": [.string(className)], "model_type": .string(modelType)]
        if isLlama {
            config["attention_bias"] = .bool(names.contains("blk.0.attn_q.bias"))
            config["mlp_bias"] = .bool(names.contains("blk.0.ffn_gate.bias"))
        } else {
            config["use_sliding_window"] = false
        }
        config["hidden_act"] = "silu"
        config["hidden_size"] = .integer(hidden)
        config["intermediate_size"] = .integer(try size("feed_forward_length"))
        config["num_hidden_layers"] = .integer(try size("block_count"))
        config["num_attention_heads"] = .integer(heads)
        config["num_key_value_heads"] = .integer(try size("attention.head_count_kv", heads))
        if headDim * heads != hidden { config["head_dim"] = .integer(headDim) }
        config["max_position_embeddings"] = .integer(try size("context_length"))
        config["rms_norm_eps"] = .number(
            try file.required(key("attention.layer_norm_rms_epsilon"), file.double))
        config["rope_theta"] = .number(theta)
        config["rope_scaling"] = try Self.scaling(file, architecture, theta: theta, headDim: headDim)
        config["tie_word_embeddings"] = .bool(!names.contains("output.weight"))
        config["torch_dtype"] = .string(dtype.torchName!)
        config["vocab_size"] = .integer(embedding.rows)

        var generation = JSONObject()
        let special = try GGUFSpecialTokens(file, vocabulary: embedding.rows)
        if let token = special.bos { generation["bos_token_id"] = .integer(token) }
        if let token = special.eos.first {
            generation["eos_token_id"] =
                special.eos.count == 1 ? .integer(token) : .array(special.eos.map { .integer($0) })
        }
        if let token = special.padding { generation["pad_token_id"] = .integer(token) }
        for (name, value) in generation.members { config[name] = value }
        self.config = config
        self.generation = generation
    }

    /// `rope_scaling` in config.json's terms.
    private static func scaling(
        _ file: GGUFFile, _ architecture: String, theta: Double, headDim: Int
    ) throws -> JSONValue {
        let factor = try file.linearScaling(architecture)
        if let frequencies = file.tensors.first(where: { $0.name == "rope_freqs.weight" }) {
            guard let scaling = try llama3Scaling(file, frequencies, theta: theta, headDim: headDim) else {
                return .null
            }
            return scaling
        }
        guard factor != 1 else { return .null }
        return ["rope_type": "linear", "factor": .number(factor)]
    }

    /// GGUF has no settings for Llama 3's scaling, only the divisor of each frequency that came out of them. They are
    /// recognised by computing them again.
    private static func llama3Scaling(
        _ file: GGUFFile, _ tensor: GGUFFile.Tensor, theta: Double, headDim: Int
    ) throws -> JSONValue? {
        let divisors = try file.frequencyDivisors(tensor, headDim: headDim)
        if divisors.allSatisfy({ $0 == 1 }) { return nil }
        let factor = Double(divisors.last!)
        let (low, high, context) = (1.0, 4.0, 8192.0)
        let isLlama3 = divisors.enumerated().allSatisfy { index, divisor in
            let wavelength = 2 * Double.pi * pow(theta, Double(2 * index) / Double(headDim))
            let smooth = min(1, max(0, (context / wavelength - low) / (high - low)))
            let expected = 1 / ((1 - smooth) / factor + smooth)
            // The divisors were computed in fp32.
            return abs(Double(divisor) - expected) <= 1e-4 * expected
        }
        guard isLlama3 else {
            throw CheckpointError.tensor(
                path: file.path, name: tensor.name, problem: "holds frequencies of an unknown rope scaling",
                expected: "Llama 3's, with low_freq_factor 1, high_freq_factor 4, original context 8192")
        }
        return [
            "rope_type": "llama3", "factor": .number(factor), "low_freq_factor": .number(low),
            "high_freq_factor": .number(high), "original_max_position_embeddings": .integer(Int(context)),
        ]
    }
}

extension ModelConfiguration {
    init(_ settings: GGUFConfiguration, place: String) throws {
        try self.init(
            Settings(.object(settings.config), place: place),
            generation: Settings(.object(settings.generation), place: place))
    }
}

extension GGUFFile {
    /// What positions are divided by; 1 where they are left as they are.
    /// - Throws: `CheckpointError.unsupported` for another scaling.
    fileprivate func linearScaling(_ architecture: String) throws -> Double {
        let typeKey = "\(architecture).rope.scaling.type"
        try refuse(typeKey, unless: { ["none", "linear"].contains($0.string) }, supported: "none, linear")
        guard try string(typeKey) != "none" else { return 1 }
        return try double("\(architecture).rope.scaling.factor") ?? double("\(architecture).rope.scale_linear") ?? 1
    }

    /// What each frequency is divided by, [headDim/2].
    fileprivate func frequencyDivisors(_ tensor: Tensor, headDim: Int) throws -> [Float] {
        guard tensor.type == .f32, tensor.shape == [headDim / 2] else {
            throw CheckpointError.tensor(
                path: path, name: tensor.name, problem: "is not the frequencies of a head",
                expected: "F32 [\(headDim / 2)]", got: "\(tensor.type.name) \(tensor.shape)")
        }
        var divisors = [Float](repeating: 0, count: headDim / 2)
        divisors.withUnsafeMutableBufferPointer { out in
            file.withBytes(tensor.range) { tensor.type.dequantize($0, into: out) }
        }
        return divisors
    }

    /// llama.cpp's, where the file does not say it.
    func ropeTheta(_ architecture: String) throws -> Double { try double("\(architecture).rope.freq_base") ?? 10_000 }

    /// Angle per position of each pair of dimensions, [headDim/2], whatever scaling they come from.
    func frequencies(_ architecture: String, headDim: Int) throws -> [Float] {
        let factor = try linearScaling(architecture)
        let rope = RopeConfiguration(
            theta: try ropeTheta(architecture), scaling: factor == 1 ? .none : .linear(factor: factor))
        let plain = RotaryTable.frequencies(rope, headDim: headDim)
        guard let tensor = tensors.first(where: { $0.name == "rope_freqs.weight" }) else { return plain }
        return zip(plain, try frequencyDivisors(tensor, headDim: headDim)).map { $0 / $1 }
    }

    /// llama.cpp's names for a file that brings no vocabulary.
    var isWithoutVocabulary: Bool { ["no_vocab", "none"].contains(metadata["tokenizer.ggml.model"]?.string) }
}

/// The ids of the special tokens.
struct GGUFSpecialTokens {
    let bos: Int?
    /// The end of the text, and of a turn where that is another token.
    let eos: [Int]
    let unknown: Int?
    let padding: Int?

    init(_ file: GGUFFile, vocabulary: Int) throws {
        func token(_ name: String) throws -> Int? {
            let key = "tokenizer.ggml.\(name)_token_id"
            guard let id = try file.int(key) else { return nil }
            guard (0..<vocabulary).contains(id) else {
                throw file.failure(key, "is no token", expected: "0 to \(vocabulary - 1)", got: "\(id)")
            }
            return id
        }
        bos = try token("bos")
        unknown = try token("unknown")
        padding = try token("padding")
        let end = try [token("eos"), token("eot")].compactMap { $0 }
        eos = end.count == 2 && end[0] == end[1] ? [end[0]] : end
    }
}
