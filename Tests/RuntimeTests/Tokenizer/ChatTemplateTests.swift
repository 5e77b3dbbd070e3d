import Foundation
import Runtime
import Testing

/// Rendered conversations against transformers' apply_chat_template; templates, goldens and their script:
/// Tests/Fixtures/templates.
@Suite struct ChatTemplateTests {
    private struct Goldens: Decodable {
        let templates: [String: String]
        let refused: [String: String]
        let conversations: [String: [ChatMessage]]
        /// By template and conversation; null where the template raises.
        let rendered: [String: [String: String?]]
    }

    private static let goldens = Result {
        try JSONDecoder().decode(
            Goldens.self,
            from: Data(contentsOf: Golden.folder.deletingLastPathComponent().appending(path: "templates/goldens.json")))
    }

    /// A directory with the template in its tokenizer_config.json, or beside it.
    private func template(_ source: String, beside: Bool = false, list: Bool = false, override: String? = nil) throws
        -> ChatTemplate
    {
        let folder = FileManager.default.temporaryDirectory.appending(path: "template-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        var config: [String: Any] = [
            "bos_token": "<s>", "eos_token": ["content": "</s>", "special": true] as [String: Any],
        ]
        if beside {
            try Data(source.utf8).write(to: folder.appending(path: "chat_template.jinja"))
        } else {
            config["chat_template"] =
                list
                ? [["name": "tool_use", "template": "{{ tools }}"], ["name": "default", "template": source]] as Any
                : source as Any
        }
        try JSONSerialization.data(withJSONObject: config).write(to: folder.appending(path: "tokenizer_config.json"))
        return try ChatTemplate(directory: folder, override: override)
    }

    @Test func everyTemplateAsTransformersRendersIt() throws {
        let goldens = try Self.goldens.get()
        #expect(goldens.templates.count == 13)
        for (name, source) in goldens.templates {
            for (beside, list) in [(false, false), (true, false), (false, true)] {
                let template = try template(source, beside: beside, list: list)
                for (conversation, messages) in goldens.conversations {
                    for prompt in [false, true] {
                        let expected = goldens.rendered[name]?[conversation + (prompt ? " +prompt" : "")] ?? nil
                        let got = try? template.render(messages, addGenerationPrompt: prompt)
                        #expect(got == expected, "\(name), \(conversation), prompt \(prompt)")
                    }
                }
            }
        }
    }

    @Test func whoTakesASystemMessage() throws {
        let goldens = try Self.goldens.get()
        for (name, source) in goldens.templates {
            let takes = try template(source).takesSystemMessage
            #expect(takes == (goldens.rendered[name]?["system"] ?? nil != nil), "\(name)")
        }
    }

    /// A template that no style renders exactly is refused, and the way out named.
    @Test func refusals() throws {
        for (name, source) in try Self.goldens.get().refused {
            for beside in [false, true] {
                let error = #expect(throws: ChatTemplateError.self) { try template(source, beside: beside) }
                let text = error?.description ?? ""
                #expect(text.contains("--chat-template"), "\(name): \(text)")
                #expect(text.contains(beside ? "chat_template.jinja" : "tokenizer_config.json"), "\(name): \(text)")
            }
            for kind in ChatTemplate.Kind.allCases {
                #expect(try template(source, override: kind.rawValue).kind == kind)
            }
        }
        #expect(throws: ChatTemplateError.unknownName("gemma")) { try template("", override: "gemma") }
        let place = FileManager.default.temporaryDirectory.appending(path: "template-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: place) }
        for content in [Data([0x7B, 0xFF, 0xFE]), Data(count: 2 << 20)] {
            try content.write(to: place.appending(path: "chat_template.jinja"))
            #expect(throws: TokenizerError.self) { try ChatTemplate(directory: place) }
        }
        let folder = FileManager.default.temporaryDirectory
        #expect(throws: ChatTemplateError.missing(directory: folder.path)) { try ChatTemplate(directory: folder) }
    }

    /// What is asked for by name is the newest variant of its kind.
    @Test(arguments: [
        ("chatml", "chatml"), ("llama3", "llama3"), ("llama3.1", "llama3.1"), ("deepseek-r1", "deepseek-r1"),
        ("mistral", "mistral-v0.3"),
    ])
    func byName(kind: String, golden: String) throws {
        let goldens = try Self.goldens.get()
        let template = try template("", override: kind)
        for (conversation, messages) in goldens.conversations {
            let expected = goldens.rendered[golden]?["\(conversation) +prompt"] ?? nil
            #expect((try? template.render(messages, addGenerationPrompt: true)) == expected, "\(kind) \(conversation)")
        }
    }
}
