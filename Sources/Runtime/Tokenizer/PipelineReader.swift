/// The small objects of a tokenizer.json around its model. Each is checked whole: an unknown type or option is refused.
struct PipelineReader {
    let place: String

    private func unsupported(_ key: String, _ value: JSONValue?, _ expected: String) -> TokenizerError {
        .unsupported(place: place, key: key, value: value.map(describe) ?? "(missing)", expected: expected)
    }

    private func invalid(_ problem: String, expected: String? = nil, got: String? = nil) -> TokenizerError {
        .invalid(place: place, problem: problem, expected: expected, got: got)
    }

    /// A flag; `fallback` where it is missing, an error where that is nil.
    private func flag(_ object: JSONValue, _ key: String, of owner: String, default fallback: Bool? = nil)
        throws(TokenizerError) -> Bool
    {
        guard let value = object[key] else {
            if let fallback { return fallback }
            throw invalid("\(owner).\(key) is missing", expected: "true or false")
        }
        guard let flag = value.bool else {
            throw invalid("\(owner).\(key) has the wrong type", expected: "true or false", got: describe(value))
        }
        return flag
    }

    // MARK: Added tokens

    func addedTokens(_ value: JSONValue) throws(TokenizerError) -> [AddedToken] {
        guard let list = value.array else { throw invalid("added_tokens has the wrong type", expected: "an array") }
        var tokens: [AddedToken] = []
        for (index, item) in list.enumerated() {
            let owner = "added_tokens[\(index)]"
            guard let id = item["id"]?.int else { throw invalid("\(owner).id is no whole number") }
            tokens.append(try addedToken(item, id: id, owner: owner))
        }
        return tokens
    }

    /// One token, as both tokenizer.json and tokenizer_config.json spell it.
    func addedToken(_ item: JSONValue, id: Int, owner: String) throws(TokenizerError) -> AddedToken {
        guard let id = Int32(exactly: id), id >= 0 else {
            throw invalid("\(owner) has an id out of range", got: "\(id)")
        }
        guard let content = item["content"]?.string else { throw invalid("\(owner).content is no string") }
        guard content.utf8.count <= 1 << 16 else { throw invalid("\(owner).content is longer than 65536 bytes") }
        let special = try flag(item, "special", of: owner, default: false)
        return AddedToken(
            id: id, content: content, special: special,
            singleWord: try flag(item, "single_word", of: owner, default: false),
            stripsLeft: try flag(item, "lstrip", of: owner, default: false),
            stripsRight: try flag(item, "rstrip", of: owner, default: false),
            normalized: try flag(item, "normalized", of: owner, default: !special))
    }

    // MARK: Normalizer

    func normalizer(_ value: JSONValue?) throws(TokenizerError) -> Normalizer {
        guard let value, !value.isNull else { return .none }
        switch value["type"]?.string {
        case "NFC": return .nfc
        case "Sequence":
            guard let list = value["normalizers"]?.array else { throw invalid("normalizer.normalizers is no array") }
            var result = Normalizer.none
            for item in list {
                // Composing what is composed changes nothing.
                if case .nfc = try normalizer(item) { result = .nfc }
            }
            return result
        default: throw unsupported("normalizer.type", value["type"], "\"NFC\", \"Sequence\" or no normalizer")
        }
    }

    // MARK: Pre-tokenizer

    func preTokenizer(_ value: JSONValue?) throws(TokenizerError) -> PreTokenizer {
        var result = PreTokenizer()
        var isClosed = false
        if let value, !value.isNull { try read(value, "pre_tokenizer", into: &result, isClosed: &isClosed, depth: 0) }
        guard isClosed else {
            throw unsupported("pre_tokenizer", value, "one that ends with ByteLevel, as byte-level BPE needs")
        }
        return result
    }

    private func read(
        _ value: JSONValue, _ owner: String, into result: inout PreTokenizer, isClosed: inout Bool, depth: Int
    ) throws(TokenizerError) {
        // What follows ByteLevel would see its alphabet instead of the text.
        guard !isClosed else {
            throw unsupported("\(owner).type", value["type"], "nothing after ByteLevel")
        }
        switch value["type"]?.string {
        case "Sequence":
            guard depth < 8, let list = value["pretokenizers"]?.array else {
                throw invalid("\(owner).pretokenizers is no array, or nested too deep")
            }
            for (index, item) in list.enumerated() {
                try read(
                    item, "\(owner).pretokenizers[\(index)]", into: &result, isClosed: &isClosed, depth: depth + 1)
            }
        case "Split": result.steps.append(try split(value, owner))
        case "Digits":
            result.steps.append(.digits(individual: try flag(value, "individual_digits", of: owner, default: false)))
        case "ByteLevel":
            result.addPrefixSpace = try flag(value, "add_prefix_space", of: owner)
            if try flag(value, "use_regex", of: owner, default: true) {
                result.byteLevelPattern = try Pattern(oniguruma: PreTokenizer.gpt2, place: place)
            }
            isClosed = true
        default:
            throw unsupported(
                "\(owner).type", value["type"], "\"Split\", \"Digits\", \"ByteLevel\" or a \"Sequence\" of them")
        }
    }

    private func split(_ value: JSONValue, _ owner: String) throws(TokenizerError) -> PreTokenizer.Step {
        let pattern: Pattern
        if let regex = value["pattern"]?["Regex"]?.string {
            pattern = try Pattern(oniguruma: regex, place: "\(place): \(owner)")
        } else if let text = value["pattern"]?["String"]?.string, !text.isEmpty {
            pattern = try Pattern(literal: text, place: "\(place): \(owner)")
        } else {
            throw invalid("\(owner).pattern is neither a Regex nor a String that has characters")
        }
        guard let behavior = value["behavior"]?.string.flatMap(PreTokenizer.Behavior.init(rawValue:)) else {
            let known = PreTokenizer.Behavior.allCases.map(\.rawValue).joined(separator: ", ")
            throw unsupported("\(owner).behavior", value["behavior"], known)
        }
        return .split(pattern, behavior, inverted: try flag(value, "invert", of: owner, default: false))
    }

    // MARK: Decoder

    func checkDecoder(_ value: JSONValue?) throws(TokenizerError) {
        var hasByteLevel = false
        func check(_ value: JSONValue?, _ owner: String, _ depth: Int) throws(TokenizerError) {
            switch value?["type"]?.string {
            case "ByteLevel" where !hasByteLevel: hasByteLevel = true
            // Joins what ByteLevel has joined.
            case "Fuse": break
            case "Sequence":
                guard depth < 8, let list = value?["decoders"]?.array else {
                    throw invalid("\(owner).decoders is no array, or nested too deep")
                }
                for (index, item) in list.enumerated() {
                    try check(item, "\(owner).decoders[\(index)]", depth + 1)
                }
            default:
                throw unsupported("\(owner).type", value?["type"] ?? value, "\"ByteLevel\", or a \"Sequence\" with it")
            }
        }
        try check(value, "decoder", 0)
        guard hasByteLevel else { throw unsupported("decoder.type", value?["type"], "\"ByteLevel\"") }
    }

    // MARK: Post-processor

    /// Adds what the post-processor puts around a single text. One that comes later wraps one that came before.
    func postProcessor(_ value: JSONValue?, prefix: inout [Int32], suffix: inout [Int32], depth: Int = 0)
        throws(TokenizerError)
    {
        guard let value, !value.isNull else { return }
        switch value["type"]?.string {
        // It trims offsets, and changes no token.
        case "ByteLevel": return
        case "Sequence":
            guard depth < 8, let list = value["processors"]?.array else {
                throw invalid("post_processor.processors is no array, or nested too deep")
            }
            for item in list { try postProcessor(item, prefix: &prefix, suffix: &suffix, depth: depth + 1) }
        case "TemplateProcessing":
            guard let single = value["single"]?.array else { throw invalid("post_processor.single is no array") }
            var before: [Int32] = []
            var after: [Int32] = []
            var texts = 0
            for piece in single {
                if let token = piece["SpecialToken"] {
                    let ids = try specialToken(token["id"]?.string, in: value["special_tokens"])
                    if texts == 0 { before += ids } else { after += ids }
                } else if let sequence = piece["Sequence"], sequence["id"]?.string == "A" {
                    texts += 1
                } else {
                    throw unsupported("post_processor.single", piece, "SpecialToken and Sequence A")
                }
            }
            guard texts == 1 else {
                throw invalid("post_processor.single", expected: "Sequence A once", got: "\(texts) times")
            }
            prefix = before + prefix
            suffix += after
        default:
            throw unsupported(
                "post_processor.type", value["type"],
                "\"ByteLevel\", \"TemplateProcessing\" or a \"Sequence\" of them")
        }
    }

    private func specialToken(_ name: String?, in table: JSONValue?) throws(TokenizerError) -> [Int32] {
        guard let name, let ids = table?[name]?["ids"]?.array else {
            throw invalid("post_processor.special_tokens lacks \(quoted(name ?? ""))")
        }
        var result: [Int32] = []
        for id in ids {
            guard let id = id.int.flatMap(Int32.init(exactly:)) else {
                throw invalid("post_processor.special_tokens: the ids of \(quoted(name)) are no token ids")
            }
            result.append(id)
        }
        return result
    }
}
