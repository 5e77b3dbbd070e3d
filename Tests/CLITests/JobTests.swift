import Foundation
import Reporting
import Testing

/// The pipeline over MPI gives what it gives in one process.
@Suite(.enabled(if: MPIJob.isAllowed, MPIJob.reason), .serialized)
struct JobTests {
    static func arguments(_ model: String, _ snapshots: String, _ output: URL, _ more: [String] = []) -> [String] {
        ["run", model, "--snapshots", snapshots, "--output", output.path, "--prompts", prompts] + more
    }

    private func root(_ output: URL) throws -> String {
        let record = try JSONSerialization.jsonObject(with: Data(contentsOf: output.appending(path: "record.json")))
        return try #require((record as? [String: Any])?["merkle_root"] as? String)
    }

    /// Of the nodes that signed, in the order of their names.
    private func publicKeys(_ output: URL) throws -> [String] {
        let record = try JSONSerialization.jsonObject(with: Data(contentsOf: output.appending(path: "record.json")))
        let nodes = try #require((record as? [String: Any])?["nodes"] as? [[String: Any]])
        return nodes.compactMap { $0["public_key"] as? String }
    }

    /// A pipeline a replica: each answers all, and signs that with a key of its own.
    @Test func pipelinesVote() throws {
        try withFolder { folder in
            let model = try makeDeepModel(in: folder)
            let snapshots = try makeSnapshots(in: folder, count: 5)
            let whole = folder.appending(path: "threads")
            _ = try Tool.qinfer.run(Self.arguments(model, snapshots, whole, ["--stages", "1"]))
            let output = folder.appending(path: "vote")
            let more = ["--stages", "2", "--transport", "mpi", "--consensus", "3"]
            let outcome = try #require(
                MPIJob(ranks: 6, Self.arguments(model, snapshots, output, more), in: folder).wait())
            #expect(outcome.status == 0, "\(outcome.errors)")
            let replicas = (1...3).map { output.appending(path: "replica-\($0)") }
            #expect(try Set(replicas.map(root)) == [root(whole)])
            #expect(try Set(replicas.flatMap(publicKeys)).count == 3)
            #expect(try lines(output.appending(path: "consensus.jsonl")).count == 5)
            #expect(try text(output.appending(path: "consensus.json")).contains("\"unanimous\": 5"))
            #expect(try Tool.qinfer("verify", output.path).status == 0)
            for (index, replica) in replicas.enumerated() {
                // The stages of its own pipeline, and no other's.
                let metrics = try text(replica.appending(path: "metrics.prom"))
                let names = Set(
                    metrics.matches(of: #/qubic_stage_batches_total\{node="([^"]*)"/#).map { String($0.output.1) })
                #expect(names == Set((2 * index...2 * index + 1).map { "qubic-node-001-\(index + 1)/rank-\($0)" }))
            }
            let few = try #require(
                MPIJob(
                    ranks: 4, Self.arguments(model, snapshots, folder.appending(path: "few"), more), in: folder
                ).wait())
            #expect(few.status == 1 && few.errors.contains("--consensus"), "\(few.errors)")
        }
    }

    @Test func sameBytesHoweverItRuns() throws {
        try withFolder { folder in
            let model = try makeDeepModel(in: folder)
            let snapshots = try makeSnapshots(in: folder, count: 12)
            let whole = folder.appending(path: "threads-1")
            let first = try Tool.qinfer.run(Self.arguments(model, snapshots, whole, ["--stages", "1"]))
            #expect(first.status == 0, "\(first.errors)")
            let expected = try Data(contentsOf: whole.appending(path: "results.jsonl"))
            let root = try root(whole)

            let threads = folder.appending(path: "threads-3")
            _ = try Tool.qinfer.run(Self.arguments(model, snapshots, threads, ["--stages", "3", "--batch", "16"]))
            #expect(try Data(contentsOf: threads.appending(path: "results.jsonl")) == expected)

            for (ranks, stages, batch) in [(3, 3, 1), (3, 3, 16), (1, 1, 16), (2, 2, 16), (6, 3, 2), (2, 1, 2)] {
                let name = "mpi-\(ranks)-\(stages)-\(batch)"
                let output = folder.appending(path: name)
                let job = try MPIJob(
                    ranks: ranks,
                    Self.arguments(
                        model, snapshots, output,
                        ["--stages", "\(stages)", "--batch", "\(batch)", "--transport", "mpi"]), in: folder)
                let outcome = try #require(job.wait(), "\(name) hangs: \(job.errors)")
                #expect(outcome.status == 0, "\(name): \(outcome.errors)")
                let results = try text(output.appending(path: "results.jsonl"))
                if ranks == stages {
                    #expect(Data(results.utf8) == expected, "\(name)")
                } else {
                    let nodes = Set(results.matches(of: #/"node_id":"([^"]*)"/#).map { String($0.output.1) })
                    #expect(nodes == ["qubic-node-001-1", "qubic-node-001-2"], "\(name): both pipelines have answered")
                    let plain = results.replacing(#/"node_id":"[^"]*"/#, with: "\"node_id\":\"qubic-node-001\"")
                    #expect(Data(plain.utf8) == expected, "\(name)")
                    let keys = try publicKeys(output)
                    #expect(keys.count == 2 && Set(keys).count == 2, "\(name): each node has a key of its own")
                }
                #expect(try self.root(output) == root, "\(name)")
                #expect(try Tool.qinfer("verify", output.path).status == 0)
            }
        }
    }

    /// Each node keeps its own key, also where all have one disk.
    @Test func signingKeys() throws {
        try withFolder { folder in
            let model = try makeDeepModel(in: folder)
            let snapshots = try makeSnapshots(in: folder, count: 12)
            let key = folder.appending(path: "node.key").path
            var keys: [[String]] = []
            for name in ["first", "second"] {
                let output = folder.appending(path: name)
                let job = try MPIJob(
                    ranks: 2,
                    Self.arguments(
                        model, snapshots, output,
                        ["--stages", "1", "--batch", "2", "--transport", "mpi", "--signing-key", key]), in: folder)
                let outcome = try #require(job.wait(), "\(name) hangs: \(job.errors)")
                #expect(outcome.status == 0, "\(name): \(outcome.errors)")
                #expect(try Tool.qinfer("verify", output.path).status == 0)
                keys.append(try publicKeys(output))
            }
            #expect(keys[0].count == 2 && Set(keys[0]).count == 2 && keys[0] == keys[1], "\(keys)")
            let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            #expect(files.filter { $0.hasPrefix("node.key") }.sorted() == ["node.key", "node.key-2"])
        }
    }

    /// What is asked of the logits, and what is told of them, goes over the wire too: a schema's masks, probabilities,
    /// penalties, guesses.
    @Test func generate() throws {
        try withFolder { folder in
            let model = try makeDeepModel(in: folder)
            let schema = folder.appending(path: "schema.json")
            let text = """
                {"type":"object","properties":{"mood":{"enum":["good","bad"]},"count":{"type":"integer","maximum":9}}}
                """
            try Data(text.utf8).write(to: schema)
            for more in [
                [
                    "--json-schema", schema.path, "--logprobs", "3", "--temperature", "0.9", "--seed",
                    "18446744073709551615",
                ],
                ["--max-tokens", "24", "--temperature", "0.8", "--repetition-penalty", "1.3", "--logprobs", "0"],
                ["--max-tokens", "24", "--draft", "4"],
            ] {
                let call = ["generate", model, "--prompt", "tick tick tick tick", "--json", "--stages", "3"] + more
                let here = try Tool.qinfer.run(call)
                #expect(here.status == 0, "\(here.errors)")
                let job = try MPIJob(ranks: 3, call + ["--transport", "mpi"], in: folder)
                let there = try #require(job.wait(), "\(job.errors)")
                #expect(there.status == 0, "\(there.errors)")
                func answer(_ output: String) throws -> NSDictionary {
                    let value = try JSONSerialization.jsonObject(with: Data(output.utf8))
                    let answer = NSMutableDictionary(dictionary: try #require(value as? [String: Any]))
                    answer.removeObject(forKey: "timings_ms")
                    return answer
                }
                #expect(try answer(here.output) == answer(there.output))
            }
        }
    }

    /// Every rank has a model in which the other stages' tensors are not numbers: whoever read one would say so.
    @Test func ranksReadTheirOwnStageOnly() throws {
        try withFolder { folder in
            let model = try makeDeepModel(in: folder)
            let snapshots = try makeSnapshots(in: folder, count: 3)
            let whole = folder.appending(path: "whole")
            #expect(try Tool.qinfer.run(Self.arguments(model, snapshots, whole, ["--stages", "3"])).status == 0)
            let output = folder.appending(path: "run")
            var launch: [String] = []
            for stage in 0..<3 {
                let own = folder.appending(path: "share-\(stage)")
                try FileManager.default.copyItem(at: URL(fileURLWithPath: model), to: own)
                // Rank 0 compares all shares, so it has them all; it loads its own.
                if stage > 0 { try poison(own) { !$0.contains(".layers.\(stage).") && !(stage == 2 && isHead($0)) } }
                launch += stage > 0 ? [":"] : []
                launch += ["-np", "1", MPIJob.tool]
                launch += Self.arguments(own.path, snapshots, output, ["--stages", "3", "--transport", "mpi"])
            }
            let job = try MPIJob(launch, in: folder)
            let outcome = try #require(job.wait(), "\(job.errors)")
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(
                try Data(contentsOf: output.appending(path: "results.jsonl"))
                    == Data(contentsOf: whole.appending(path: "results.jsonl")))
            // And in bytes: what the stages hold adds up to the model, none has it all.
            let poisoned = folder.appending(path: "share-1").path
            let alone = try Tool.qinfer("generate", poisoned, "--prompt", "a", "--stages", "1")
            #expect(alone.status == 1 && alone.errors.contains("NaN"), "the poison works: \(alone.errors)")
        }
    }

    /// The last stage's own: the norm and the head, which is tied to the embedding.
    private func isHead(_ name: String) -> Bool { name == "model.norm.weight" || name == "model.embed_tokens.weight" }

    /// Overwrites tensors with NaN.
    private func poison(_ model: URL, _ which: (String) -> Bool) throws {
        let url = model.appending(path: "model.safetensors")
        var file = try Data(contentsOf: url)
        let length = file.prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
        let header = try #require(try JSONSerialization.jsonObject(with: file[8..<8 + length]) as? [String: Any])
        for (name, entry) in header where name != "__metadata__" && which(name) {
            let offsets = try #require((entry as? [String: Any])?["data_offsets"] as? [Int])
            for byte in offsets[0]..<offsets[1] { file[8 + length + byte] = 0xFF }
        }
        try file.write(to: url)
    }

    /// Each process' readings, and each stage's work, hops and bytes, are in the ledger and in metrics.prom.
    @Test func observed() throws {
        try withFolder { folder in
            let output = folder.appending(path: "run")
            let job = try MPIJob(
                ranks: 6,
                Self.arguments(
                    try makeDeepModel(in: folder), try makeSnapshots(in: folder, count: 24), output,
                    ["--stages", "3", "--transport", "mpi", "--batch", "2"]), in: folder)
            let outcome = try #require(job.wait(), "\(job.errors)")
            #expect(outcome.status == 0, "\(outcome.errors)")
            let store = try RunStore(output.appending(path: "run.sqlite"), access: .readOnly)
            let run = try store.runs()[0].id
            let names = Set((0..<6).map { "qubic-node-001/rank-\($0)" })
            let samples = try store.samples(of: run)
            #expect(Set(samples.map(\.node)) == names)
            #expect(samples.allSatisfy { $0.cpuSeconds! >= 0 && $0.residentBytes! > 1 << 20 })
            #expect(samples.allSatisfy { $0.networkSentBytes != nil && $0.diskReadBytes != nil })
            // Tokens are a pipeline's, which each of its stages has computed.
            let last: [NodeSample] = try names.sorted().map { name in try #require(samples.last { $0.node == name }) }
            #expect(last.allSatisfy { $0.queueLength != nil && $0.health == .ok }, "\(last)")
            let tokens = last.map { $0.tokens ?? 0 }
            #expect(tokens.allSatisfy { $0 > 0 } && Set(tokens[0..<3]).count == 1 && Set(tokens[3..<6]).count == 1)
            let stages = try store.stageSamples(of: run)
            for rank in 0..<6 {
                let last = try #require(stages.last { $0.node == "qubic-node-001/rank-\(rank)" })
                #expect(last.stage == rank % 3 && last.batches > 0 && last.busySeconds > 0, "\(last)")
                #expect(last.bytesSent > 0 && last.hopSeconds > 0 && last.bubbleSeconds >= 0, "\(last)")
            }
            // Hidden states go down, readings come back.
            let sent = (0..<3).map { stage in stages.last { $0.stage == stage }!.bytesSent }
            #expect(sent[2] * 10 < sent[1], "\(sent)")
            let metrics = try text(output.appending(path: "metrics.prom"))
            #expect(metrics.contains("qubic_cpu_seconds_total{node=\"qubic-node-001/rank-5\"}"))
            for name in names {
                #expect(metrics.contains("qubic_node_health{node=\"\(name)\",state=\"ok\"} 1.0"))
            }
            #expect(metrics.contains("qubic_stage_hop_seconds{node=\"qubic-node-001/rank-2\",stage=\"2\"}"))
            #expect(metrics.contains("qubic_requests_total{node=\"qubic-node-001\",outcome=\"answered\"} 24.0"))
        }
    }

    @Test func halfPrecisionOnTheWire() throws {
        try withFolder { folder in
            let model = try makeDeepModel(in: folder)
            let snapshots = try makeSnapshots(in: folder, count: 3)
            func run(_ name: String, _ more: [String]) throws -> (URL, Tool.Outcome) {
                let output = folder.appending(path: name)
                let job = try MPIJob(
                    ranks: 3, Self.arguments(model, snapshots, output, ["--stages", "3", "--transport", "mpi"] + more),
                    in: folder)
                return (output, try #require(job.wait(), "\(job.errors)"))
            }
            func bytes(_ output: URL) throws -> Int {
                let store = try RunStore(output.appending(path: "run.sqlite"), access: .readOnly)
                return try #require(try store.stageSamples(of: try store.runs()[0].id).last { $0.stage == 1 }).bytesSent
            }
            let (exact, first) = try run("exact", [])
            let (half, second) = try run("half", ["--wire", "fp16"])
            #expect(first.status == 0 && second.status == 0, "\(first.errors)\(second.errors)")
            let ratio = Double(try bytes(half)) / Double(try bytes(exact))
            #expect(ratio > 0.5 && ratio < 0.7, "\(ratio)")
            // Rounded answers are not mixed with exact ones.
            let (_, mixed) = try run("half", ["--resume"])
            #expect(mixed.status == 1 && mixed.errors.contains("wire"), "\(mixed.errors)")
        }
    }
}
