import Foundation
import Reporting
import Runtime
import Testing

/// Ranks that are killed or stopped: the job ends in time and says who, nothing is lost, nothing is there twice.
@Suite(.enabled(if: MPIJob.isAllowed, MPIJob.reason), .serialized)
struct JobFailureTests {
    static let timeout = 3.0

    /// Five runs, each hit four times at random moments: 20 losses.
    @Test(arguments: 0..<5)
    func lostAtRandomMoments(run: Int) throws {
        try withFolder { folder in
            // The same moments in every run of the test.
            var random = SplitMix64(seed: UInt64(run) + 2026)
            let model = try makeDeepModel(in: folder)
            let count = 60
            let snapshots = try makeSnapshots(in: folder, count: count)
            let whole = folder.appending(path: "whole")
            #expect(try Tool.qinfer.run(JobTests.arguments(model, snapshots, whole)).status == 0)
            let output = folder.appending(path: "run")
            let results = output.appending(path: "results.jsonl")
            let call = JobTests.arguments(
                model, snapshots, output,
                [
                    "--transport", "mpi", "--stages", "3", "--batch", "2", "--resume", "--peer-timeout",
                    "\(Self.timeout)",
                ])
            for hit in 0..<4 {
                let victim = Int.random(in: 0..<3, using: &random)
                let signal = (run + hit) % 2 == 0 ? SIGKILL : SIGSTOP
                let answered = hit * 12 + Int.random(in: 1...10, using: &random)
                let job = try MPIJob(ranks: 3, call, in: folder)
                // At work again, and so far: the ledger says it, results.jsonl waits for what is tried at the end.
                while job.process.isRunning, !Self.isAt(answered, launch: hit + 1, output) { usleep(3000) }
                let process = try #require(job.ranks[victim], "run \(run), hit \(hit): rank \(victim) is there")
                kill(process, signal)
                let begin = Date()
                let outcome = try #require(
                    job.wait(30), "run \(run), hit \(hit): a hang, rank \(victim), signal \(signal): \(job.errors)")
                let took = Date().timeIntervalSince(begin)
                #expect(took < Self.timeout + 2, "run \(run), hit \(hit): \(took) s, the launcher's own end included")
                #expect(outcome.status != 0)
                for rank in 0..<3 where rank != victim {
                    #expect(
                        outcome.errors.split(separator: "\n").contains {
                            $0.hasPrefix("error: rank \(victim) (stage \(victim + 1) of 3): ")
                                && $0.hasSuffix("[said by rank \(rank)]")
                        }, "run \(run), hit \(hit), signal \(signal), rank \(rank): \(outcome.errors)")
                }
            }
            let job = try MPIJob(ranks: 3, call, in: folder)
            let last = try #require(job.wait(), "\(job.errors)")
            #expect(last.status == 0, "\(last.errors)")
            #expect(try Data(contentsOf: results) == Data(contentsOf: whole.appending(path: "results.jsonl")))
            #expect(try lines(output.appending(path: "timings.jsonl")).count == count)
            #expect(try text(output.appending(path: "rejected.jsonl")).isEmpty)
            let store = try RunStore(output.appending(path: "run.sqlite"), access: .readOnly)
            let requests = try store.requests(of: try store.runs()[0].id)
            #expect(requests.count == count && requests.allSatisfy { $0.state == .finished })
            #expect(requests.contains { $0.deaths > 0 }, "what was at work was marked")
            #expect(try Tool.qinfer("verify", output.path).status == 0)
        }
    }

    /// Two pipelines, of which now one and now the other loses a rank: all answers, but for who gave them.
    @Test func pipelinesAreLost() throws {
        try withFolder { folder in
            let model = try makeDeepModel(in: folder)
            let snapshots = try makeSnapshots(in: folder, count: 60)
            let whole = folder.appending(path: "whole")
            #expect(try Tool.qinfer.run(JobTests.arguments(model, snapshots, whole)).status == 0)
            let output = folder.appending(path: "run")
            let call = JobTests.arguments(
                model, snapshots, output,
                [
                    "--transport", "mpi", "--stages", "2", "--batch", "2", "--resume", "--peer-timeout",
                    "\(Self.timeout)",
                ])
            for (hit, victim) in [3, 0, 2].enumerated() {
                let job = try MPIJob(ranks: 4, call, in: folder)
                while job.process.isRunning, !Self.isAt(10 * (hit + 1), launch: hit + 1, output) { usleep(3000) }
                kill(try #require(job.ranks[victim], "hit \(hit): rank \(victim) is there"), SIGKILL)
                let outcome = try #require(job.wait(30), "hit \(hit): a hang, rank \(victim): \(job.errors)")
                #expect(outcome.status != 0)
                let name = "rank \(victim) (stage \(victim % 2 + 1) of pipeline \(victim / 2 + 1))"
                #expect(outcome.errors.contains("error: \(name)"), "\(outcome.errors)")
            }
            let job = try MPIJob(ranks: 4, call, in: folder)
            let last = try #require(job.wait(), "\(job.errors)")
            #expect(last.status == 0, "\(last.errors)")
            func answers(_ run: URL) throws -> [String] {
                try lines(run.appending(path: "results.jsonl")).map {
                    String($0).replacing(#/"node_id":"[^"]*"/#, with: "")
                }
            }
            #expect(try answers(output) == answers(whole))
            #expect(try text(output.appending(path: "rejected.jsonl")).isEmpty)
            #expect(try Tool.qinfer("verify", output.path).status == 0)
        }
    }

    private static func isAt(_ answered: Int, launch: Int, _ output: URL) -> Bool {
        let url = output.appending(path: "run.sqlite")
        guard let store = try? RunStore(url, access: .readOnly), let run = try? store.runs().first,
            run.launches == launch, run.state == .running, let requests = try? store.requests(of: run.id)
        else { return false }
        return requests.count { $0.state == .finished } >= answered && requests.contains { $0.state == .running }
    }

    /// A person's Ctrl-C at mpirun: nobody has died, and all say so.
    @Test func interrupted() throws {
        try withFolder { folder in
            let output = folder.appending(path: "run")
            // So many that they are not done when the ranks have heard of it.
            let call = JobTests.arguments(
                try makeDeepModel(in: folder), path("Datasets/labelled/requests.test.jsonl.gz"), output,
                ["--transport", "mpi", "--stages", "3", "--batch", "2"])
            // A thread of the tests may block the signal, which a person's shell does not.
            let launcher = ["--default-signal=INT", path("scripts/mpirun.sh"), "-np", "3", MPIJob.tool]
            let job = try MPIJob(launcher: "/usr/bin/env", launcher + call, in: folder)
            let results = output.appending(path: "results.jsonl")
            while job.process.isRunning, (try? lines(results).count) ?? 0 < 5 { usleep(300) }
            kill(job.process.processIdentifier, SIGINT)
            let outcome = try #require(job.wait(20), "\(job.errors)")
            #expect(outcome.status != 0)
            let store = try RunStore(output.appending(path: "run.sqlite"), access: .readOnly)
            let requests = try store.requests(of: try store.runs()[0].id)
            #expect(requests.count { $0.state == .finished } >= 5)
        }
    }
}
