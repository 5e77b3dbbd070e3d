import Foundation

/// Whether a model is a version of its reference: the same function of the same tokens, in all but the weights.
///
/// How weights are stored may differ, and whether the head is tied: `--quantize-head` gives a tied one its own.
struct VersionCheck {
    let reference: Checkpoint
    /// The candidate, for messages.
    let place: String

    /// Of a frequency: GGUF's divisors went through fp32, and through a blend of wavelengths in it.
    private static let tolerance: Float = 1e-4

    /// A checkpoint's configuration, and its tokenizer where both have one. An activation that is not SiLU no
    /// `Checkpoint` has.
    /// - Throws: `EvaluationError.mismatch`, and what reading a tokenizer.json throws.
    func check(_ candidate: Checkpoint) throws {
        let (expected, got) = (reference.configuration, candidate.configuration)
        try same("num_hidden_layers", expected.layers, got.layers)
        try same("hidden_size", expected.hidden, got.hidden)
        try same("intermediate_size", expected.intermediate, got.intermediate)
        try same("num_attention_heads", expected.heads, got.heads)
        try same("num_key_value_heads", expected.kvHeads, got.kvHeads)
        try same("head_dim", expected.headDim, got.headDim)
        try same("vocab_size", expected.vocabulary, got.vocabulary)
        try same("attention_bias (query, key and value)", expected.qkvBias, got.qkvBias)
        try same("attention_bias (output)", expected.outputBias, got.outputBias)
        try same("mlp_bias", expected.mlpBias, got.mlpBias)
        try same("rms_norm_eps", expected.rmsEpsilon, got.rmsEpsilon)
        try same("rope_theta", Float(expected.rope.theta), Float(got.rope.theta))
        try sameFrequencies("rope_scaling", RotaryTable.frequencies(got.rope, headDim: got.headDim))
        try sameTokenizer(candidate)
    }

    /// What a GGUF file says in its metadata, and the vocabulary that it may bring.
    /// - Throws: as `check(_:)` for a checkpoint.
    func check(_ file: GGUFFile) throws {
        let model = reference.configuration
        // llama.cpp's Mistral is a Llama.
        let architecture = model.family == .qwen2 ? "qwen2" : "llama"
        try same("general.architecture", architecture, file.string("general.architecture") ?? "nothing")
        for (name, expected) in [
            ("attention.head_count", model.heads), ("attention.head_count_kv", model.kvHeads),
            ("attention.key_length", model.headDim), ("rope.dimension_count", model.headDim),
        ] {
            let key = "\(architecture).\(name)"
            if let got = try file.uniformInt(key) { try same(key, expected, got) }
        }
        let epsilon = "\(architecture).attention.layer_norm_rms_epsilon"
        if let got = try file.double(epsilon) { try same(epsilon, model.rmsEpsilon, Float(got)) }
        try same(
            "\(architecture).rope.freq_base", Float(model.rope.theta), Float(try file.ropeTheta(architecture)))
        try sameFrequencies(
            "\(architecture).rope.scaling", try file.frequencies(architecture, headDim: model.headDim))
        try sameVocabulary(file)
    }

    private func same<T: Equatable>(_ key: String, _ expected: T, _ got: T) throws {
        if expected != got { throw mismatch(key, "\(expected)", "\(got)") }
    }

    private func mismatch(_ key: String, _ expected: String, _ got: String) -> EvaluationError {
        .mismatch(place: place, key: key, expected: expected, got: got)
    }

    /// - Parameter got: angle per position of each pair of dimensions, [headDim/2].
    private func sameFrequencies(_ key: String, _ got: [Float]) throws {
        let model = reference.configuration
        let expected = RotaryTable.frequencies(model.rope, headDim: model.headDim)
        for (pair, (a, b)) in zip(expected, got).enumerated() where !(abs(a - b) <= Self.tolerance * a) {
            throw mismatch(key, "pair \(pair) turned by \(a) a position", "\(b)")
        }
    }

    // MARK: Tokenizers

    /// What decides how a text is cut. The rest of tokenizer.json, and how this is spelled, is a matter of the library
    /// that saved it; so are added tokens that the reference does not have, as for padding.
    private func sameTokenizer(_ candidate: Checkpoint) throws {
        let files = try [reference, candidate].compactMap(Self.tokenizerFile)
        // The usual case: our tools copy the file.
        guard files.count == 2, files[0].data != files[1].data else { return }
        let expected = try JSONValue(parsing: files[0].data, place: files[0].path)
        let got = try JSONValue(parsing: files[1].data, place: files[1].path)
        var gotTokens = JSONObject()
        let tokens = Self.addedTokens(expected)
        for (token, id) in Self.addedTokens(got).members where tokens[token] != nil { gotTokens[token] = id }
        let differences = [
            Self.difference("model.vocab", expected["model"]?["vocab"], got["model"]?["vocab"]),
            Self.difference("model.merges", Self.merges(expected), Self.merges(got)),
            Self.difference("model.ignore_merges", Self.ignoresMerges(expected), Self.ignoresMerges(got)),
            Self.difference("added_tokens", .object(tokens), .object(gotTokens)),
            Self.difference("normalizer", Self.plain(expected["normalizer"]), Self.plain(got["normalizer"])),
            Self.difference("pre_tokenizer", Self.plain(expected["pre_tokenizer"]), Self.plain(got["pre_tokenizer"])),
        ]
        if let first = differences.compactMap({ $0 }).first {
            throw mismatch("tokenizer.json, \(first.key)", first.expected, first.got)
        }
    }

    /// The tokens of a GGUF file, by id. Added ones are left aside: converters spell some of them anew.
    private func sameVocabulary(_ file: GGUFFile) throws {
        let key = "tokenizer.ggml.tokens"
        guard let tokens = try file.array(key)?.strings(in: file, key: key),
            let own = try Self.tokenizerFile(reference),
            case let tokenizer = try JSONValue(parsing: own.data, place: own.path),
            let vocabulary = tokenizer["model"]?["vocab"]?.object
        else { return }
        let added = Set(Self.addedTokens(tokenizer).members.compactMap(\.value.int))
        for (token, value) in vocabulary.members {
            guard let id = value.int, tokens.indices.contains(id), !added.contains(id) else { continue }
            guard tokens[id] == token else { throw mismatch("\(key)[\(id)]", quoted(token), quoted(tokens[id])) }
        }
    }

    /// tokenizer.json; nil where there is none.
    private static func tokenizerFile(_ checkpoint: Checkpoint) throws -> (data: Data, path: String)? {
        let url = checkpoint.directory.appending(path: "tokenizer.json")
        guard FileManager.default.fileExists(atPath: url.path) else { return nil }
        return (try readFile(url, limit: Tokenizer.largestFile), url.path)
    }

    /// Ids by content.
    private static func addedTokens(_ tokenizer: JSONValue) -> JSONObject {
        var tokens = JSONObject()
        for token in tokenizer["added_tokens"]?.array ?? [] {
            if let content = token["content"]?.string { tokens[content] = token["id"] }
        }
        return tokens
    }

    /// "a b", as older libraries write the pair ["a", "b"].
    private static func merges(_ tokenizer: JSONValue) -> JSONValue? {
        guard let merges = tokenizer["model"]?["merges"]?.array else { return nil }
        return .array(
            merges.map { merge in
                guard let pair = merge.array else { return merge }
                return .string(pair.compactMap(\.string).joined(separator: " "))
            })
    }

    private static func ignoresMerges(_ tokenizer: JSONValue) -> JSONValue {
        .bool(tokenizer["model"]?["ignore_merges"]?.bool ?? false)
    }

    private static func plain(_ json: JSONValue?) -> JSONValue { GGUFVocabulary.plain(json ?? .null) }

    /// The first place where two values differ; nil where they are equal.
    private static func difference(
        _ key: String, _ expected: JSONValue?, _ got: JSONValue?
    ) -> (key: String, expected: String, got: String)? {
        if expected == got { return nil }
        if let expected = expected?.object, let got = got?.object {
            for name in expected.keys + got.keys {
                if let found = difference("\(key).\(printable(name))", expected[name], got[name]) { return found }
            }
        }
        if let expected = expected?.array, let got = got?.array {
            for index in 0..<max(expected.count, got.count) {
                let (a, b) = (expected.dropFirst(index).first, got.dropFirst(index).first)
                if let found = difference("\(key)[\(index)]", a, b) { return found }
            }
        }
        return (key, expected.map(describe) ?? "nothing", got.map(describe) ?? "nothing")
    }
}
