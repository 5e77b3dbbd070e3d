import Foundation
import Runtime
import Testing

/// Imports against goldens made with the `gguf` package and llama.cpp (Tests/Fixtures/gguf/make.py).
@Suite struct GGUFImportTests {
    static let goldens = try! JSONValue(
        parsing: Data(contentsOf: fixture("gguf/goldens.json")), place: "goldens.json"
    ).object!
    static let tokens = try! JSONValue(parsing: Data(contentsOf: fixture("gguf/tokens.json")), place: "tokens.json")

    /// Every value, bit for bit: dequantized as gguf does it, q and k unpermuted, rounded once to the type written.
    @Test(arguments: goldens.keys, [DType.f16, .bf16, .f32])
    func weights(_ name: String, dtype: DType) throws {
        try temporaryDirectory { directory in
            let output = directory.appending(path: "model")
            let summary = try GGUFImport(url: fixture("gguf/\(name)"), dtype: dtype).write(to: output)
            let checkpoint = try Checkpoint(directory: output)
            try checkpoint.validate()
            let expected = try #require(Self.goldens[name]?["tensors"]?.object)
            #expect(Set(checkpoint.tensors.keys) == Set(expected.keys))
            #expect(summary.tensors == expected.count)
            for (tensor, golden) in expected.members {
                let info = try checkpoint.info(tensor)
                #expect(
                    info.dtype == dtype && .array(info.shape.map { .integer($0) }) == golden["shape"],
                    "\(name) \(tensor)")
                let hash = try checkpoint.withBytes(tensor) { fnv($0) }
                #expect(hash == golden[dtype.rawValue]?.string, "\(name) \(tensor), \(golden["type"]?.string ?? "")")
            }
            #expect(checkpoint.configuration.dtype == dtype)
            // Nothing beside the directory, and nothing in it that is not meant to be there.
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["model"])
            let files = try FileManager.default.contentsOfDirectory(atPath: output.path).sorted()
            #expect(
                files == [
                    "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
                    "tokenizer_config.json",
                ])
            let bytes = try files.reduce(0) { try $0 + Data(contentsOf: output.appending(path: $1)).count }
            #expect(summary.bytes == bytes)
        }
    }

    @Test(arguments: goldens.keys)
    func configuration(_ name: String) throws {
        try temporaryDirectory { directory in
            let output = directory.appending(path: "model")
            _ = try GGUFImport(url: fixture("gguf/\(name)")).write(to: output)
            func read(_ file: String) throws -> JSONObject {
                let url = output.appending(path: file)
                return try #require(try JSONValue(parsing: Data(contentsOf: url), place: file).object)
            }
            let config = try read("config.json")
            for (key, value) in Self.goldens[name]!["config"]!.object!.members {
                let got = config[key] ?? .null
                #expect(Self.same(got, value), "\(name) \(key): \(got), expected \(value)")
            }
            #expect(JSONValue.object(try read("generation_config.json")) == Self.goldens[name]!["generation"]!)
        }
    }

    /// 10000 and 10000.0 are one number.
    private static func same(_ a: JSONValue, _ b: JSONValue) -> Bool {
        if let a = a.object, let b = b.object {
            return a.count == b.count
                && a.members.allSatisfy { member in b[member.key].map { same(member.value, $0) } ?? false }
        }
        return a.double.map { $0 == b.double } ?? (a == b)
    }

    @Test func chatTemplateIsKept() throws {
        try temporaryDirectory { directory in
            let output = directory.appending(path: "model")
            let source = try GGUFImport(url: fixture("gguf/llama.gguf"))
            #expect(source.notes.isEmpty)
            _ = try source.write(to: output)
            let url = output.appending(path: "tokenizer_config.json")
            let settings = try JSONValue(parsing: Data(contentsOf: url), place: "tokenizer_config.json")
            #expect(settings["chat_template"]?.string == "{% for m in messages %}<|im_start|>{{ m }}{% endfor %}")
            #expect(settings["bos_token"]?.string == "<|im_start|>" && settings["eos_token"]?.string == "<|im_end|>")
        }
        #expect(
            try GGUFImport(url: fixture("gguf/qwen2.gguf")).notes == [
                "the file has no chat template (tokenizer.chat_template)"
            ])
    }

    /// Token for token as llama.cpp, under each pre-tokenizer's name; "" is a file without the key.
    @Test(arguments: tokens["tokens"]!.object!.keys)
    func tokenizer(_ pre: String) throws {
        try temporaryDirectory { directory in
            let url = directory.appending(path: "x.gguf")
            try GGUFBytes.llama(pre: pre.isEmpty ? nil : pre).data.write(to: url)
            let output = directory.appending(path: "model")
            let source = try GGUFImport(url: url)
            #expect(source.notes.contains { $0.contains("names no pre-tokenizer") } == pre.isEmpty)
            _ = try source.write(to: output)
            let tokenizer = try Tokenizer(directory: output)
            for (name, text) in Self.tokens["texts"]!.object!.members {
                let expected = Self.tokens["tokens"]![pre]![name]!.array!.map { Int32($0.int!) }
                let got = tokenizer.encode(text.string!)
                #expect(got == expected, "\(pre), \(name)")
                let normalized = pre == "qwen2" ? text.string!.precomposedStringWithCanonicalMapping : text.string!
                let skipped = got.first == 510 && !text.string!.hasPrefix("<|im_start|>") ? Array(got.dropFirst()) : got
                if name != "special" {
                    #expect(tokenizer.decode(skipped, skipSpecialTokens: false) == normalized, "\(pre), \(name)")
                }
            }
        }
    }

    @Test func outputThatExists() throws {
        try temporaryDirectory { directory in
            let source = try GGUFImport(url: fixture("gguf/llama3-v2.gguf"))
            let output = directory.appending(path: "model")
            _ = try source.write(to: output)
            let before = try Checkpoint(directory: output).digest()
            let said = refusal(source, output, force: false)
            #expect(said == "\(output.path): exists already; delete it, choose another name, or give --force")
            #expect(refusal(source, output, force: true) == nil)
            #expect(try Checkpoint(directory: output).digest() == before)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["model"])
        }
    }

    @Test func somebodysFilesAreNoModel() throws {
        try temporaryDirectory { directory in
            let source = try GGUFImport(url: fixture("gguf/llama3-v2.gguf"))
            let file = directory.appending(path: "thesis.txt")
            try Data("mine".utf8).write(to: file)
            func expect(_ message: String, _ output: URL) {
                let said = refusal(source, output, force: true)
                #expect(said?.contains(message) == true, "got: \(said ?? "written")")
            }
            expect("is a directory without config.json, so not one of this kind", directory)
            expect("thesis.txt: is a file, where the output directory is to be", file)
            expect("thesis.txt: cannot create the directory", file.appending(path: "model"))
            #expect(try String(contentsOf: file, encoding: .utf8) == "mine")
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["thesis.txt"])
        }
    }

    private func refusal(_ source: GGUFImport, _ output: URL, force: Bool) -> String? {
        wording { _ = try source.write(to: output, overwrite: force) }
    }
}
