import Foundation
import Testing

/// `qinfer verify` and `--consensus`.
@Suite struct VerifyTests {
    private func run(_ model: [String], _ snapshots: String, _ output: URL, _ more: String...) throws -> Tool.Outcome {
        try Tool.qinfer.run(
            ["run"] + model + ["--snapshots", snapshots, "--output", output.path, "--prompts", prompts] + more)
    }

    private func root(_ output: URL) throws -> String {
        let record = try JSONSerialization.jsonObject(with: Data(contentsOf: output.appending(path: "record.json")))
        return try #require((record as? [String: Any])?["merkle_root"] as? String)
    }

    /// The same root for one stage and three, batch 1 and 16, and whoever answers.
    @Test func rootDependsOnNothingButTheAnswers() throws {
        try withFolder { folder in
            let model = try makeDeepModel(in: folder)
            let snapshots = try makeSnapshots(in: folder, count: 7)
            var roots: [String] = []
            for (stages, batch) in [("1", "1"), ("1", "16"), ("3", "1"), ("3", "16")] {
                let output = folder.appending(path: "run-\(stages)-\(batch)")
                let outcome = try run(
                    [model], snapshots, output, "--stages", stages, "--batch", batch, "--node-id", "n\(stages)")
                #expect(outcome.status == 0, "\(outcome.errors)")
                roots.append(try root(output))
                #expect(try Tool.qinfer("verify", output.path).output.contains(roots[0]))
            }
            #expect(roots[0].count == 64 && Set(roots).count == 1, "\(roots)")
        }
    }

    @Test func namesWhatWasTouched() throws {
        try withFolder { folder in
            let output = folder.appending(path: "run")
            let key = folder.appending(path: "node.key")
            let outcome = try run(
                [try makeModel(in: folder)], try makeSnapshots(in: folder, count: 5), output, "--stages", "2",
                "--signing-key", key.path)
            #expect(outcome.status == 0, "\(outcome.errors)")
            let mode = try FileManager.default.attributesOfItem(atPath: key.path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            #expect(try Tool.qinfer("verify", output.path).status == 0)

            func touch(_ name: String, _ change: (inout [String]) -> Void) throws -> String {
                let url = output.appending(path: name)
                let before = try Data(contentsOf: url)
                defer { try? before.write(to: url) }
                var rows = try text(url).split(separator: "\n").map(String.init)
                change(&rows)
                try Data((rows.joined(separator: "\n") + "\n").utf8).write(to: url)
                let outcome = try Tool.qinfer("verify", output.path)
                #expect(outcome.status == 1 && outcome.output.isEmpty, "\(outcome.errors)")
                return outcome.errors
            }
            let changed = try touch("results.jsonl") {
                for index in [2, 4] { $0[index] = $0[index].replacing("\"confidence\":0", with: "\"confidence\":1") }
            }
            #expect(changed.contains("line 3: answer epoch-106 was touched"), "\(changed)")
            #expect(try touch("results.jsonl") { $0.swapAt(1, 2) }.contains("line 2: answer epoch-105 was touched"))
            #expect(try touch("results.jsonl") { $0.removeLast() }.contains("answer epoch-108 is missing"))
            #expect(try touch("results.jsonl") { $0.append($0[0]) }.contains("does not know"))
            #expect(try touch("results.jsonl") { $0[3] = "{" }.contains("answer epoch-107 was touched"))
            #expect(
                try touch("results.jsonl") { $0[0] = $0[0].replacing("qubic-node-001", with: "mallory") }
                    .contains("another node"))
            #expect(try touch("proofs.jsonl") { $0[1] = $0[0] }.contains("proofs.jsonl, line 2"))
            #expect(try touch("proofs.jsonl") { $0.removeFirst() }.contains("number of proofs"))
            #expect(
                try touch("record.json") { rows in
                    rows = rows.map { $0.replacing("\"task\": \"analysis\"", with: "\"task\": \"other\"") }
                }.contains("configuration_digest"))
            #expect(
                try touch("record.json") { rows in
                    rows = rows.map {
                        $0.contains("\"signature\"") ? $0.replacing(#/: "../#, with: ": \"00") : $0
                    }
                }.contains("signature of node qubic-node-001"))
            #expect(try touch("record.json") { $0 = ["[[[["] }.contains("JSON"))
            #expect(try touch("record.json") { $0 = [] }.contains("JSON"))
            let other = try Tool.qinfer("verify", output.path, "--public-key", String(repeating: "0", count: 64))
            #expect(other.status == 1 && other.errors.contains("another key"), "\(other.errors)")
            let record = try JSONSerialization.jsonObject(with: Data(contentsOf: output.appending(path: "record.json")))
            let nodes = try #require((record as? [String: Any])?["nodes"] as? [[String: Any]])
            let own = try #require(nodes[0]["public_key"] as? String)
            for key in [own, "qubic-node-001=\(own)"] {
                #expect(try Tool.qinfer("verify", output.path, "--public-key", key).status == 0)
            }
            let unknown = try Tool.qinfer("verify", output.path, "--public-key", "qubic-node-002=\(own)")
            #expect(unknown.status == 1 && unknown.errors.contains("qubic-node-002"), "\(unknown.errors)")
            #expect(try Tool.qinfer("verify", folder.path).errors.contains("record.json"))
        }
    }

    /// A vote's folder is checked as a whole: replicas, votes, totals.
    private func touchedVotesAreNamed(_ folder: URL) throws {
        let whole = try Tool.qinfer("verify", folder.path)
        #expect(whole.status == 0 && whole.output.contains("4 votes as recorded"), "\(whole.errors)")
        #expect(try lines(folder.appending(path: "consensus.jsonl")).count == 4)
        func touched(_ name: String, _ expected: String, _ change: (String) -> String) throws {
            let url = folder.appending(path: name)
            let before = try text(url)
            let after = change(before)
            #expect(before != after, "\(name) was not touched")
            try Data(after.utf8).write(to: url)
            let outcome = try Tool.qinfer("verify", folder.path)
            try Data(before.utf8).write(to: url)
            #expect(outcome.status == 1 && outcome.output.isEmpty)
            #expect(outcome.errors.contains(expected), "\(outcome.errors)")
        }
        func first(_ text: String, _ pattern: Regex<Substring>, _ replacement: String) -> String {
            text.replacing(pattern, with: replacement, maxReplacements: 1)
        }
        try touched("consensus.jsonl", "line 1: answer epoch-104 was touched: another vote") {
            first($0, #/"agreement":[0-9.]+/#, "\"agreement\":0.5")
        }
        try touched("consensus.jsonl", "answer epoch-107 is missing") {
            $0.split(separator: "\n").dropLast().joined(separator: "\n")
        }
        try touched("consensus.jsonl", "line 5: an answer follows") { $0 + $0.split(separator: "\n")[0] + "\n" }
        try touched("consensus.json", "the merkle_root does not fit") {
            first($0, #/"merkle_root": "../#, "\"merkle_root\": \"zz")
        }
        try touched("consensus.json", "the consensus does not fit") {
            first($0, #/"consensus": [0-9]+/#, "\"consensus\": 9")
        }
        try touched("replica-2/results.jsonl", "answer epoch-104 was touched") {
            first($0, #/"confidence":0/#, "\"confidence\":1")
        }
        let key = try Tool.qinfer("verify", folder.path, "--public-key", String(repeating: "0", count: 64))
        #expect(key.status == 64 && key.errors.contains("replica-N"), "\(key.errors)")
    }

    @Test func replicasVote() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let int8 = folder.appending(path: "int8").path
            #expect(
                try Tool.qquant("quantize", model, "--output", int8, "--bits", "8", "--group-size", "32").status == 0)
            let int4 = folder.appending(path: "int4").path
            #expect(
                try Tool.qquant("quantize", model, "--output", int4, "--bits", "4", "--group-size", "32").status == 0)
            let snapshots = try makeSnapshots(in: folder, count: 4)
            let same = folder.appending(path: "same")
            let outcome = try run([model], snapshots, same, "--stages", "2", "--consensus", "3")
            #expect(outcome.status == 0, "\(outcome.errors)")
            let roots = try (1...3).map { try root(same.appending(path: "replica-\($0)")) }
            #expect(Set(roots).count == 1, "the same weights give the same answers")
            #expect(try lines(same.appending(path: "consensus.jsonl")).count == 4)
            #expect(try text(same.appending(path: "consensus.json")).contains("\"unanimous\": 4"))

            let mixed = folder.appending(path: "mixed")
            let voted = try run(["--consensus-models", model, int8, int4], snapshots, mixed, "--stages", "2")
            #expect(voted.status == 0, "\(voted.errors)")
            for line in try lines(mixed.appending(path: "consensus.jsonl")) {
                let row = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
                let votes = try #require(row["votes"] as? [[String: Any]])
                let labels = votes.compactMap { $0["label"] as? String }
                #expect(labels.count == 3)
                let most = Dictionary(grouping: labels, by: { $0 }).map(\.value.count).max()!
                #expect(row["agreement"] as? Double == Double(most) / 3)
                #expect(row["status"] as? String == (most >= 2 ? "consensus" : "no-consensus"))
                #expect((row["dissent"] as? [Any])?.count == 3 - most)
            }
            try touchedVotesAreNamed(mixed)
        }
    }
}
