import Foundation
import Testing

@Suite struct GenerateTests {
    /// The tool's greedy tokens are transformers'.
    @Test(arguments: ["1", "2"])
    func greedyTokens(stages: String) throws {
        let url = repository.appending(path: "Tests/Fixtures/models/goldens/qwen2-tied.json")
        let golden = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
        let prompt = try #require(golden["prompt_tokens"] as? [Int])
        let expected = try #require(golden["greedy_tokens"] as? [Int])
        let outcome = try Tool.qinfer(
            "generate", path("Tests/Fixtures/models/qwen2-tied"), "--prompt-tokens",
            prompt.map(String.init).joined(separator: ","), "--max-tokens", "\(expected.count)", "--stages", stages,
            "--json")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let answer = try #require(
            try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
        #expect(answer["tokens"] as? [Int] == expected)
        #expect(answer["prompt_tokens"] as? [Int] == prompt)
        #expect(answer["text"] is String)
        #expect(
            Set((answer["timings_ms"] as? [String: Double] ?? [:]).keys).isSuperset(of: ["prefill", "decode", "total"]))
    }

    @Test func sameSeedSameText() throws {
        func text(seed: String) throws -> String {
            let outcome = try Tool.qinfer(
                "generate", path("Tests/Fixtures/models/qwen2-tied"), "--prompt", "tick", "--max-tokens", "24",
                "--temperature", "1.5", "--seed", seed, "--stages", "2")
            #expect(outcome.status == 0, "\(outcome.errors)")
            return outcome.output
        }
        let first = try text(seed: "1")
        #expect(try text(seed: "1") == first)
        #expect(try text(seed: "2") != first)
    }

    @Test(
        arguments: [
            (["--prompt", ""], "empty"), (["--prompt-tokens", "1,320"], "320"),
            (["--prompt", String(repeating: "a b ", count: 600)], "512"),
            (["--prompt", "a", "--top-k", "3"], "stages"),
            (["--prompt", "a", "--cache-memory", "1", "--context", "9999999", "--max-tokens", "500"], ""),
        ])
    func refusals(flags: [String], word: String) throws {
        let outcome = try Tool.qinfer.run(
            ["generate", path("Tests/Fixtures/models/qwen2-tied")] + flags + [
                "--json", "--stages", flags.contains("3") ? "3" : "2",
            ])
        if word.isEmpty {
            // A context beyond the model's is cut to the model's; the cache holds that.
            #expect(outcome.status == 0, "\(outcome.errors)")
        } else {
            #expect(outcome.status == 1)
            #expect(outcome.errors.hasPrefix("error: ") && outcome.errors.contains(word), "\(outcome.errors)")
            #expect(outcome.output.isEmpty)
        }
    }
}
