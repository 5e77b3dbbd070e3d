import Foundation
import Testing

/// `qinfer run`: answers in files, the same bytes whatever happens on the way.
@Suite struct RunTests {
    /// Arguments of a run over the fixtures' model.
    private func arguments(_ model: String, _ snapshots: String, _ output: URL, _ more: String...) -> [String] {
        ["run", model, "--snapshots", snapshots, "--output", output.path, "--prompts", prompts]
            + (more.contains("--stages") ? [] : ["--stages", "2"]) + more
    }

    @Test func stagesAndBatchesLeaveTheBytesAlone() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let quantized = folder.appending(path: "int8").path
            let made = try Tool.qquant("quantize", model, "--output", quantized, "--bits", "8", "--group-size", "32")
            #expect(made.status == 0, "\(made.errors)")
            let snapshots = try makeSnapshots(in: folder, count: 9)
            for model in [model, quantized] {
                var results: [String] = []
                for (index, flags) in [
                    ["--stages", "1", "--batch", "1", "--threads", "1"], ["--stages", "2"],
                    ["--stages", "1", "--threads", "3", "--batch", "4"],
                ].enumerated() {
                    let output = folder.appending(path: "\(URL(fileURLWithPath: model).lastPathComponent)-\(index)")
                    let outcome = try Tool.qinfer.run(
                        [
                            "run", model, "--snapshots", snapshots, "--output", output.path, "--prompts", prompts,
                        ] + flags)
                    #expect(outcome.status == 0, "\(outcome.errors)")
                    results.append(try text(output.appending(path: "results.jsonl")))
                    #expect(try lines(output.appending(path: "timings.jsonl")).count == 9)
                    #expect(try text(output.appending(path: "rejected.jsonl")).isEmpty)
                }
                #expect(results[0].split(separator: "\n").count == 9)
                #expect(Set(results).count == 1)
            }
        }
    }

    /// Answers come in the input's order and say what DESIGN's API says.
    @Test func records() throws {
        try withFolder { folder in
            let output = folder.appending(path: "run")
            let outcome = try Tool.qinfer.run(
                arguments(
                    try makeModel(in: folder), try makeSnapshots(in: folder, count: 3), output, "--stages", "2",
                    "--node-id", "node-7"))
            #expect(outcome.status == 0, "\(outcome.errors)")
            let answers = try lines(output.appending(path: "results.jsonl")).map {
                try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
            }
            #expect(answers.map { $0["id"] as? String } == ["epoch-104", "epoch-105", "epoch-106"])
            for answer in answers {
                #expect(answer["analysis"] is String)
                #expect(["positive", "neutral", "negative"].contains(answer["sentiment"] as? String))
                let confidence = try #require(answer["confidence"] as? Double)
                #expect(confidence > 1 / 3.0 - 1e-9 && confidence <= 1)
                #expect(answer["node_id"] as? String == "node-7")
                #expect((answer["model_digest"] as? String)?.count == 64)
                #expect(try #require(answer["prompt_tokens"] as? Int) > 100)
                #expect(try #require(answer["output_tokens"] as? Int) >= 1)
            }
            let timings = try lines(output.appending(path: "timings.jsonl")).map {
                try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
            }
            #expect(timings.map { $0["id"] as? String } == answers.map { $0["id"] as? String })
            for timing in timings {
                for key in ["queue_ms", "prefill_ms", "decode_ms", "total_ms", "ttft_ms"] {
                    #expect(try #require(timing[key] as? Double) >= 0)
                }
                #expect((timing["stages_ms"] as? [Double])?.count == 2)
            }
        }
    }

    @Test func badLines() throws {
        try withFolder { folder in
            let snapshots = try makeSnapshots(in: folder, count: 2)
            let bad = folder.appending(path: "bad.jsonl")
            var content = Data("{\"data_type\":\"network_stats\",\"data\":\n".utf8)
            content.append(contentsOf: [0xFF, 0xFE, 0x0A])
            content.append(Data("{\"data_type\":\"weather\",\"data\":{}}\n[]\n".utf8))
            try content.write(to: bad)
            let output = folder.appending(path: "run")
            let outcome = try Tool.qinfer.run([
                "run", try makeModel(in: folder), "--snapshots", bad.path, snapshots, "--output", output.path,
                "--prompts",
                prompts, "--stages", "2",
            ])
            #expect(outcome.status == 2, "\(outcome.errors)")
            #expect(try lines(output.appending(path: "results.jsonl")).count == 2)
            let rejected = try lines(output.appending(path: "rejected.jsonl"))
            #expect(rejected.count == 4)
            for (index, line) in rejected.enumerated() {
                #expect(line.contains("bad.jsonl") && line.contains("\"line\":\(index + 1)"), "\(line)")
            }
        }
    }

    /// A prompt that does not fit is rejected by name; the run goes on.
    @Test func promptLongerThanTheContext() throws {
        try withFolder { folder in
            let output = folder.appending(path: "run")
            let outcome = try Tool.qinfer.run(
                arguments(try makeModel(in: folder, context: 512), try makeSnapshots(in: folder, count: 2), output))
            #expect(outcome.status == 2)
            #expect(try text(output.appending(path: "results.jsonl")).isEmpty)
            let rejected = try lines(output.appending(path: "rejected.jsonl"))
            #expect(rejected.count == 2)
            #expect(rejected.allSatisfy { $0.contains("512") }, "\(rejected)")
        }
    }

    @Test func refusals() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let snapshots = try makeSnapshots(in: folder, count: 1)
            let empty = folder.appending(path: "empty.jsonl")
            try Data().write(to: empty)
            let done = folder.appending(path: "done")
            #expect(try Tool.qinfer.run(arguments(model, snapshots, done)).status == 0)
            let before = try Data(contentsOf: done.appending(path: "results.jsonl"))

            func refused(_ model: String, _ snapshots: String, _ output: URL, _ word: String) throws {
                let outcome = try Tool.qinfer.run(arguments(model, snapshots, output))
                #expect(outcome.status == 1)
                #expect(outcome.errors.hasPrefix("error: "), "\(outcome.errors)")
                #expect(outcome.errors.contains(word), "\(outcome.errors)")
                #expect(outcome.output.isEmpty)
            }
            let new = folder.appending(path: "new")
            try refused(model, snapshots, done, "--force")
            #expect(try Data(contentsOf: done.appending(path: "results.jsonl")) == before)
            try refused(model, empty.path, new, "zero snapshots")
            try refused(model, folder.path, new, folder.lastPathComponent)
            try refused(model, folder.appending(path: "none.jsonl").path, new, "none.jsonl")
            try refused(folder.appending(path: "none").path, snapshots, new, "none")
            try refused(snapshots, snapshots, new, "snapshots.jsonl")
            #expect(try Tool.qinfer.run(arguments(model, snapshots, done, "--force")).status == 0)
            #expect(try Data(contentsOf: done.appending(path: "results.jsonl")) == before)
        }
    }

    /// A question is asked of records that hold one; news is for the oracle, and a bad line of it is named.
    @Test func questionsAndNews() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let snapshots = try makeSnapshots(in: folder, count: 2)
            let asked = folder.appending(path: "asked")
            let outcome = try Tool.qinfer.run(arguments(model, snapshots, asked, "--task", "ask"))
            #expect(outcome.status == 1 && outcome.errors.contains("2 rejected records"), "\(outcome.errors)")
            let rejected = try lines(asked.appending(path: "rejected.jsonl"))
            #expect(rejected.count == 2 && rejected.allSatisfy { $0.contains("question is missing") }, "\(rejected)")

            let news = folder.appending(path: "news.jsonl")
            try Data("{\"at\":\"2025-01-01T00:00:00Z\",\"title\":\"t\"}\n{}\n".utf8).write(to: news)
            let new = folder.appending(path: "new")
            let useless = try Tool.qinfer.run(arguments(model, snapshots, new, "--news", news.path))
            #expect(useless.status == 64, "\(useless.errors)")
            let broken = try Tool.qinfer.run(arguments(model, snapshots, new, "--task", "oracle", "--news", news.path))
            #expect(broken.status == 1 && broken.errors.contains("news.jsonl:2: at is missing"), "\(broken.errors)")
        }
    }

    /// Killed at any moment, a run goes on where it was: nothing lost, nothing twice, the same bytes.
    @Test(arguments: [0.05, 0.15, 0.3, 0.5, 0.8])
    func killAndResume(share: Double) throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let count = 64
            let snapshots = try makeSnapshots(in: folder, count: count)
            let whole = folder.appending(path: "whole")
            #expect(try Tool.qinfer.run(arguments(model, snapshots, whole)).status == 0)

            let killed = folder.appending(path: "killed")
            let process = Tool.qinfer.process(arguments(model, snapshots, killed, "--batch", "4"))
            process.standardError = FileHandle.nullDevice
            try process.run()
            let results = killed.appending(path: "results.jsonl")
            while process.isRunning, (try? lines(results).count) ?? 0 < Int(share * Double(count)) { usleep(500) }
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            let survived = try lines(results).count
            #expect(survived >= Int(share * Double(count)))

            let resumed = try Tool.qinfer.run(arguments(model, snapshots, killed, "--resume"))
            #expect(resumed.status == 0, "\(resumed.errors)")
            #expect(try Data(contentsOf: results) == Data(contentsOf: whole.appending(path: "results.jsonl")))
            #expect(try lines(killed.appending(path: "timings.jsonl")).count == count)
        }
    }

    /// Another model's answers are not mixed in.
    @Test func resumeWithAnotherModel() throws {
        try withFolder { folder in
            let snapshots = try makeSnapshots(in: folder, count: 2)
            let output = folder.appending(path: "run")
            let model = try makeModel(in: folder)
            #expect(try Tool.qinfer.run(arguments(model, snapshots, output)).status == 0)
            let other = try makeModel(in: folder, named: "other", context: 4096)
            let outcome = try Tool.qinfer.run(arguments(other, snapshots, output, "--resume"))
            #expect(outcome.status == 1)
            #expect(outcome.errors.contains("model"), "\(outcome.errors)")
        }
    }
}
