import Foundation
import Reporting
import Testing

/// The ledger, run.sqlite: what a resumed run builds on.
@Suite struct LedgerTests {
    private func arguments(_ model: String, _ snapshots: String, _ output: URL, _ more: String...) -> [String] {
        ["run", model, "--snapshots", snapshots, "--output", output.path, "--prompts", prompts, "--stages", "2"] + more
    }

    private func ledger(_ output: URL) throws -> (store: RunStore, run: StoredRun, requests: [StoredRequest]) {
        let store = try RunStore(output.appending(path: "run.sqlite"), access: .readOnly)
        let runs = try store.runs()
        #expect(runs.count == 1)
        return (store, runs[0], try store.requests(of: runs[0].id))
    }

    @Test func everythingIsInIt() throws {
        try withFolder { folder in
            let output = folder.appending(path: "run")
            let outcome = try Tool.qinfer.run(
                arguments(try makeModel(in: folder), try makeSnapshots(in: folder, count: 5), output))
            #expect(outcome.status == 0, "\(outcome.errors)")
            let (store, run, requests) = try ledger(output)
            #expect(run.state == .finished && run.launches == 1 && run.finishedAt != nil)
            #expect(try lines(output.appending(path: "results.jsonl")).map(String.init) == requests.map(\.answer))
            for request in requests {
                #expect(request.state == .finished && request.attempts == 1 && request.deaths == 0)
                #expect(request.node == "qubic-node-001" && request.inputHash.count == 64)
                #expect(request.timings.stagesMs?.count == 2 && request.timings.totalMs! > 0)
                #expect(request.timings.promptTokens! > 100)
            }
            let samples = try store.samples(of: run.id)
            let last = try #require(samples.last)
            #expect(last.queueLength == 0 && last.cpuSeconds! > 0 && last.residentBytes! > 1 << 20)
            let tokens = requests.reduce(0) { $0 + $1.timings.promptTokens! + $1.timings.outputTokens! }
            #expect(last.tokens == tokens)
            #expect(samples.allSatisfy { $0.health == .ok })
            let stages = try store.stageSamples(of: run.id)
            #expect(Set(stages.map(\.stage)) == [0, 1] && stages.allSatisfy { $0.queueLength >= 0 })
            #expect(stages.last!.batches > 0 && stages.last!.hopSeconds > 0 && stages.last!.busySeconds > 0)

            let metrics = try lines(output.appending(path: "metrics.prom"))
            // Each line is a comment or a name, labels and a number.
            let shape = #/qubic_[a-z_]+\{node="qubic-node-001"(,[a-z]+="[a-z0-9]+")?\} [0-9.e+-]+/#
            for line in metrics where !line.hasPrefix("# ") {
                #expect(try shape.wholeMatch(in: String(line)) != nil, "\(line)")
            }
            #expect(metrics.contains("qubic_requests_total{node=\"qubic-node-001\",outcome=\"answered\"} 5.0"))
            #expect(metrics.contains("qubic_tokens_total{node=\"qubic-node-001\"} \(Double(tokens))"))
            #expect(metrics.contains("qubic_node_health{node=\"qubic-node-001\",state=\"ok\"} 1.0"))
            #expect(metrics.contains("qubic_node_health{node=\"qubic-node-001\",state=\"stalled\"} 0.0"))
            #expect(metrics.contains { $0.hasPrefix("qubic_stage_hop_seconds{node=\"qubic-node-001\",stage=\"1\"}") })
        }
    }

    /// Killed again and again in the middle, the run gets on each time and ends with the undisturbed run's bytes.
    @Test func killedManyTimes() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let snapshots = try makeSnapshots(in: folder, count: 48)
            let whole = folder.appending(path: "whole")
            #expect(try Tool.qinfer.run(arguments(model, snapshots, whole)).status == 0)
            let output = folder.appending(path: "killed")
            for kills in 1...5 {
                let process = Tool.qinfer.process(arguments(model, snapshots, output, "--resume", "--batch", "2"))
                process.standardError = FileHandle.nullDevice
                try process.run()
                let results = output.appending(path: "results.jsonl")
                while process.isRunning, (try? lines(results).count) ?? 0 < kills * 7 { usleep(200) }
                kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
            }
            let resumed = try Tool.qinfer.run(arguments(model, snapshots, output, "--resume"))
            #expect(resumed.status == 0, "\(resumed.errors)")
            for name in ["results.jsonl", "rejected.jsonl"] {
                #expect(
                    try Data(contentsOf: output.appending(path: name))
                        == Data(contentsOf: whole.appending(path: name)))
            }
            #expect(try lines(output.appending(path: "timings.jsonl")).count == 48)
            let (_, run, requests) = try ledger(output)
            #expect(run.launches > 1 && requests.count == 48)
            #expect(requests.contains { $0.deaths > 0 }, "something was at work when it was killed")
        }
    }

    /// A request that the process died of twice, working on nothing else, is not tried a third time.
    @Test func quarantine() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let snapshots = try makeSnapshots(in: folder, count: 4)
            let output = folder.appending(path: "run")
            #expect(try Tool.qinfer.run(arguments(model, snapshots, output)).status == 0)
            let before = try lines(output.appending(path: "results.jsonl")).map(String.init)
            do {
                let store = try RunStore(output.appending(path: "run.sqlite"))
                let run = try store.runs()[0].id
                var poison = try #require(try store.requests(of: run).first { $0.position == 2 })
                poison.node = "qubic-node-001"
                for _ in 0..<2 {
                    try store.begin([poison], of: run, alone: true)  // … and the process dies.
                    try store.reopenRun(run)
                }
            }
            let resumed = try Tool.qinfer.run(arguments(model, snapshots, output, "--resume"))
            #expect(resumed.status == 2, "\(resumed.errors)")
            let after = try lines(output.appending(path: "results.jsonl")).map(String.init)
            #expect(after == before.enumerated().filter { $0.offset != 2 }.map(\.element))
            let rejected = try text(output.appending(path: "rejected.jsonl"))
            #expect(rejected.contains("quarantined") && rejected.contains("\"line\":3"), "\(rejected)")
            #expect(try Tool.qinfer("verify", output.path).status == 0)
        }
    }

    /// What is no ledger of this run is named, and what is there stays as it is.
    @Test func storesThatCannotBeResumed() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let snapshots = try makeSnapshots(in: folder, count: 3)
            let output = folder.appending(path: "run")
            let store = output.appending(path: "run.sqlite")
            let results = output.appending(path: "results.jsonl")
            #expect(try Tool.qinfer.run(arguments(model, snapshots, output)).status == 0)
            let good = try Data(contentsOf: store)
            let answers = try Data(contentsOf: results)

            func refused(_ word: String, _ more: [String] = []) throws {
                let outcome = try Tool.qinfer.run(arguments(model, snapshots, output, "--resume") + more)
                #expect(outcome.status == 1)
                #expect(outcome.errors.hasPrefix("error: "), "\(outcome.errors)")
                #expect(outcome.errors.contains("run.sqlite") && outcome.errors.contains(word), "\(outcome.errors)")
                #expect(try Data(contentsOf: results) == answers)
            }
            try refused("prompt", ["--language", "zh"])
            try refused("precision", ["--kv-cache", "fp16"])
            try refused("node", ["--node-id", "other"])
            try Data("hello, this is no database at all".utf8).write(to: store)
            try refused("no run store")
            try good.prefix(good.count / 2).write(to: store)
            try refused("damaged")
            var torn = good
            for index in good.count / 3..<good.count / 3 + 9000 { torn[index] = 0xA5 }
            try torn.write(to: store)
            try refused("damaged")
            try FileManager.default.removeItem(at: store)
            try refused("ledger")
            try good.write(to: store)
            #expect(try Tool.qinfer.run(arguments(model, snapshots, output, "--resume")).status == 0)
            #expect(try Data(contentsOf: results) == answers)
        }
    }
}
