import Foundation

/// What a tokenizer.json says, checked and compiled. Anything that would change a token and is not done here is refused
/// with its key and value.
struct TokenizerFile {
    var vocabulary = Vocabulary()
    var merges = MergeTable()
    var ignoreMerges = false
    var unknown: BytePairEncoder.Unknown?
    var normalizer = Normalizer.none
    var preTokenizer = PreTokenizer()
    var addedTokens: [AddedToken] = []
    /// Put before and after the text by the post-processor.
    var prefix: [Int32] = []
    var suffix: [Int32] = []

    /// `bytes` must be UTF-8.
    init(_ bytes: UnsafeBufferPointer<UInt8>, place: String) throws {
        var scanner = JSONScanner(bytes, place: place)
        var seen: Set<String> = []
        var settings: [String: JSONValue] = [:]
        var model: ModelReader?
        try scanner.object { scanner, key in
            guard seen.insert(key).inserted else { throw scanner.failure("the key \(quoted(key)) occurs twice") }
            switch key {
            case "model": model = try ModelReader(&scanner, bytes: bytes, place: place)
            case "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder":
                settings[key] = try scanner.value()
            // Truncation and padding are the caller's business, as they are transformers'.
            case "version", "truncation", "padding": try scanner.skip()
            default:
                throw TokenizerError.unsupported(
                    place: place, key: "the key", value: quoted(key), expected: "the keys of tokenizer.json 1.0")
            }
        }
        try scanner.end()
        guard let model else {
            throw TokenizerError.invalid(
                place: place, problem: "the key model is missing", expected: "a BPE model", got: nil)
        }
        vocabulary = model.vocabulary
        merges = model.merges
        ignoreMerges = model.ignoreMerges
        unknown = model.unknown

        let reader = PipelineReader(place: place)
        if let tokens = settings["added_tokens"], !tokens.isNull {
            for token in try reader.addedTokens(tokens) { try add(token, place: place) }
        }
        normalizer = try reader.normalizer(settings["normalizer"])
        preTokenizer = try reader.preTokenizer(settings["pre_tokenizer"])
        try reader.checkDecoder(settings["decoder"])
        try reader.postProcessor(settings["post_processor"], prefix: &prefix, suffix: &suffix)
        let given = Set(prefix + suffix)
        if let stray = given.first(where: { vocabulary.bytes(of: $0) == nil }) {
            throw TokenizerError.invalid(
                place: place, problem: "the post-processor adds a token that does not exist", expected: nil,
                got: "id \(stray)")
        }
    }

    /// Adds a token to those looked for in the text, and to the vocabulary unless it is there. A token given again
    /// replaces the one before.
    mutating func add(_ token: AddedToken, place: String) throws(TokenizerError) {
        if token.content.isEmpty { return }
        if let known = vocabulary.id(spelled: token.content) {
            guard known == token.id else {
                throw .invalid(
                    place: place, problem: "the added token \(quoted(token.content)) has two ids",
                    expected: "\(known) as in the vocabulary", got: "\(token.id)")
            }
        } else {
            var content = token.content
            let insertion = content.withUTF8 { vocabulary.insert($0, id: Int(token.id), model: false) }
            guard insertion == .inserted else {
                throw .invalid(
                    place: place, problem: "the added token \(quoted(token.content)) cannot have the id \(token.id)",
                    expected: "an id of its own below \(Vocabulary.maximumID)",
                    got: vocabulary.spelling(of: token.id).map { "the id of \(quoted($0))" })
            }
        }
        if let index = addedTokens.firstIndex(where: { $0.id == token.id }) {
            addedTokens[index] = token
        } else {
            addedTokens.append(token)
        }
    }
}

/// The `model` object: the vocabulary and the merges, which make up nearly the whole file, without a tree.
private struct ModelReader {
    let place: String
    var vocabulary = Vocabulary()
    var merges = MergeTable()
    var ignoreMerges = false
    var unknown: BytePairEncoder.Unknown?

    private var hasVocabulary = false
    private var hasMerges = false
    private var unknownSpelling: String?
    private var fusesUnknown = false

    init(_ scanner: inout JSONScanner, bytes: UnsafeBufferPointer<UInt8>, place: String) throws {
        self.place = place
        guard try scanner.peek() == .object else { throw scanner.failure("model must be an object") }
        vocabulary.reserve(tokens: min(bytes.count / 40, 1 << 18), bytes: min(bytes.count / 8, 1 << 22))
        var seen: Set<String> = []
        var mergesAt: Int?
        try scanner.object { scanner, key in
            guard seen.insert(key).inserted else { throw scanner.failure("the key \(quoted(key)) occurs twice") }
            switch key {
            case "vocab":
                try readVocabulary(&scanner)
                hasVocabulary = true
            case "merges" where hasVocabulary:
                try readMerges(&scanner, fileSize: bytes.count)
                hasMerges = true
            case "merges":
                // The ids are not known yet: passed over now, read when they are.
                _ = try scanner.peek()
                mergesAt = scanner.position
                try scanner.skip()
            default: try setting(key, try scanner.value())
            }
        }
        if let mergesAt, hasVocabulary {
            var again = JSONScanner(bytes, from: mergesAt, place: place)
            try readMerges(&again, fileSize: bytes.count)
            hasMerges = true
        }
        for (key, present) in [("model.vocab", hasVocabulary), ("model.merges", hasMerges)] where !present {
            throw TokenizerError.invalid(place: place, problem: "the key \(key) is missing", expected: nil, got: nil)
        }
        if let unknownSpelling, !unknownSpelling.isEmpty {
            guard let id = vocabulary.id(spelled: unknownSpelling) else {
                throw TokenizerError.invalid(
                    place: place, problem: "model.unk_token is not in the vocabulary", expected: nil,
                    got: quoted(unknownSpelling))
            }
            unknown = .init(id: id, fused: fusesUnknown)
        }
    }

    private mutating func setting(_ key: String, _ value: JSONValue) throws {
        func unsupported(_ expected: String) -> TokenizerError {
            .unsupported(place: place, key: "model.\(key)", value: describe(value), expected: expected)
        }
        switch key {
        case "type": guard value.string == "BPE" else { throw unsupported("\"BPE\"") }
        case "dropout": guard value.isNull || value.double == 0 else { throw unsupported("null") }
        case "byte_fallback":
            guard value == .bool(false) || value.isNull else { throw unsupported("false, as in byte-level BPE") }
        case "continuing_subword_prefix", "end_of_word_suffix":
            guard value.isNull || value.string == "" else { throw unsupported("null") }
        case "ignore_merges":
            guard let flag = value.bool else { throw unsupported("true or false") }
            ignoreMerges = flag
        case "fuse_unk":
            guard let flag = value.bool else { throw unsupported("true or false") }
            fusesUnknown = flag
        case "unk_token":
            guard value.isNull || value.string != nil else { throw unsupported("a token or null") }
            unknownSpelling = value.string
        default: throw unsupported("the keys of a BPE model")
        }
    }

    private mutating func readVocabulary(_ scanner: inout JSONScanner) throws {
        guard try scanner.peek() == .object else { throw scanner.failure("model.vocab must be an object") }
        guard try scanner.open("{", "}") else { return }
        repeat {
            // The spelling must be copied: it is only valid until the scanner moves on, and the id comes after it.
            var spelling: [UInt8] = []
            try scanner.string { spelling.append(contentsOf: $0) }
            try scanner.colon()
            let at = scanner.position
            let id = try scanner.integer()
            let insertion = spelling.withUnsafeBufferPointer { vocabulary.insert($0, id: id, model: true) }
            if insertion != .inserted { throw scanner.failure(problem(insertion, spelling, id), at: at) }
        } while try scanner.more("}")
    }

    private func problem(_ insertion: Vocabulary.Insertion, _ spelling: [UInt8], _ id: Int) -> String {
        let name = quoted(String(decoding: spelling, as: UTF8.self))
        return switch insertion {
        case .inserted: ""
        case .idOutOfRange: "the token \(name) has the id \(id); expected one from 0 to \(Vocabulary.maximumID - 1)"
        case .idTaken:
            "the tokens \(quoted(vocabulary.spelling(of: Int32(id)) ?? "")) and \(name) have the same id \(id)"
        case .spellingTaken(let other): "the token \(name) occurs twice, with the ids \(other) and \(id)"
        }
    }

    private mutating func readMerges(_ scanner: inout JSONScanner, fileSize: Int) throws {
        guard try scanner.peek() == .array else { throw scanner.failure("model.merges must be an array") }
        merges = MergeTable(capacity: min(vocabulary.count, fileSize / 4))
        guard try scanner.open("[", "]") else { return }
        var rank: UInt32 = 0
        var left: [UInt8] = []
        var right: [UInt8] = []
        repeat {
            let at = scanner.position
            if try scanner.peek() == .string {
                var isVersion = false
                let isPair = try scanner.string { text in
                    // A line of the old merges.txt that some exporters leave in.
                    isVersion = text.starts(with: "#version".utf8)
                    guard let space = text.firstIndex(of: 0x20) else { return false }
                    left.replaceSubrange(0..., with: text[..<space])
                    right.replaceSubrange(0..., with: text[(space + 1)...])
                    return !right.contains(0x20)
                }
                if isVersion { continue }
                guard isPair else { throw scanner.failure("a merge must be two tokens with one space between", at: at) }
            } else {
                guard try scanner.open("[", "]") else { throw scanner.failure("a merge must be two tokens", at: at) }
                try scanner.string { left.replaceSubrange(0..., with: $0) }
                guard try scanner.more("]") else { throw scanner.failure("a merge must be two tokens", at: at) }
                try scanner.string { right.replaceSubrange(0..., with: $0) }
                guard try !scanner.more("]") else { throw scanner.failure("a merge must be two tokens", at: at) }
            }
            guard try merge(left, right, rank: rank) else {
                let pair = [left, right].map { quoted(String(decoding: $0, as: UTF8.self)) }
                throw scanner.failure(
                    "the merge of \(pair[0]) and \(pair[1]) is of or makes a token not in model.vocab", at: at)
            }
            rank += 1
        } while try scanner.more("]")
    }

    /// False where one of the three tokens is not in the vocabulary.
    private mutating func merge(_ left: [UInt8], _ right: [UInt8], rank: UInt32) throws -> Bool {
        guard let first = vocabulary.modelToken(spelled: left), let second = vocabulary.modelToken(spelled: right),
            let both = vocabulary.modelToken(spelled: left + right)
        else { return false }
        merges.insert(first, second, rank: rank, id: both)
        return true
    }
}

/// A JSON value as it may stand in a message.
func describe(_ value: JSONValue) -> String {
    switch value {
    case .string(let text): quoted(text)
    case .bool(let flag): "\(flag)"
    case .integer(let number): "\(number)"
    case .number(let number): "\(number)"
    case .null: "null"
    case .array, .object: value.kind
    }
}
