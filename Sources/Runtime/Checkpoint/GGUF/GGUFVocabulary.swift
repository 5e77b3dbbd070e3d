import Foundation

/// A checkpoint's tokenizer as GGUF's metadata: the inverse of `GGUFTokenizer`.
struct GGUFVocabulary {
    private let pre: String
    private let tokens: [String]
    private let types: [Int32]
    private let merges: [String]
    private let template: String?
    private let addsBOS: Bool

    /// nil, with the reason, where llama.cpp has no name for this tokenizer.
    static func of(_ checkpoint: Checkpoint) -> (vocabulary: GGUFVocabulary?, note: String?) {
        func document(_ name: String) -> JSONValue? {
            let url = checkpoint.directory.appending(path: name)
            return (try? Data(contentsOf: url)).flatMap { try? JSONValue(parsing: $0, place: url.path) }
        }
        guard let json = document("tokenizer.json") else {
            return (nil, "there is no tokenizer.json: the file gets no vocabulary")
        }
        guard json["model"]?["type"]?.string == "BPE", let vocab = json["model"]?["vocab"]?.object,
            let merges = json["model"]?["merges"]?.array,
            let pre = GGUFPreTokenizer.names.first(where: {
                guard let known = GGUFPreTokenizer(named: $0) else { return false }
                return plain(known.json) == plain(json["pre_tokenizer"] ?? .null)
            })
        else { return (nil, "llama.cpp has no name for this tokenizer: the file gets no vocabulary") }
        let count = checkpoint.configuration.vocabulary
        // Rows of the embedding beyond the vocabulary: unused.
        var tokens = (0..<count).map { "[PAD\($0)]" }
        var types = [Int32](repeating: 5, count: count)
        func put(_ token: String, _ id: Int?, _ type: Int32) {
            guard let id, tokens.indices.contains(id) else { return }
            tokens[id] = token
            types[id] = type
        }
        for (token, id) in vocab.members { put(token, id.int, 1) }
        for added in json["added_tokens"]?.array ?? [] {
            guard let content = added["content"]?.string else { continue }
            put(content, added["id"]?.int, added["special"]?.bool == true ? 3 : 4)
        }
        let bos = checkpoint.configuration.bosToken
        let begins = (try? Tokenizer(directory: checkpoint.directory))?.encode("a").first
        return (
            GGUFVocabulary(
                pre: pre, tokens: tokens, types: types,
                merges: merges.compactMap {
                    $0.string ?? $0.array.map { $0.compactMap(\.string).joined(separator: " ") }
                },
                template: document("tokenizer_config.json")?["chat_template"]?.string,
                addsBOS: bos != nil && begins == bos), nil
        )
    }

    func write(to header: inout GGUFHeader) {
        header.add("tokenizer.ggml.model", "gpt2")
        header.add("tokenizer.ggml.pre", pre)
        header.add("tokenizer.ggml.tokens", tokens)
        header.add("tokenizer.ggml.token_type", types)
        header.add("tokenizer.ggml.merges", merges)
        header.add("tokenizer.ggml.add_bos_token", addsBOS)
        if let template { header.add("tokenizer.chat_template", template) }
    }

    /// A normalizer or pre-tokenizer without what does not change how a text is cut.
    static func plain(_ json: JSONValue) -> JSONValue {
        switch json {
        case .array(let values): return .array(values.map(plain))
        case .object(let object):
            var result = JSONObject()
            for (key, value) in object.members where key != "trim_offsets" && !value.isNull {
                result[key] = plain(value)
            }
            return .object(result)
        default: return json
        }
    }
}
