import Foundation
import Runtime
import Testing

/// tokenizer.json files that are damaged, or ask for what is not supported: an error that says where and what, never a
/// trap and never a guess.
@Suite struct HostileTokenizerTests {
    private static func valid() throws -> [String: Any] {
        let data = try Data(contentsOf: TokenizerTests.folder.appending(path: "qwen2.json"))
        return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    private func error(_ json: Data) -> String? {
        do {
            _ = try Tokenizer(json: json, place: "tokenizer.json")
            return nil
        } catch let error as any WordedError {
            return error.description
        } catch {
            Issue.record("not worded: \(error)")
            return nil
        }
    }

    /// The error for the valid file with one part changed.
    private func error(_ change: (inout [String: Any]) throws -> Void) throws -> String {
        var file = try Self.valid()
        try change(&file)
        let text = error(try JSONSerialization.data(withJSONObject: file))
        #expect(text?.hasPrefix("tokenizer.json") == true, "\(text ?? "no error")")
        return text ?? ""
    }

    private func model(_ file: inout [String: Any], _ change: (inout [String: Any]) -> Void) throws {
        var model = try #require(file["model"] as? [String: Any])
        change(&model)
        file["model"] = model
    }

    @Test func theFileIsValidBeforeItIsDamaged() throws {
        #expect(error(try JSONSerialization.data(withJSONObject: Self.valid())) == nil)
    }

    @Test func truncated() throws {
        let whole = try Data(contentsOf: TokenizerTests.folder.appending(path: "qwen2.json"))
        for length in [0, 1, 2, 10, whole.count / 2, whole.count - 1] {
            let text = error(whole.prefix(length))
            #expect(text?.contains("byte") == true, "\(length): \(text ?? "no error")")
        }
        #expect(error(whole + Data("x".utf8)) != nil)
    }

    @Test func notUTF8() throws {
        var data = try Data(contentsOf: TokenizerTests.folder.appending(path: "qwen2.json"))
        data[data.count / 2] = 0xFF
        #expect(error(data)?.contains("not UTF-8") == true)
    }

    @Test func otherTypes() throws {
        for type in ["Unigram", "WordPiece", "WordLevel"] {
            #expect(try error { try model(&$0) { $0["type"] = type } }.contains(type))
        }
        for (key, type) in [
            ("normalizer", "NFKC"), ("normalizer", "Lowercase"), ("pre_tokenizer", "Whitespace"),
            ("pre_tokenizer", "Metaspace"), ("decoder", "WordPiece"), ("post_processor", "BertProcessing"),
        ] {
            #expect(try error { $0[key] = ["type": type] }.contains(type), "\(key) \(type)")
        }
        #expect(try error { $0["pre_tokenizer"] = NSNull() }.contains("pre_tokenizer"))
        #expect(try error { $0["model"] = [] as [Any] }.contains("model"))
        #expect(try error { $0["added_tokens"] = "x" }.contains("added_tokens"))
    }

    @Test func vocabulary() throws {
        let ids: [(Any, String)] = [
            (-1, "-1"), (5_000_000_000, "5000000000"), (1.5, "whole number"), ("7", "whole number"), (3, "3"),
        ]
        for (id, shown) in ids {
            let text = try error {
                try model(&$0) { model in
                    var vocabulary = model["vocab"] as? [String: Any] ?? [:]
                    vocabulary["Ġquorum-of-676"] = id
                    model["vocab"] = vocabulary
                }
            }
            #expect(text.contains(shown), "\(text)")
        }
        #expect(try error { try model(&$0) { $0["vocab"] = [:] as [String: Any] } }.contains("vocab"))
        #expect(try error { try model(&$0) { $0["vocab"] = nil } }.contains("vocab"))
    }

    @Test func merges() throws {
        for (merge, word) in [
            (["quo", "rum"] as Any, "quo"), ("onlyone" as Any, "one space"), (["a"] as Any, "two tokens"),
            (7 as Any, "expected '['"), ("a b c" as Any, "one space"),
        ] {
            let text = try error { try model(&$0) { $0["merges"] = [merge] } }
            #expect(text.contains(word), "\(text)")
        }
    }

    @Test func addedTokens() throws {
        for (token, word) in [
            (["id": -4, "content": "<x>"] as [String: Any], "-4"),
            (["id": 5_000_000_000, "content": "<x>"], "5000000000"),
            (["content": "<x>"], "id"), (["id": 900], "content"),
            (["id": 900, "content": "<x>", "special": "yes"], "special"),
            (["id": 0, "content": "<another>"], "<another>"),
        ] {
            let text = try error { file in
                file["added_tokens"] = (file["added_tokens"] as? [Any] ?? []) + [token as Any]
            }
            #expect(text.contains(word), "\(text)")
        }
    }

    private func splitting(_ pattern: String) throws -> Data {
        var file = try Self.valid()
        file["pre_tokenizer"] =
            [
                "type": "Sequence",
                "pretokenizers": [
                    ["type": "Split", "pattern": ["Regex": pattern], "behavior": "Isolated", "invert": false]
                        as [String: Any],
                    ["type": "ByteLevel", "add_prefix_space": false, "use_regex": false],
                ],
            ] as [String: Any]
        return try JSONSerialization.data(withJSONObject: file)
    }

    @Test func badPatterns() throws {
        for pattern in ["(", "[a", "a{2,1}", "\\p{NoSuchProperty}", "(?<n>a)(?<n>b", "\\w+$"] {
            let text = error(try splitting(pattern))
            #expect(text?.contains("pre_tokenizer") == true, "\(pattern): \(text ?? "no error")")
        }
    }

    /// A pattern that backtracks without end gives tokens in the end, and every byte of the text.
    @Test(.timeLimit(.minutes(1))) func catastrophicPattern() throws {
        let tokenizer = try Tokenizer(json: splitting("(\\p{L}+)+\\p{N}"), place: "tokenizer.json")
        let text = String(repeating: "a", count: 4_000) + "!"
        #expect(tokenizer.decode(tokenizer.encode(text)) == text)
    }

    @Test func files() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "tokenizer-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        func error() -> String {
            do {
                _ = try Tokenizer(directory: folder)
                return "no error"
            } catch { return "\(error)" }
        }
        #expect(error().contains("tokenizer.json"))
        let file = folder.appending(path: "tokenizer.json")
        try FileManager.default.createDirectory(at: file, withIntermediateDirectories: true)
        #expect(error().contains("no regular file"))
        try FileManager.default.removeItem(at: file)
        try FileManager.default.copyItem(at: TokenizerTests.folder.appending(path: "qwen2.json"), to: file)
        #expect(error() == "no error")
        let config = folder.appending(path: "tokenizer_config.json")
        for (content, word) in [
            ("{", "tokenizer_config.json"), ("{\"added_tokens_decoder\":{\"x\":{}}}", "added_tokens_decoder.x"),
            ("{\"added_tokens_decoder\":{\"9\":{\"content\":3}}}", "content"),
        ] {
            try Data(content.utf8).write(to: config)
            #expect(error().contains(word), "\(error())")
        }
    }
}
