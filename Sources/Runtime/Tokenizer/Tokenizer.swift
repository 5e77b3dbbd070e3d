import Foundation

/// Text to tokens and back, as a Hugging Face tokenizer.json describes it: byte-level BPE, token for token what the
/// `tokenizers` library gives. May be shared by any number of threads.
public final class Tokenizer: Sendable {
    /// The special tokens that tokenizer_config.json names; nil where it names none, or one that the vocabulary lacks.
    public let bosToken: Int32?
    public let eosToken: Int32?
    public let padToken: Int32?

    private let vocabulary: Vocabulary
    private let encoder: BytePairEncoder
    private let normalizer: Normalizer
    private let preTokenizer: PreTokenizer
    /// Added tokens looked for in the text as it is, and in the normalized text.
    private let exactTokens: AddedTokenFinder
    private let normalizedTokens: AddedTokenFinder
    private let specialTokens: Set<Int32>
    private let prefix: [Int32]
    private let suffix: [Int32]

    /// The largest tokenizer.json that is read, in bytes; the largest known is 33 MB.
    public static let largestFile = 512 << 20

    /// Reads `tokenizer.json`, and `tokenizer_config.json` where there is one.
    ///
    /// Throws `TokenizerError` where a file is missing, damaged, or asks for what is not supported.
    public convenience init(directory: URL) throws {
        let url = directory.appendingPathComponent("tokenizer.json")
        let config = directory.appendingPathComponent("tokenizer_config.json")
        var settings: JSONValue?
        if FileManager.default.fileExists(atPath: config.path) {
            let data = try readText(config, limit: Self.largestFile)
            settings = try JSONValue(parsing: data, place: config.lastPathComponent)
        }
        try self.init(json: try readText(url, limit: Self.largestFile), config: settings, place: url.path)
    }

    /// Reads a tokenizer.json held in memory; `place` names it in errors.
    public convenience init(json: Data, place: String) throws {
        try self.init(json: json, config: nil, place: place)
    }

    /// `config` is what tokenizer_config.json holds.
    package init(json: Data, config: JSONValue?, place: String) throws {
        var file = try json.withUnsafeBytes { raw in
            let bytes = raw.bindMemory(to: UInt8.self)
            if let offset = firstInvalidUTF8(bytes) {
                throw TokenizerError.malformed(place: place, offset: offset, problem: "the file is not UTF-8 here")
            }
            return try TokenizerFile(bytes, place: place)
        }
        try Self.addConfiguredTokens(config, to: &file)
        vocabulary = file.vocabulary
        encoder = BytePairEncoder(
            vocabulary: file.vocabulary, merges: file.merges, unknown: file.unknown, ignoreMerges: file.ignoreMerges)
        normalizer = file.normalizer
        preTokenizer = file.preTokenizer
        let specialFirst = file.addedTokens.filter(\.special) + file.addedTokens.filter { !$0.special }
        let exact = specialFirst.filter { !$0.normalized }
        exactTokens = AddedTokenFinder(exact, contents: exact.map { Array($0.content.utf8) })
        let normalized = specialFirst.filter(\.normalized)
        normalizedTokens = AddedTokenFinder(
            normalized,
            contents: normalized.map { token in
                let content = Array(token.content.utf8)
                return content.withUnsafeBufferPointer { file.normalizer.normalized($0) } ?? content
            })
        specialTokens = Set(file.addedTokens.filter(\.special).map(\.id))
        prefix = file.prefix
        suffix = file.suffix
        let vocabulary = file.vocabulary
        func named(_ key: String) -> Int32? {
            Self.spelling(config?[key]).flatMap { vocabulary.id(spelled: $0) }
        }
        bosToken = named("bos_token")
        eosToken = named("eos_token")
        padToken = named("pad_token")
    }

    /// tokenizer_config.json spells a token as a string or as an object with its content.
    static func spelling(_ value: JSONValue?) -> String? { value?.string ?? value?["content"]?.string }

    /// Tokens that only tokenizer_config.json has (transformers adds them too).
    private static func addConfiguredTokens(_ config: JSONValue?, to file: inout TokenizerFile) throws {
        guard let table = config?["added_tokens_decoder"]?.object else { return }
        let place = "tokenizer_config.json"
        for (key, value) in table.members {
            let owner = "added_tokens_decoder.\(key)"
            guard let id = Int(key) else {
                throw TokenizerError.invalid(place: place, problem: "\(owner) is no token id", expected: nil, got: nil)
            }
            let token = try PipelineReader(place: place).addedToken(value, id: id, owner: owner)
            if file.addedTokens.contains(where: { $0.id == token.id && $0.content == token.content }) { continue }
            try file.add(token, place: place)
        }
    }

    /// One more than the highest token id, added tokens included. A model's embedding may have further, unused rows.
    public var vocabularySize: Int { vocabulary.size }

    /// The id of the token spelled so in the file (byte-level tokens in the byte alphabet: "Ġthe").
    public func id(of token: String) -> Int32? { vocabulary.id(spelled: token) }

    /// How the file spells the token; nil for an id that no token has.
    public func token(_ id: Int32) -> String? { vocabulary.spelling(of: id) }

    /// Whether this is a special added token, which decoding skips unless told otherwise.
    public func isSpecial(_ id: Int32) -> Bool { specialTokens.contains(id) }

    /// The text's tokens. Special tokens written out in the text are found; `addSpecialTokens` decides about those that
    /// the post-processor puts around it (a chat template has put them there already).
    public func encode(_ text: String, addSpecialTokens: Bool = true) -> [Int32] {
        var output = addSpecialTokens ? prefix : []
        var text = text
        text.withUTF8 { bytes in
            output.reserveCapacity(output.count + bytes.count / 3 + 4)
            var state = EncodingState()
            encode(bytes, &state, into: &output)
        }
        if addSpecialTokens { output += suffix }
        return output
    }

    private struct EncodingState: ~Copyable {
        var words = PreTokenizer.Scratch()
        var merging = BytePairEncoder.Scratch()
    }

    private func encode(
        _ text: UnsafeBufferPointer<UInt8>, _ state: inout EncodingState, into output: inout [Int32]
    ) {
        exactTokens.forEachPiece(in: text) { piece in
            switch piece {
            case .token(let id): output.append(id)
            case .text(let range):
                let part = UnsafeBufferPointer(rebasing: text[range])
                if let normalized = normalizer.normalized(part) {
                    normalized.withUnsafeBufferPointer { encodeNormalized($0, &state, into: &output) }
                } else {
                    encodeNormalized(part, &state, into: &output)
                }
            }
        }
    }

    private func encodeNormalized(
        _ text: UnsafeBufferPointer<UInt8>, _ state: inout EncodingState, into output: inout [Int32]
    ) {
        normalizedTokens.forEachPiece(in: text) { piece in
            switch piece {
            case .token(let id): output.append(id)
            case .text(let range):
                preTokenizer.forEachWord(in: text, range: range, scratch: &state.words) { word in
                    encoder.encode(word, vocabulary: vocabulary, scratch: &state.merging, into: &output)
                }
            }
        }
    }

    /// The tokens' text. Bytes that are no UTF-8 become U+FFFD; ids that no token has are passed over.
    public func decode(_ tokens: [Int32], skipSpecialTokens: Bool = true) -> String {
        var text: [UInt8] = []
        for token in tokens {
            if let bytes = bytes(of: token, skipSpecialTokens: skipSpecialTokens) { text.append(contentsOf: bytes) }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Decodes tokens as they are generated.
    public func makeStreamDecoder(skipSpecialTokens: Bool = true) -> StreamDecoder {
        StreamDecoder(tokenizer: self, skipSpecialTokens: skipSpecialTokens)
    }

    package func bytes(of token: Int32, skipSpecialTokens: Bool) -> ArraySlice<UInt8>? {
        skipSpecialTokens && specialTokens.contains(token) ? nil : vocabulary.bytes(of: token)
    }
}
