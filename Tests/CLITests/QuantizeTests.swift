import Foundation
import Testing

/// `qquant quantize`, as a person runs it.
@Suite struct QuantizeTests {
    private func makeText(in folder: URL, _ name: String = "text.txt") throws -> String {
        let url = folder.appending(path: name)
        let license = try text(URL(fileURLWithPath: path("README.md")))
        try Data(license.utf8).write(to: url)
        return url.path
    }

    private func object(_ output: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any])
    }

    @Test(arguments: ["imatrix", "gptq", "awq"])
    func calibratedByText(_ method: String) throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let output = folder.appending(path: "q").path
            let outcome = try Tool.qquant(
                "quantize", model, "--output", output, "--bits", "4", "--group-size", "32", "--method", method,
                "--calibration", try makeText(in: folder), "--calibration-tokens", "1024", "--json")
            #expect(outcome.status == 0, "\(outcome.errors)")
            let table = try object(outcome.output)
            #expect(table["method"] as? String == method)
            let inspected = try Tool.qquant("inspect", output, "--json")
            #expect(inspected.status == 0 && inspected.output.contains("\"qquant.calibration_sha256\""))
        }
    }

    /// Snapshots are rendered by the real prompts: what is calibrated with is what will be asked.
    @Test func calibratedBySnapshots() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let snapshots = try makeSnapshots(in: folder, count: 4)
            let output = folder.appending(path: "q").path
            let outcome = try Tool.qquant(
                "quantize", model, "--output", output, "--bits", "4", "--group-size", "32", "--method", "gptq",
                "--calibration", snapshots, "--prompts", prompts, "--calibration-tokens", "1024", "--activations",
                "int8")
            #expect(outcome.status == 0, "\(outcome.errors)")
        }
    }

    @Test func budgetWithSensitivitiesKept() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let kept = folder.appending(path: "s.json")
            let output = folder.appending(path: "q").path
            let first = try Tool.qquant(
                "quantize", model, "--output", output, "--target-bpw", "6.5", "--calibration", try makeText(in: folder),
                "--sensitivities", kept.path, "--json")
            #expect(first.status == 0, "\(first.errors)")
            #expect(first.errors.contains("expected mean KL"))
            #expect(try #require(object(first.output)["total_bits_per_weight"] as? Double) <= 6.5)
            // Read where it is there: no calibration is needed any more.
            let second = try Tool.qquant(
                "quantize", model, "--output", output, "--target-size", "30KB", "--sensitivities", kept.path, "--force")
            #expect(
                second.status == 1 && second.errors.contains("no choice of schemes is that small"), "\(second.errors)")
            let roomy = try Tool.qquant(
                "quantize", model, "--output", output, "--target-size", "1GB", "--sensitivities", kept.path, "--force")
            #expect(roomy.status == 1 && roomy.errors.contains("nothing would be quantized"), "\(roomy.errors)")
            let third = try Tool.qquant(
                "quantize", model, "--output", folder.appending(path: "r").path, "--target-bpw", "6.5",
                "--sensitivities", kept.path, "--override", "down_proj=int8:g32", "--json")
            #expect(third.status == 0 && third.output.contains("int8 g32"), "\(third.errors)")
        }
    }

    /// What was given has to agree with the file; what was not says nothing.
    @Test func sensitivitiesOfAnotherCall() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let prose = ["--calibration", try makeText(in: folder)]
            let other = folder.appending(path: "other.txt")
            try Data(try text(URL(fileURLWithPath: prose[1])).dropFirst(5000).utf8).write(to: other)
            let kept = folder.appending(path: "s.json").path
            func quantize(_ more: [String]) throws -> Tool.Outcome {
                try Tool.qquant.run(
                    [
                        "quantize", model, "--output", folder.appending(path: "q").path, "--force", "--target-bpw",
                        "6.5", "--sensitivities", kept,
                    ] + more)
            }
            let flags = prose + ["--seed", "5", "--sensitivity-tokens", "256"]
            let first = try quantize(flags)
            #expect(
                first.status == 0 && first.errors.contains("measured over 256 tokens in "), "\(first.errors)")
            for same in [flags, [], prose, prose + ["--method", "gptq", "--calibration-tokens", "1024"]] {
                let outcome = try quantize(same)
                #expect(outcome.status == 0 && !outcome.errors.contains("measured"), "\(same): \(outcome.errors)")
            }
            let contradictions: [(flags: [String], said: String)] = [
                (["--sensitivity-tokens", "512"], "--sensitivity-tokens; expected 256, got 512"),
                (prose + ["--seed", "6"], "--seed; expected 5, got 6"),
                (prose + ["--calibration-window", "128"], "--calibration-window; expected 256, got 128"),
                (["--calibration", other.path], "--calibration (SHA-256 of its tokens); expected "),
            ]
            for (more, said) in contradictions {
                let outcome = try quantize(more)
                #expect(outcome.status == 1, "\(more): \(outcome.errors)")
                #expect(
                    outcome.errors.contains("\(kept): its sensitivities were measured with another \(said)")
                        && outcome.errors.contains("delete the file or name another"), "\(more): \(outcome.errors)")
            }
        }
    }

    /// What measuring took is part of the estimate, unless the file keeps it for the run.
    @Test func dryRunOfABudget() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let call = [
                "quantize", model, "--output", folder.appending(path: "q").path, "--target-bpw", "6.5", "--calibration",
                try makeText(in: folder), "--dry-run", "--json",
            ]
            let alone = try Tool.qquant.run(call)
            let match = try #require(alone.errors.firstMatch(of: #/measured over 512 tokens in ([0-9.]+) s/#))
            let measuring = try #require(Double(match.1))
            #expect(try #require(object(alone.output)["estimated_seconds"] as? Double) > measuring - 0.05)
            let kept = ["--sensitivities", folder.appending(path: "s.json").path]
            let keeping = try Tool.qquant.run(call + kept)
            #expect(keeping.errors.contains("kept in \(kept[1])"), "\(keeping.errors)")
            let reading = try Tool.qquant.run(call + kept)
            #expect(reading.status == 0 && !reading.errors.contains("measured"), "\(reading.errors)")
            let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
            #expect(left == ["model", "s.json", "text.txt"])
        }
    }

    /// A budget quantizes the embedding where that pays, and says that not everything loads that; or it is told not to.
    @Test func aBudgetThatKeepsTheEmbedding() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let text = try makeText(in: folder)
            for (more, isQuantized) in [([], true), (["--embedding", "keep"], false)] as [([String], Bool)] {
                let output = folder.appending(path: "q\(more.count)")
                let outcome = try Tool.qquant.run(
                    [
                        "quantize", model, "--output", output.path, "--target-bpw", "7.1", "--calibration", text,
                        "--json",
                    ] + more)
                #expect(outcome.status == 0, "\(outcome.errors)")
                #expect(outcome.output.contains("\"model.embed_tokens\"") == isQuantized, "\(outcome.output)")
                let said = outcome.errors.contains("note: the embedding is quantized: qinfer and qbench load that")
                #expect(said == isQuantized, "\(outcome.errors)")
            }
        }
    }

    @Test func lessTextThanWanted() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let tokens = folder.appending(path: "tokens.jsonl")
            try Data("{\"tokens\":\((0..<800).map { $0 % 200 })}\n".utf8).write(to: tokens)
            func said(_ more: String...) throws -> String {
                let outcome = try Tool.qquant.run(
                    [
                        "quantize", model, "--output", folder.appending(path: "q").path, "--force", "--bits", "4",
                        "--group-size", "32", "--method", "imatrix", "--calibration", tokens.path,
                    ] + more)
                #expect(outcome.status == 0, "\(outcome.errors)")
                return outcome.errors
            }
            let few = "note: the calibration holds 768 tokens in windows of 256; expected "
            #expect(try said().contains(few + "8192 (--calibration-tokens); give more text"))
            #expect(try said("--calibration-tokens", "1024").contains(few + "1024"))
            #expect(try !said("--calibration-tokens", "800").contains("note: the calibration"))
        }
    }

    @Test func dryRunWritesNothing() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            for method in [[], ["--method", "gptq", "--calibration", try makeText(in: folder)]] {
                let outcome = try Tool.qquant.run(
                    [
                        "quantize", model, "--output", folder.appending(path: "q").path, "--bits", "4", "--group-size",
                        "32",
                        "--dry-run", "--json",
                    ] + method)
                let table = try object(outcome.output)
                #expect(try #require(table["estimated_seconds"] as? Double) > 0)
                #expect(try #require(table["estimated_memory_bytes"] as? Int) > 0)
                #expect(try #require(table["bytes_after"] as? Int) > 0)
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
            #expect(left == ["model", "text.txt"])
        }
    }

    /// A budget measures for long: what can be refused before is.
    @Test func refusedBeforeMeasuring() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let quantized = folder.appending(path: "q").path
            let made = try Tool.qquant("quantize", model, "--output", quantized, "--bits", "8", "--group-size", "32")
            #expect(made.status == 0, "\(made.errors)")
            let kept = folder.appending(path: "s.json").path
            let budget = [
                "--target-bpw", "6.5", "--calibration", try makeText(in: folder), "--sensitivities", kept,
            ]
            let again = try Tool.qquant.run(
                ["quantize", quantized, "--output", folder.appending(path: "r").path] + budget)
            #expect(again.status == 1 && again.errors.contains("is already quantized"), "\(again.errors)")
            let occupied = try Tool.qquant.run(["quantize", model, "--output", quantized] + budget)
            #expect(occupied.status == 1 && occupied.errors.contains("exists already"), "\(occupied.errors)")
            let trial = try Tool.qquant.run(["quantize", model, "--output", quantized, "--dry-run"] + budget)
            #expect(trial.status == 0, "\(trial.errors)")
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
                    == ["model", "q", "s.json", "text.txt"])
        }
    }

    /// A model that brings its own prompts is calibrated with them.
    @Test func promptsOfTheModel() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            try FileManager.default.copyItem(atPath: prompts, toPath: model + "/prompts")
            let outcome = try Tool.qquant.run(
                [
                    "quantize", model, "--output", "q", "--bits", "4", "--group-size", "32", "--method", "imatrix",
                    "--calibration", try makeSnapshots(in: folder, count: 4), "--calibration-tokens", "1024",
                ], in: folder)
            #expect(outcome.status == 0, "\(outcome.errors)")
        }
    }

    /// Each refused with nothing written, and with words that say what to do.
    /// The embedded model quantized, judged by itself: as a table, JSON and a page; as GGUF and dequantized it is what it was.
    @Test func compareExportDequantize() throws {
        try withFolder { folder in
            func at(_ name: String) -> String { folder.appending(path: name).path }
            func done(_ arguments: [String]) throws -> String {
                let outcome = try Tool.qquant.run(arguments)
                #expect(outcome.status == 0, "\(outcome.errors)")
                return outcome.output
            }
            let (model, prose) = (EmbeddedModelTests.model, try makeText(in: folder))
            let measured = ["--text", prose, "--tokens", "256", "--window", "64"]
            func compare(_ candidate: String, _ more: String...) throws -> String {
                try done(["compare", model, at(candidate)] + measured + more)
            }
            func kl(_ candidate: String, _ more: String...) throws -> Double {
                let table = try object(done(["compare", model, at(candidate)] + measured + more + ["--json"]))
                return try #require((table["kl_mean"] as? [String: Any])?["value"] as? Double)
            }
            for bits in ["8", "4"] {
                let call = ["--output", at("int" + bits), "--bits", bits, "--group-size", "32"]
                _ = try done(["quantize", model] + call)
            }
            let page = at("page.html")
            let table = try compare("int4", "--html", page)
            for word in ["KL mean, nats", "same top-1, %", "model.layers.11.mlp.down_proj", "int4 g32"] {
                #expect(table.contains(word), "\(table)")
            }
            #expect(try text(URL(fileURLWithPath: page)).contains("model.layers.11"))
            #expect(try kl("int8") < kl("int4") / 10)
            // Weights alone: the same integers and scales, but for scales that GGUF keeps as fp16.
            _ = try done(["export", at("int8"), at("q.gguf"), "--gguf", "Q8_0"])
            _ = try done(["dequantize", at("int8"), "--output", at("plain"), "--dtype", "f32"])
            let alone = try kl("int8", "--compute", "fp32")
            #expect(try abs(kl("plain") - alone) < alone * 1e-3)
            #expect(try compare("q.gguf").contains("Q8_0"))
            let exported = try kl("q.gguf")
            #expect(exported < 1.5 * alone && exported > alone / 1.5, "\(exported) and \(alone)")
        }
    }

    @Test func badInput() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            func write(_ name: String, _ content: String) throws -> String {
                let url = folder.appending(path: name)
                try Data(content.utf8).write(to: url)
                return url.path
            }
            let gptq = ["--bits", "4", "--group-size", "32", "--method", "gptq", "--calibration"]
            let cases: [(arguments: [String], said: String)] = [
                (
                    ["--bits", "4", "--group-size", "128"],
                    "groups of 128 do not divide the columns of 12 layers: model.layers.0.self_attn.q_proj (64)"
                ),
                (gptq + [try write("empty.txt", "")], "the calibration is empty"),
                (gptq + [try write("short.txt", "A few words.")], "the calibration is too short"),
                (
                    gptq + [
                        try write(
                            "other.jsonl", "{\"tokens\":[\((0..<600).map { "\($0 + 9000)" }.joined(separator: ","))]}\n"
                        )
                    ],
                    "the calibration holds tokens of another model"
                ),
                (
                    gptq + [try write("lines.jsonl", "{\"text\":\"a\"}\n{\"words\":1}\n")],
                    "lines.jsonl:2: the line has no text, tokens or messages"
                ),
                (gptq + [folder.appending(path: "missing.txt").path], "cannot be read"),
                (
                    gptq + [try makeText(in: folder), "--calibration-tokens", "10000", "--calibration-window", "9000"],
                    "--calibration-window: it is longer than the model's context; expected 2 to 8192, got 9000"
                ),
                (["--bits", "4", "--group-size", "32", "--override", "nothing=int8:g32"], "it matches no module"),
                (
                    [
                        "--bits", "4", "--group-size", "32", "--override", "down_proj=int8:g32", "--override",
                        "mlp=keep",
                    ], "--override down_proj=int8:g32: it has no effect"
                ),
                (
                    ["--bits", "4", "--group-size", "32", "--embedding", "keep", "--override", ".*=int8:g32"],
                    "--override: one finds model.embed_tokens, for which --embedding is given"
                ),
                (
                    ["--bits", "4", "--group-size", "32", "--override", "up_proj=int8:g32"],
                    "layers that are computed together"
                ),
            ]
            let before = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
            for (arguments, said) in cases {
                let outcome = try Tool.qquant.run(
                    ["quantize", model, "--output", folder.appending(path: "q").path] + arguments)
                #expect(outcome.status == 1, "\(arguments): \(outcome.errors)")
                #expect(outcome.errors.contains(said), "\(arguments): \(outcome.errors)")
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == before)
        }
    }

    @Test(arguments: [
        [], ["--bits", "5"], ["--bits", "4", "--target-bpw", "4.5"], ["--bits", "4", "--method", "gptq"],
        ["--bits", "4", "--method", "best"], ["--target-bpw", "4.5"], ["--bits", "4", "--embedding", "int3"],
        ["--bits", "4", "--damping", "0"], ["--bits", "4", "--max-shard-size", "-1"],
        ["--target-bpw", "0", "--calibration", "x"],
    ])
    func usage(_ arguments: [String]) throws {
        let outcome = try Tool.qquant.run(["quantize", "model", "--output", "q"] + arguments)
        #expect(outcome.status == 64, "\(arguments): \(outcome.errors)")
    }
}
