import Foundation
import Runtime
import Testing

/// `qquant compare` and `qquant inspect`, as a person runs them.
@Suite struct CompareTests {
    private static let model = EmbeddedModelTests.model

    private func export(in folder: URL) throws -> String {
        let file = folder.appending(path: "model.gguf").path
        let outcome = try Tool.qquant("export", Self.model, file, "--gguf", "Q8_0")
        #expect(outcome.status == 0, "\(outcome.errors)")
        return file
    }

    @Test func textThatCannotBeRead() throws {
        try withFolder { folder in
            let latin = folder.appending(path: "latin.txt")
            try Data([0x63, 0x61, 0x66, 0xE9, 0x0A]).write(to: latin)
            for (text, said) in [
                (folder.path, "is a directory, where a file is expected"),
                (folder.path + "/missing.txt", "cannot open the file: No such file or directory"),
                (latin.path, "byte 3 is not UTF-8; expected a text in UTF-8, got 0xE9"),
            ] {
                let outcome = try Tool.qquant("compare", Self.model, Self.model, "--text", text)
                #expect(outcome.status == 1)
                #expect(outcome.errors.hasPrefix("error: \(text): \(said)"), "\(outcome.errors)")
            }
        }
    }

    /// The engine refuses what `inspect` refuses, and in the same words.
    @Test func anOrderOfColumnsIsRefused() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let directory = URL(fileURLWithPath: model)
            let name = "model.layers.0.self_attn.q_proj.weight_g_idx"
            try rewrite(directory) { $0 == nil ? TensorInfo(name: name, dtype: .i32, shape: [64]) : $0 }
            let inspected = try Tool.qquant("inspect", model)
            #expect(inspected.status == 1 && inspected.errors.contains("unexpected \(name)"), "\(inspected.errors)")
            let generated = try Tool.qinfer("generate", model, "--prompt", "tick", "--max-tokens", "1", "--stages", "1")
            #expect(generated.status == 1 && generated.output.isEmpty)
            #expect(generated.errors.hasSuffix(inspected.errors), "\(generated.errors)")
        }
    }

    /// One thread takes no more processor time than the time that passes. The vocabulary is large, so that most of the
    /// work is the logits' divergence.
    @Test func threadsAreHonoured() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let directory = URL(fileURLWithPath: model)
            try rewrite(directory) { info in
                guard let info, info.name == "model.embed_tokens.weight" else { return info }
                return TensorInfo(name: info.name, dtype: .f16, shape: [60_000, 64])
            }
            let config = directory.appending(path: "config.json")
            try Data(try text(config).replacing(#/"vocab_size": \d+/#, with: "\"vocab_size\": 60000").utf8)
                .write(to: config)
            let shell = Process()
            shell.executableURL = URL(fileURLWithPath: "/bin/sh")
            // Of the shell, then of its children: minutes and seconds, user and system.
            shell.arguments = [
                "-c", "\"$0\" \"$@\" > /dev/null && times", Tool.qquant.process([]).executableURL!.path, "compare",
                model, model, "--text", path("README.md"), "--tokens", "1280", "--window", "128", "--threads", "1",
            ]
            let began = Date()
            let outcome = try Tool.outcome(of: shell)
            let passed = Date().timeIntervalSince(began)
            #expect(outcome.status == 0, "\(outcome.errors)")
            let spent = outcome.output.matches(of: #/(\d+)m([\d.]+)s/#).suffix(2).reduce(0) {
                $0 + 60 * (Double($1.output.1) ?? 0) + (Double($1.output.2) ?? 0)
            }
            #expect(spent > 0.2 && spent < 1.2 * passed, "\(spent) s of processor time in \(passed) s")
        }
    }

    /// The dequantized copy of a GGUF file is nowhere to be found, whatever ends the process.
    @Test func nothingIsLeftOfAKilledComparison() throws {
        try withFolder { folder in
            let file = try export(in: folder)
            let temporary = folder.appending(path: "tmp")
            // What a process has left that was killed while it wrote.
            let gone = Tool.qquant.process(["--help"])
            gone.standardOutput = FileHandle.nullDevice
            gone.standardError = FileHandle.nullDevice
            try gone.run()
            gone.waitUntilExit()
            let leftover = temporary.appending(path: ".qquant-compare.\(gone.processIdentifier).abc.tmp")
            try FileManager.default.createDirectory(at: leftover, withIntermediateDirectories: true)
            try Data("{}".utf8).write(to: leftover.appending(path: "config.json"))

            let process = Tool.qquant.process(
                ["compare", Self.model, file, "--text", path("README.md"), "--window", "512"],
                environment: ["TMPDIR": temporary.path])
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            let maps = "/proc/\(process.processIdentifier)/maps"
            let deadline = Date() + 60
            while process.isRunning, Date() < deadline,
                !((try? String(contentsOfFile: maps, encoding: .utf8)) ?? "").contains(temporary.path)
            {
                usleep(2_000)
            }
            #expect(process.isRunning, "it ended before it could be killed")
            // From the mapping to the unlinking.
            usleep(100_000)
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            #expect(try FileManager.default.contentsOfDirectory(atPath: temporary.path) == [])
        }
    }

    /// An export of the embedded model has no vocabulary, since llama.cpp has no name for its tokenizer.
    @Test func exportWithoutVocabulary() throws {
        try withFolder { folder in
            let file = try export(in: folder)
            let inspected = try Tool.qquant("inspect", file)
            #expect(inspected.status == 0, "\(inspected.errors)")
            for word in ["there is no vocabulary in the file", "blk.11.ffn_down.weight", "family          qwen2"] {
                #expect(inspected.output.contains(word), "\(inspected.output)")
            }
            // Its embedding is Q8_0, and so is the head, which is tied to it: both are told of, with the file's type.
            let page = folder.appending(path: "page.html")
            let compared = try Tool.qquant(
                "compare", Self.model, file, "--text", path("README.md"), "--tokens", "128", "--window", "64", "--html",
                page.path)
            #expect(compared.status == 0, "\(compared.errors)")
            for module in ["model.embed_tokens", "lm_head"] {
                let line = compared.output.split(separator: "\n").first { $0.contains(module) }
                #expect(line?.contains("Q8_0") == true, "\(compared.output)")
            }
            for row in ["<th>embed_tokens</th>", "<th>lm_head</th>", "<th>11</th>"] {
                #expect(try text(page).contains(row))
            }
        }
    }

    /// Writes a checkpoint of one file anew: each tensor as `change` says, then one more for nil where it says so. What
    /// is not as it was holds zeros.
    private func rewrite(_ directory: URL, _ change: (TensorInfo?) -> TensorInfo?) throws {
        let source = try Checkpoint(directory: directory)
        let infos = (source.tensors.values.map(Optional.some) + [nil]).compactMap(change)
        let writer = try SafetensorsWriter(
            url: directory.appending(path: "model.safetensors"), tensors: infos, metadata: [:], overwrite: true)
        for info in infos {
            if source.tensors[info.name] == info {
                try source.withBytes(info.name) { try writer.write(info.name, $0) }
            } else {
                try [UInt8](repeating: 0, count: info.byteCount).withUnsafeBytes { try writer.write(info.name, $0) }
            }
        }
        try writer.finish()
    }
}
