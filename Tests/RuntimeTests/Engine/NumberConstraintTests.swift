import Foundation
import Runtime
import Testing

/// Texts whose digits spell certain numbers only.
@Suite struct NumberConstraintTests {
    static let spellings = ["592,711", "592711", "59.2萬", "59", "97.31", "97.3", "1.5 million", "5", "09"]
    static let numbers = NumberSpellings(spellings, scales: ["萬", "億", "million", "billion"])

    private static func tokenizer(_ name: String) throws -> Tokenizer {
        let url = fixture("tokenizers/\(name).json")
        return try Tokenizer(json: Data(contentsOf: url), place: url.path)
    }

    /// How far a text is taken.
    private static func taken(_ text: String) -> Bool {
        var state = NumberState.outside
        return text.utf8.allSatisfy { state.take($0, numbers) } && state.canEnd(numbers)
    }

    @Test(arguments: [
        "592,711 addresses", "97.31 %, 97.3 and 5.", "59.2萬個", "1.5 million", "no number", "", "59, 5", "5 and 59,",
        "592,711, 5", "at 5.", "5  97.3", "int5", "5 mills", "09:59", "59 些", "(5)",
    ])
    func takes(text: String) { #expect(Self.taken(text)) }

    @Test(arguments: [
        "592,712", "592", "97.4", "97.312", "59.3萬", "59.2", "592萬", "5萬", "5 million", "5 萬", "1.5 billion", "6", "57",
        "5.9", "5,9", "5e3", "5 6", "97.31萬", "59,592", "1.5", "592,711億",
    ])
    func refuses(text: String) { #expect(!Self.taken(text)) }

    /// "20" is on the way from 2 to 2026, and neither.
    @Test func halfANumberIsNoEnd() {
        let numbers = NumberSpellings(["2", "2026"])
        for (text, ends) in [("2", true), ("20", false), ("202", false), ("2026", true), ("2.", true)] {
            var state = NumberState.outside
            let taken = text.utf8.allSatisfy { state.take($0, numbers) }
            #expect(taken && state.canEnd(numbers) == ends, "\(text)")
        }
    }

    /// Random walks over real vocabularies; at each step the mask is what trying every token by itself gives, no walk
    /// comes to a dead end, and every number in the text is one of those allowed.
    @Test(arguments: ["smollm", "qwen2", "llama3", "digits"])
    func everyPathSpellsThese(_ name: String) throws {
        let tokenizer = try Self.tokenizer(name)
        let vocabulary = tokenizer.vocabularySize
        let grammar = NumberGrammar(
            Self.numbers, TokenSpellings(tokenizer, vocabulary: vocabulary), endTokens: [0])
        var random = SplitMix(seed: 3)
        var spelled = 0
        for walk in 0..<10 {
            var state = NumberState.outside
            var bytes: [UInt8] = []
            for step in 0..<50 {
                let mask = grammar.mask(state)
                if step % 10 == walk {
                    let expected = (0..<Int32(vocabulary)).filter { token in
                        if token == 0 && state.canEnd(Self.numbers) { return true }
                        guard let spelling = tokenizer.bytes(of: token, skipSpecialTokens: true), !spelling.isEmpty
                        else { return false }
                        var trial = state
                        return spelling.allSatisfy { trial.take($0, Self.numbers) }
                    }
                    #expect((0..<Int32(vocabulary)).filter { mask.contains($0) } == expected, "\(name) \(state)")
                }
                // Mostly tokens with digits or what may follow them: others lead nowhere near a number.
                let near = (0..<Int32(vocabulary)).filter { token in
                    guard mask.contains(token), token != 0,
                        let spelling = tokenizer.bytes(of: token, skipSpecialTokens: true), spelling.count < 4
                    else { return false }
                    return spelling.contains { (44...57).contains($0) || $0 == 32 }
                }
                let any = (0..<Int32(vocabulary)).filter { mask.contains($0) && $0 != 0 }
                let pick = (step % 4 == 3 || near.isEmpty ? any : near).randomElement(using: &random)
                let token = try #require(pick, "a dead end after \(String(decoding: bytes, as: UTF8.self))")
                for byte in tokenizer.bytes(of: token, skipSpecialTokens: true)! {
                    let taken = state.take(byte, Self.numbers)
                    #expect(taken)
                    bytes.append(byte)
                }
            }
            let text = String(decoding: bytes, as: UTF8.self)
            // The last number may have only begun.
            for match in text.matches(of: #/[0-9][0-9.,]*/#).dropLast() {
                let digits = match.output.trimmingCharacters(in: [".", ","])
                #expect(
                    Self.spellings.contains { $0.hasPrefix(digits) }
                        || digits.split(separator: ",").allSatisfy {
                            part in Self.spellings.contains { $0.hasPrefix(part) }
                        }, "\(digits) in \(text)")
                spelled += 1
            }
        }
        #expect(spelled > 10, "walks must come by numbers")
    }

    /// A model with random weights, greedy or drawn: only these numbers, the same text whatever the batch, and no number
    /// cut short at the end.
    @Test func theEngineSpellsThese() async throws {
        let golden = try Golden("llama")
        let tokenizer = try asciiTokenizer()
        var options = EngineOptions()
        options.stages = 2
        options.cacheBytes = 8 << 20
        options.draftTokens = 4
        let engine = try Engine(golden.checkpoint, tokenizer: tokenizer, options: options)
        defer { engine.stop() }
        let numbers = NumberSpellings(["12,345", "7.5"], scales: ["k"])
        func request(_ seed: UInt64, _ maxTokens: Int) -> Request {
            Request(
                id: "\(seed)-\(maxTokens)",
                program: [
                    .tokens(golden.prompt),
                    .generateWithNumbers(name: "t", maxTokens: maxTokens, stop: [], numbers: numbers),
                ], sampling: Sampling(temperature: seed == 0 ? 0 : 1.5, seed: seed))
        }
        var alone: [String: String] = [:]
        var digits = 0
        for seed in 0..<12 as Range<UInt64> {
            for maxTokens in [10, 11, 12, 60] {
                let text = try await engine.run(request(seed, maxTokens)).texts[0].text
                alone["\(seed)-\(maxTokens)"] = text
                for number in text.matches(of: #/[0-9][0-9.,]*/#) {
                    digits += 1
                    let whole = number.output.trimmingCharacters(in: [".", ","])
                    #expect(["12,345", "7.5"].contains(whole), "\(text)")
                }
            }
        }
        #expect(digits > 10, "the walks must come by numbers")
        let together = try await withThrowingTaskGroup(of: (String, String).self) { group in
            for seed in 0..<12 as Range<UInt64> {
                for maxTokens in [10, 11, 12, 60] {
                    let work = request(seed, maxTokens)
                    group.addTask { (work.id, try await engine.run(work).texts[0].text) }
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        #expect(together == alone)
        let plain = try golden.engine(stages: 1)
        defer { plain.stop() }
        await #expect(throws: EngineError.noTokenizer(request: "0-5")) { try await plain.run(request(0, 5)) }
    }
}
