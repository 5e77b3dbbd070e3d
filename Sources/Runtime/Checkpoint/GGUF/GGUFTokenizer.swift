import Foundation

/// tokenizer.json and tokenizer_config.json, out of a GGUF file's metadata.
///
/// The metadata names a pre-tokenizer and llama.cpp knows what it means; so must this. llama.cpp's tokenizer is the
/// golden that Tests/Parity compares with.
struct GGUFTokenizer {
    let tokenizer: JSONObject
    let configuration: JSONObject
    /// What a person should know about the result.
    let notes: [String]

    /// The file's numbers for the types of tokens.
    private enum TokenType: Int {
        case normal = 1
        case unknown, control, userDefined, unused, byte
    }

    init(_ file: GGUFFile, vocabulary: Int, contextLength: Int) throws {
        let modelKey = "tokenizer.ggml.model"
        _ = try file.required(modelKey, file.string)
        try file.refuse(modelKey, unless: { $0.string == "gpt2" }, supported: "gpt2, which is byte-level BPE")
        var notes: [String] = []
        let preKey = "tokenizer.ggml.pre"
        let preName = try file.string(preKey)
        if preName == nil {
            notes.append("the file names no pre-tokenizer (\(preKey)); llama.cpp's default is taken, as llama.cpp does")
        }
        guard let pre = GGUFPreTokenizer(named: preName ?? "default") else {
            throw CheckpointError.unsupported(
                place: file.path, key: preKey, value: printable(preName ?? ""), supported: GGUFPreTokenizer.known)
        }

        let (tokens, types) = try Self.tokens(file, vocabulary: vocabulary)
        var vocab = JSONObject()
        var added: [JSONValue] = []
        for (id, token) in tokens.enumerated() where types[id] != .unused {
            guard vocab.append(token, .integer(id)) else {
                throw file.failure("tokenizer.ggml.tokens", "holds \(printable(token)) twice", got: "id \(id) too")
            }
            guard types[id] == .control || types[id] == .userDefined || types[id] == .unknown else { continue }
            added.append([
                "id": .integer(id), "content": .string(token), "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": .bool(types[id] != .userDefined),
            ])
        }
        let special = try GGUFSpecialTokens(file, vocabulary: vocabulary)
        let addsBOS = try file.bool("tokenizer.ggml.add_bos_token") ?? pre.addsBOS
        let addsEOS = try file.bool("tokenizer.ggml.add_eos_token") ?? false
        var tokenizer: JSONObject = ["version": "1.0", "truncation": nil, "padding": nil]
        tokenizer["added_tokens"] = .array(added)
        tokenizer["normalizer"] = pre.normalizer
        tokenizer["pre_tokenizer"] = pre.json
        tokenizer["post_processor"] = try Self.postProcessor(
            before: addsBOS ? Self.required(special.bos, "bos", file) : nil,
            after: addsEOS ? Self.required(special.eos.first, "eos", file) : nil, tokens)
        tokenizer["decoder"] = GGUFPreTokenizer.byteLevel(useRegex: true)
        tokenizer["model"] = [
            "type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil,
            "end_of_word_suffix": nil, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": .bool(pre.ignoresMerges), "vocab": .object(vocab),
            "merges": .array(try Self.merges(file, vocab)),
        ]
        self.tokenizer = tokenizer

        var configuration: JSONObject = ["add_prefix_space": false]
        for (name, id) in [
            ("bos_token", special.bos), ("eos_token", special.eos.last), ("pad_token", special.padding),
            ("unk_token", special.unknown),
        ] {
            if let id { configuration[name] = .string(tokens[id]) }
        }
        if let template = try file.string("tokenizer.chat_template") {
            configuration["chat_template"] = .string(template)
        } else {
            notes.append("the file has no chat template (tokenizer.chat_template)")
        }
        configuration["clean_up_tokenization_spaces"] = false
        configuration["model_max_length"] = .integer(contextLength)
        // transformers takes tokenizer.json as it is under this name; a model's own class would rebuild it.
        configuration["tokenizer_class"] = "PreTrainedTokenizerFast"
        self.configuration = configuration
        self.notes = notes
    }

    private static func tokens(_ file: GGUFFile, vocabulary: Int) throws -> ([String], [TokenType]) {
        func array(_ key: String) throws -> GGUFArray {
            let array = try file.required(key, file.array)
            guard array.count == vocabulary else {
                throw file.failure(
                    key, "does not fit the embedding", expected: "\(vocabulary) entries", got: "\(array.count)")
            }
            return array
        }
        let typeKey = "tokenizer.ggml.token_type"
        let tokens = try array("tokenizer.ggml.tokens").strings(in: file, key: "tokenizer.ggml.tokens")
        let types = try array(typeKey).ints(in: file, key: typeKey).map { number in
            guard let type = TokenType(rawValue: number) else {
                throw file.failure(typeKey, "holds an unknown type", expected: "1 to 6", got: "\(number)")
            }
            return type
        }
        if let id = zip(tokens, types).enumerated().first(where: { $1.0.isEmpty && $1.1 != .unused })?.offset {
            throw file.failure("tokenizer.ggml.tokens", "holds an empty token", got: "id \(id)")
        }
        return (tokens, types)
    }

    /// Pairs of tokens, best first, whose halves and whole are in the vocabulary.
    private static func merges(_ file: GGUFFile, _ vocab: JSONObject) throws -> [JSONValue] {
        let key = "tokenizer.ggml.merges"
        return try file.required(key, file.array).strings(in: file, key: key).map { merge in
            let halves = merge.utf8.split(separator: 0x20, omittingEmptySubsequences: false).map { String($0)! }
            guard halves.count == 2, (halves + [halves.joined()]).allSatisfy({ vocab[$0] != nil }) else {
                throw file.failure(
                    key, "holds what is no pair of tokens with a token for both", got: printable(merge))
            }
            return .string(merge)
        }
    }

    private static func required(_ id: Int?, _ name: String, _ file: GGUFFile) throws -> Int {
        guard let id else {
            throw file.failure("tokenizer.ggml.\(name)_token_id", "is missing, although it is to be added to texts")
        }
        return id
    }

    /// Puts tokens before and after each text.
    private static func postProcessor(before: Int?, after: Int?, _ tokens: [String]) -> JSONValue {
        guard before != nil || after != nil else { return .null }
        func part(_ kind: String, _ id: String, _ type: Int) -> JSONValue {
            .object([kind: ["id": .string(id), "type_id": .integer(type)]])
        }
        func sequence(_ name: String, _ type: Int) -> [JSONValue] {
            [
                before.map { part("SpecialToken", tokens[$0], type) }, part("Sequence", name, type),
                after.map { part("SpecialToken", tokens[$0], type) },
            ].compactMap { $0 }
        }
        var special = JSONObject()
        for id in [before, after].compactMap({ $0 }) {
            special[tokens[id]] = ["id": .string(tokens[id]), "ids": [.integer(id)], "tokens": [.string(tokens[id])]]
        }
        return [
            "type": "TemplateProcessing", "single": .array(sequence("A", 0)),
            "pair": .array(sequence("A", 0) + sequence("B", 1)), "special_tokens": .object(special),
        ]
    }
}
