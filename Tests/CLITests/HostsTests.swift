import Foundation
import Testing

/// Three hosts with addresses of their own: network namespaces, joined by veth pairs and a bridge.
@Suite(.enabled(if: MPIJob.isAllowed, MPIJob.reason), .enabled(if: Hosts.isAllowed, Hosts.reason), .serialized)
struct HostsTests {
    @Test func sameBytesAndACut() throws {
        try withFolder { folder in
            let model = try makeDeepModel(in: folder)
            let snapshots = try makeSnapshots(in: folder, count: 60)
            let whole = folder.appending(path: "whole")
            #expect(try Tool.qinfer.run(JobTests.arguments(model, snapshots, whole)).status == 0)
            let expected = try Data(contentsOf: whole.appending(path: "results.jsonl"))
            let hosts = try Hosts()
            defer { hosts.down() }

            func job(_ output: URL, _ more: [String]) throws -> MPIJob {
                try MPIJob(
                    launcher: path("scripts/pipeline/hosts.sh"),
                    ["run", hosts.prefix, path("scripts/mpirun.sh"), "-np", "3", "--host"]
                        + ["10.77.0.1:1,10.77.0.2:1,10.77.0.3:1", MPIJob.tool]
                        + JobTests.arguments(
                            model, snapshots, output,
                            ["--transport", "mpi", "--stages", "3", "--peer-timeout", "4"] + more), in: folder)
            }
            let apart = folder.appending(path: "apart")
            let first = try job(apart, [])
            let outcome = try #require(first.wait(), "\(first.errors)")
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(try Data(contentsOf: apart.appending(path: "results.jsonl")) == expected)

            let cut = folder.appending(path: "cut")
            let second = try job(cut, ["--batch", "2"])
            let results = cut.appending(path: "results.jsonl")
            while second.process.isRunning, (try? lines(results).count) ?? 0 < 9 { usleep(300) }
            try hosts.call("cut", "3")
            let begin = Date()
            let broken = try #require(second.wait(30), "a hang: \(second.errors)")
            let took = Date().timeIntervalSince(begin)
            #expect(took < 4 + 4, "\(took) s: the ranks' four, and the launcher's own end")
            #expect(broken.status != 0)
            let said = broken.errors.split(separator: "\n")
            for rank in 0...1 {
                #expect(
                    said.contains {
                        $0.hasPrefix("error: rank 2 (stage 3 of 3): ") && $0.hasSuffix("[said by rank \(rank)]")
                    }, "rank \(rank): \(broken.errors)")
            }
            #expect(try lines(results).count >= 9)
            try hosts.call("join", "3")
            let third = try job(cut, ["--resume"])
            let resumed = try #require(third.wait(), "\(third.errors)")
            #expect(resumed.status == 0, "\(resumed.errors)")
            #expect(try Data(contentsOf: results) == expected)
        }
    }
}

/// The hosts of scripts/pipeline/hosts.sh.
struct Hosts {
    static let reason: Comment = "making network namespaces, veth pairs and bridges is not allowed here"
    static let isAllowed: Bool = {
        guard getuid() == 0, let hosts = try? Hosts() else { return false }
        hosts.down()
        return true
    }()

    struct NotAllowed: Error {}

    /// Interface names have at most fifteen characters.
    let prefix = "qh" + String(getpid() % 100_000, radix: 36) + String(Int.random(in: 36..<1296), radix: 36)

    init() throws { try call("up") }

    func call(_ action: String, _ more: String...) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path("scripts/pipeline/hosts.sh"))
        process.arguments = [action, prefix] + more
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw NotAllowed() }
    }

    func down() { try? call("down") }
}
