import Foundation
import Testing

/// `qinfer plan`.
@Suite struct PlanTests {
    @Test func tableAndJSON() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let given = ["--stages", "2", "--macs", "300G", "--bandwidth", "30GB/s"]
            let table = try Tool.qinfer.run(["plan", model] + given)
            #expect(table.status == 0, "\(table.errors)")
            for word in ["layers", "KV a request", "6.00 GB", "tokens/s", "bubble", "on the wire", "(given)"] {
                #expect(table.output.contains(word), "\(word) is missing in\n\(table.output)")
            }
            let json = try Tool.qinfer.run(["plan", model, "--json", "--node-memory", "2GB,3GiB"] + given)
            #expect(json.status == 0, "\(json.errors)")
            let plan = try #require(try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
            let stages = try #require(plan["stages"] as? [[String: Any]])
            #expect(stages.map { $0["memory_limit_bytes"] as? Int } == [2_000_000_000, 3 << 30])
            #expect((plan["tokens_per_second"] as? Double ?? 0) > 0)
            let shares = stages.compactMap { $0["share_of_time"] as? Double }
            #expect(shares.reduce(0, +) > 0.999)

            let small = try Tool.qinfer.run(["plan", model, "--node-memory", "100MB"] + given)
            #expect(small.status == 1)
            #expect(small.errors.hasPrefix("error: --node-memory: the model does not fit"), "\(small.errors)")
            #expect(small.output.isEmpty)
        }
    }

    /// config.json alone is enough, as a folder or by its name; a broken one is named.
    @Test func configurationAlone() throws {
        try withFolder { folder in
            let config = folder.appending(path: "config.json")
            try FileManager.default.copyItem(
                at: URL(fileURLWithPath: path("Tests/Fixtures/models/llama/config.json")), to: config)
            for place in [folder.path, config.path] {
                let plan = try Tool.qinfer("plan", place, "--stages", "2", "--macs", "1T", "--bandwidth", "40GB")
                #expect(plan.status == 0, "\(plan.errors)")
                #expect(plan.output.contains("(from config.json alone)"))
            }
            try Data("{".utf8).write(to: config)
            let broken = try Tool.qinfer("plan", folder.path)
            #expect(broken.status == 1 && broken.errors.contains(config.path), "\(broken.errors)")
        }
    }

    /// A run within limits gives the same bytes as one without, and one that does not fit is refused before anything
    /// is written.
    @Test func runsKeepToTheLimits() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let snapshots = try makeSnapshots(in: folder, count: 3)
            func run(_ name: String, _ flags: String...) throws -> Tool.Outcome {
                try Tool.qinfer.run(
                    [
                        "run", model, "--snapshots", snapshots, "--output", folder.appending(path: name).path,
                        "--prompts", prompts, "--stages", "2",
                    ] + flags)
            }
            #expect(try run("plain").status == 0)
            let placed = try run("placed", "--node-speed", "1,0.25", "--node-memory", "6GB")
            #expect(placed.status == 0, "\(placed.errors)")
            #expect(
                try text(folder.appending(path: "plain/results.jsonl"))
                    == text(folder.appending(path: "placed/results.jsonl")))
            let refused = try run("refused", "--node-memory", "6GB,100MB")
            #expect(refused.status == 1)
            #expect(refused.errors.contains("stage 2 (layers"), "\(refused.errors)")
            #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "refused").path))
        }
    }
}
