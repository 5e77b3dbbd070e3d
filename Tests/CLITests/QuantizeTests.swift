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
                "quantize", model, "--output", output, "--target-size", "30KB", "--sensitivities", kept.path)
            #expect(
                second.status == 1 && second.errors.contains("no choice of schemes is that small"), "\(second.errors)")
            let third = try Tool.qquant(
                "quantize", model, "--output", folder.appending(path: "r").path, "--target-bpw", "6.5",
                "--sensitivities", kept.path, "--override", "down_proj=int8:g32", "--json")
            #expect(third.status == 0 && third.output.contains("int8 g32"), "\(third.errors)")
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

    /// Each refused with nothing written, and with words that say what to do.
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
                (["--bits", "4", "--group-size", "32", "--override", "nothing=int8:g32"], "it matches no module"),
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
