import Foundation
import Runtime
import Testing

/// Texts held to a schema: whatever is picked, they parse and fit.
@Suite struct JSONConstraintTests {
    static let text = """
        {"type": "object", "properties": {
          "name": {"type": "string", "minLength": 2, "maxLength": 9},
          "count": {"type": "integer", "minimum": -20, "maximum": 1300},
          "share": {"type": "number", "minimum": 0, "maximum": 1},
          "mood": {"enum": ["up", "down", "downward", 7, 71, null]},
          "tags": {"type": "array", "minItems": 1, "maxItems": 3, "items":
            {"type": "object", "properties": {"ok": {"type": "boolean"}, "\\"q\\u00e9": {"type": "string"}}}},
          "pairs": {"type": "array", "maxItems": 2, "items": {"type": "array", "items": {"type": "number"}, "maxItems": 2}},
          "none": {"type": "null"}}}
        """

    private static func tokenizer(_ name: String) throws -> Tokenizer {
        let url = fixture("tokenizers/\(name).json")
        return try Tokenizer(json: Data(contentsOf: url), place: url.path)
    }

    private static func schema() throws -> JSONSchema { try JSONSchema(parsing: Data(text.utf8), place: "schema") }

    /// Parsed by Foundation, checked by hand.
    private static func expectFits(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let parsed = try? JSONSerialization.jsonObject(with: Data(text.utf8))
        let object = try #require(parsed as? [String: Any], "\(text)", sourceLocation: sourceLocation)
        #expect(Set(object.keys) == ["name", "count", "share", "mood", "tags", "pairs", "none"])
        let name = try #require(object["name"] as? String)
        #expect((2...9).contains(name.unicodeScalars.count), "\(text)", sourceLocation: sourceLocation)
        let count = try #require(object["count"] as? NSNumber).doubleValue
        #expect(count == count.rounded() && (-20...1300).contains(count), "\(text)", sourceLocation: sourceLocation)
        #expect((0...1).contains(try #require(object["share"] as? NSNumber).doubleValue), "\(text)")
        let moods: [String] = ["up", "down", "downward", "7", "71", "<null>"]
        #expect(moods.contains("\(try #require(object["mood"]))"), "\(text)")
        let tags = try #require(object["tags"] as? [[String: Any]])
        #expect((1...3).contains(tags.count) && tags.allSatisfy { $0["ok"] is NSNumber && $0["\"qé"] is String })
        let pairs = try #require(object["pairs"] as? [[NSNumber]])
        #expect(pairs.count <= 2 && pairs.allSatisfy { $0.count <= 2 })
        #expect(object["none"] is NSNull)
    }

    /// Random walks over real vocabularies; at each step the mask is what trying every token by itself gives.
    @Test(arguments: ["smollm", "qwen2", "llama3"])
    func everyPathFits(_ name: String) throws {
        let tokenizer = try Self.tokenizer(name)
        let schema = try Self.schema()
        let vocabulary = tokenizer.vocabularySize
        let grammar = Grammar(schema, TokenSpellings(tokenizer, vocabulary: vocabulary), endTokens: [])
        var random = SplitMix(seed: 5)
        for walk in 0..<12 {
            var state = JSONState(schema)
            var bytes: [UInt8] = []
            var steps = 0
            // Long texts are cut short, as the engine does it.
            while !state.isFinished, steps < 60 {
                let mask = grammar.mask(state)
                let allowed = (0..<Int32(vocabulary)).filter { mask.contains($0) }
                if steps % 4 == walk % 4 {
                    let expected = (0..<Int32(vocabulary)).filter { token in
                        guard let spelling = tokenizer.bytes(of: token, skipSpecialTokens: true), !spelling.isEmpty
                        else { return false }
                        var trial = state
                        return spelling.allSatisfy { trial.take($0, schema) }
                    }
                    #expect(allowed == expected, "\(String(decoding: bytes, as: UTF8.self))")
                }
                let token = try #require(allowed.randomElement(using: &random), "a dead end after \(bytes)")
                let before = state.closing(schema).count
                for byte in tokenizer.bytes(of: token, skipSpecialTokens: true)! {
                    let taken = state.take(byte, schema)
                    #expect(taken)
                    bytes.append(byte)
                }
                #expect(state.closing(schema).count <= before + grammar.longestDetour)
                steps += 1
            }
            var decoder = tokenizer.makeStreamDecoder()
            let text = tokenizer.encode(String(decoding: bytes, as: UTF8.self), addSpecialTokens: false)
                .reduce(into: "") { $0 += decoder.append($1) }
            try Self.expectFits(text + decoder.finish() + String(decoding: state.closing(schema), as: UTF8.self))
        }
    }

    @Test func numbersKeepWithinTheirBounds() throws {
        var texts = ["00", "-0", "1.", ".5"]
        for whole in [0...30, 98...102, 998...1002] { texts += whole.map { "\($0)" } }
        for hundredths in [0, 1, 7, 24, 25, 26, 49, 50, 51, 99] {
            texts.append("0.\(hundredths < 10 ? "0" : "")\(hundredths)")
        }
        for (low, high) in [(0.0, 1.0), (5, 17), (100, 100), (-3, 12), (999, 1001), (0.25, 0.5), (-7, -2)] {
            for isInteger in [false, true] where !isInteger || low.rounded() == low {
                let bounds = JSONNumberBounds(minimum: low, maximum: high, isInteger: isInteger)
                for text in texts + texts.map({ "-" + $0 }) {
                    let value = text.hasSuffix(".") || text.hasPrefix(".") ? nil : Double(text)
                    let isWhole = !text.contains(".")
                    let padded = text.drop { $0 == "-" }
                    let isCanonical = !(padded.count > 1 && padded.first == "0" && isWhole) && padded.first != "."
                    let fits = value.map { $0 >= low && $0 <= high && (isWhole || !isInteger) && isCanonical } ?? false
                    guard text != "-0" else { continue }
                    #expect(bounds.isComplete(Array(text.utf8)) == fits, "\(text) in \(low)…\(high), \(isInteger)")
                    // Each of its beginnings leads somewhere.
                    guard fits else { continue }
                    for end in 0...text.utf8.count {
                        #expect(bounds.isViable(Array(text.utf8.prefix(end))), "\(text), \(end) of \(low)…\(high)")
                        #expect(bounds.shortest(from: Array(text.utf8.prefix(end))) != nil)
                    }
                }
            }
        }
        let bounds = JSONNumberBounds(minimum: 5, maximum: 17, isInteger: true)
        for dead in ["0", "2", "-", "18", "170", "01", "1e", "5."] {
            #expect(!bounds.isViable(Array(dead.utf8)), "\(dead)")
        }
    }

    @Test func refusesWhatItCannotKeepTo() {
        let refused = [
            (#"{"type": "string", "pattern": "a+"}"#, "\"pattern\""), (#"{"anyOf": []}"#, "type"),
            (#"{"type": "object", "properties": {"a": {"$ref": "x"}}}"#, "schema.properties.a"),
            (#"{"type": "object", "properties": {}, "required": ["b"]}"#, "requires b"),
            (#"{"type": "array"}"#, "items"), (#"{"type": "integer", "minimum": 1.2, "maximum": 1.8}"#, "no number"),
            (#"{"type": "string", "minLength": 3, "maxLength": 2}"#, "above"), (#"{"enum": []}"#, "enum"),
            (#"{"type": ["string", "null"]}"#, "type"), ("[]", "array"),
            (#"{"type": "integer", "multipleOf": 3}"#, "multipleOf"),
        ]
        for (text, part) in refused {
            let said = wording { _ = try JSONSchema(parsing: Data(text.utf8), place: "schema") }
            #expect(said?.contains(part) == true, "\(text): \(said ?? "taken")")
        }
        var deep = #"{"type": "null"}"#
        for _ in 0..<40 { deep = #"{"type": "array", "items": \#(deep)}"# }
        #expect(wording { _ = try JSONSchema(parsing: Data(deep.utf8), place: "schema") }?.contains("32") == true)
    }

    /// A model with random weights writes what fits, greedy or drawn, cut short or not, whatever the batch.
    @Test func theEngineWritesWhatFits() async throws {
        let golden = try Golden("llama")
        let schema = try JSONSchema(
            parsing: Data(
                #"{"type": "object", "properties": {"a": {"type": "string", "maxLength": 8}, "b": {"type": "integer", "minimum": 0, "maximum": 99}, "c": {"type": "boolean"}}}"#
                    .utf8), place: "schema")
        let tokenizer = try asciiTokenizer()
        var options = EngineOptions()
        options.stages = 2
        options.cacheBytes = 8 << 20
        options.draftTokens = 4
        let engine = try Engine(golden.checkpoint, tokenizer: tokenizer, options: options)
        defer { engine.stop() }
        struct Shape: Decodable {
            let a: String
            let b: Int
            let c: Bool
        }
        var texts: Set<String> = []
        for seed in 0..<20 as Range<UInt64> {
            let sampling = Sampling(temperature: seed == 0 ? 0 : 1.5, seed: seed)
            for maxTokens in [120, 48] {
                let request = Request(
                    id: "\(seed)",
                    program: [
                        .tokens(golden.prompt), .json(name: "answer", schema: schema, maxTokens: maxTokens),
                        .choose(ChoiceSet(name: "end", labels: [".", "!"])),
                    ], sampling: sampling)
                let answer = try await engine.run(request)
                let text = answer.texts[0]
                let shape = try JSONDecoder().decode(Shape.self, from: Data(text.text.utf8))
                #expect(shape.a.unicodeScalars.count <= 8 && (0...99).contains(shape.b), "\(text.text)")
                #expect(text.tokens.count <= maxTokens && tokenizer.decode(text.tokens) == text.text)
                #expect(answer.choices.count == 1)
                texts.insert(text.text)
            }
        }
        #expect(texts.count > 10, "the seeds must matter")
        let small = Request(id: "s", program: [.tokens([5]), .json(name: "answer", schema: schema, maxTokens: 10)])
        await #expect(throws: EngineError.self) { try await engine.run(small) }
        let plain = try golden.engine(stages: 1)
        defer { plain.stop() }
        await #expect(throws: EngineError.noTokenizer(request: "s")) { try await plain.run(small) }
    }
}

/// A byte-level tokenizer of printable ASCII and a few pairs, small enough for the fixture models' vocabulary.
func asciiTokenizer() throws -> Tokenizer {
    var vocabulary = ["<pad>", "<s>", "</s>", "Ġ"]
    vocabulary += (33...126).map { String(UnicodeScalar(UInt8($0))) }
    let pairs = [("\"", ","), ("\"", ":"), ("Ġ", "\""), ("a", "b"), ("1", "2"), ("{", "\""), ("\"", "}")]
    vocabulary += pairs.map { $0 + $1 }
    let ids = Dictionary(uniqueKeysWithValues: vocabulary.enumerated().map { ($1, $0) })
    let json: [String: Any] = [
        "version": "1.0",
        "added_tokens": [["id": 2, "content": "</s>", "special": true]],
        "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false, "use_regex": false],
        "decoder": ["type": "ByteLevel"],
        "model": ["type": "BPE", "vocab": ids, "merges": pairs.map { "\($0) \($1)" }] as [String: Any],
    ]
    return try Tokenizer(json: JSONSerialization.data(withJSONObject: json), place: "ascii")
}

struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
