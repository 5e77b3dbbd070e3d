import Crypto
import Foundation
import Runtime
import Testing

/// Token for token what Hugging Face's `tokenizers` gives. Tokenizers, goldens and their script: Tests/Fixtures/tokenizers.
@Suite struct TokenizerTests {
    private struct Goldens: Decodable {
        struct Text: Decodable {
            let ids: [Int32]
            /// How many there are without the post-processor's.
            let bare: Int
            let text: String
            let all: String
        }
        struct Entry: Decodable {
            let size: Int
            let texts: [String: Text]
            let noise: String
            let noiseCount: Int
            let noiseText: String
        }
        let corpora: [String: String]
        let tokenizers: [String: Entry]
    }

    static let folder = Golden.folder.deletingLastPathComponent().appending(path: "tokenizers")
    private static let goldens = Result {
        try JSONDecoder().decode(Goldens.self, from: Data(contentsOf: folder.appending(path: "goldens.json")))
    }

    static let names = [
        "gpt2", "llama3", "qwen2", "deepseek", "smollm", "digits", "split-removed", "split-previous", "split-next",
        "split-contiguous", "split-inverted",
    ]

    static func tokenizer(_ name: String) throws -> Tokenizer {
        let url = folder.appending(path: "\(name).json")
        return try Tokenizer(json: Data(contentsOf: url), place: url.lastPathComponent)
    }

    @Test(arguments: names)
    func everyCorpus(name: String) throws {
        let goldens = try Self.goldens.get()
        let golden = try #require(goldens.tokenizers[name])
        let tokenizer = try Self.tokenizer(name)
        #expect(tokenizer.vocabularySize == golden.size)
        #expect(golden.texts.count == goldens.corpora.count)
        for (corpus, text) in goldens.corpora {
            let expected = try #require(golden.texts[corpus])
            let ids = tokenizer.encode(text)
            #expect(ids == expected.ids, "\(name), \(corpus)")
            #expect(tokenizer.encode(text, addSpecialTokens: false).count == expected.bare, "\(name), \(corpus)")
            #expect(tokenizer.decode(expected.ids) == expected.text, "\(name), \(corpus)")
            #expect(tokenizer.decode(expected.ids, skipSpecialTokens: false) == expected.all, "\(name), \(corpus)")
            #expect(Self.streamed(expected.ids, tokenizer) == expected.text, "\(name), \(corpus)")
        }
    }

    /// 100 kB of random bytes, decoded as UTF-8.
    @Test(arguments: names)
    func noise(name: String) throws {
        let golden = try #require(try Self.goldens.get().tokenizers[name])
        let tokenizer = try Self.tokenizer(name)
        let ids = tokenizer.encode(Self.randomText())
        #expect(ids.count == golden.noiseCount)
        #expect(
            Self.digest(Data(ids.flatMap { id in (0..<4).map { UInt8(truncatingIfNeeded: id >> ($0 * 8)) } }))
                == golden.noise)
        #expect(Self.digest(Data(tokenizer.decode(ids).utf8)) == golden.noiseText)
        #expect(Self.streamed(ids, tokenizer) == tokenizer.decode(ids))
    }

    /// One tokenizer, many threads.
    @Test func concurrentUse() async throws {
        let tokenizer = try Self.tokenizer("qwen2")
        let text = try #require(try Self.goldens.get().corpora["english"])
        let expected = tokenizer.encode(text)
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<16 { group.addTask { (0..<50).allSatisfy { _ in tokenizer.encode(text) == expected } } }
            for await same in group { #expect(same) }
        }
    }

    /// The pieces of a stream are whole characters: none of them ends in a replacement that the whole does not have.
    private static func streamed(_ ids: [Int32], _ tokenizer: Tokenizer) -> String {
        var decoder = tokenizer.makeStreamDecoder()
        var text = ids.map { decoder.append($0) }.joined()
        text += decoder.finish()
        return text
    }

    @Test func streamingNeverBreaksACharacter() throws {
        let tokenizer = try Self.tokenizer("smollm")
        var decoder = tokenizer.makeStreamDecoder()
        let family = "👩‍👩‍👧‍👦網"
        let pieces = tokenizer.encode(family).map { decoder.append($0) } + [decoder.finish()]
        #expect(pieces.joined() == family)
        #expect(pieces.allSatisfy { !$0.contains("\u{FFFD}") })
        // An unfinished character is shown as such at the end, not before.
        let cut = Array(tokenizer.encode("網").dropLast())
        var second = tokenizer.makeStreamDecoder()
        #expect(cut.map { second.append($0) }.joined().isEmpty)
        #expect(second.finish() == "\u{FFFD}")
    }

    /// A vocabulary of 150 000: printed, not judged, since machines differ.
    @Test func loadingALargeVocabulary() throws {
        var tokens = ByteSpelling.all
        var merges: [[String]] = []
        var frontier = tokens
        var known = Set(tokens)
        while tokens.count < 150_000 {
            var next: [String] = []
            for left in frontier {
                for right in ByteSpelling.all.prefix(96) where tokens.count < 150_000 {
                    guard known.insert(left + right).inserted else { continue }
                    tokens.append(left + right)
                    merges.append([left, right])
                    next.append(left + right)
                }
            }
            frontier = next
        }
        let file: [String: Any] = [
            "added_tokens": [] as [Any], "decoder": ["type": "ByteLevel"],
            "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false, "use_regex": true] as [String: Any],
            "model": [
                "type": "BPE", "merges": merges,
                "vocab": Dictionary(uniqueKeysWithValues: tokens.enumerated().map { ($1, $0) }),
            ] as [String: Any],
        ]
        let json = try JSONSerialization.data(withJSONObject: file)
        let clock = ContinuousClock()
        var tokenizer: Tokenizer?
        let times = try (0..<5).map { _ in try clock.measure { tokenizer = try Tokenizer(json: json, place: "large") } }
        #expect(tokenizer?.vocabularySize == 150_000)
        print("a vocabulary of 150 000 (\(json.count) bytes) loads in \(times.sorted()[2])")
    }

    private static func digest(_ data: Data) -> String {
        SHA256.hash(data: data).map { String(format: "%02x", $0) }.joined()
    }

    /// As make.py's `random_text`.
    private static func randomText() -> String {
        let some = Array(" abcdef\n0123456789".utf8) + [0xE4, 0xBD, 0xA0, 0xE5, 0xA5, 0xBD]
        var state: UInt64 = 1
        let bytes = (0..<100_000).map { _ -> UInt8 in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let draw = state >> 33
            return draw & 1 == 1 ? UInt8(truncatingIfNeeded: draw >> 8) : some[Int((draw >> 8) % UInt64(some.count))]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// The characters that byte-level BPE spells bytes with.
enum ByteSpelling {
    static let all: [String] = {
        let plain = Array(33...126) + Array(161...172) + Array(174...255)
        let others = (0..<(256 - plain.count)).map { 256 + $0 }
        return (plain + others).map { String(UnicodeScalar(UInt32($0))!) }
    }()
}
