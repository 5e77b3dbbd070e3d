import Foundation
import Testing

/// A full disk: a clear error, nothing half written that looks whole, nothing lost.
@Suite(.enabled(if: SmallDisk.isAllowed, "mounting a small tmpfs needs root"))
struct DiskFullTests {
    @Test func answers() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let snapshots = try makeSnapshots(in: folder, count: 24)
            func arguments(_ output: String, _ more: String...) -> [String] {
                [
                    "run", model, "--snapshots", snapshots, "--output", output, "--prompts", prompts, "--stages", "2",
                ] + more
            }
            let whole = folder.appending(path: "whole")
            #expect(try Tool.qinfer.run(arguments(whole.path)).status == 0)
            let expected = try Data(contentsOf: whole.appending(path: "results.jsonl"))
            let kept = folder.appending(path: "kept")
            try SmallDisk.with(kilobytes: 320, at: folder.appending(path: "disk")) { disk in
                let outcome = try Tool.qinfer.run(arguments(disk.path + "/run", "--batch", "1"))
                #expect(outcome.status == 1)
                #expect(outcome.errors.contains("No space left on device"), "\(outcome.errors)")
                try FileManager.default.copyItem(at: disk.appending(path: "run"), to: kept)
            }
            let survived = try lines(kept.appending(path: "results.jsonl")).count
            #expect(survived > 0 && survived < 24)
            let resumed = try Tool.qinfer.run(arguments(kept.path, "--resume"))
            #expect(resumed.status == 0, "\(resumed.errors)")
            #expect(try Data(contentsOf: kept.appending(path: "results.jsonl")) == expected)
        }
    }

    @Test func quantizedModel() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            try SmallDisk.with(kilobytes: 64, at: folder.appending(path: "disk")) { disk in
                let outcome = try Tool.qquant(
                    "quantize", model, "--output", disk.path + "/int8", "--bits", "8", "--group-size", "32")
                #expect(outcome.status == 1)
                #expect(outcome.errors.contains("No space left on device"), "\(outcome.errors)")
                #expect(try FileManager.default.contentsOfDirectory(atPath: disk.path).isEmpty)
            }
        }
    }

    @Test func trace() throws {
        try withFolder { folder in
            try SmallDisk.with(kilobytes: 32, at: folder.appending(path: "disk")) { disk in
                let outcome = try Tool.qinfer(
                    "generate", path("Tests/Fixtures/models/qwen2-tied"), "--prompt", "tick", "--max-tokens", "40",
                    "--stages", "2", "--trace", disk.path + "/t.h5")
                #expect(outcome.status == 1)
                #expect(outcome.errors.hasPrefix("error: "), "\(outcome.errors)")
                #expect(outcome.output.isEmpty)
                #expect(try FileManager.default.contentsOfDirectory(atPath: disk.path).isEmpty)
            }
        }
    }

    @Test func reports() throws {
        try withFolder { folder in
            _ = try makeSnapshots(in: folder, count: 2)
            let model = try makeModel(in: folder)
            try SmallDisk.with(kilobytes: 32, at: folder.appending(path: "disk")) { disk in
                let outcome = try Tool.qbench(
                    "run", model, "--dataset", folder.path, "--kpi", path("Datasets/kpi.yaml"), "--output",
                    disk.path + "/report", "--prompts", prompts, "--stages", "2")
                #expect(outcome.status == 1)
                #expect(outcome.errors.contains("No space left on device"), "\(outcome.errors)")
                let left = (try? FileManager.default.contentsOfDirectory(atPath: disk.path + "/report")) ?? []
                #expect(!left.contains("report.html"))
            }
        }
    }
}

/// A tmpfs of a few kilobytes.
enum SmallDisk {
    static let isAllowed: Bool = {
        guard getuid() == 0 else { return false }
        return (try? withFolder { try with(kilobytes: 16, at: $0.appending(path: "disk")) { _ in true } }) ?? false
    }()

    struct CannotMount: Error {}

    static func with<Result>(kilobytes: Int, at url: URL, _ body: (URL) throws -> Result) throws -> Result {
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        guard try call("mount", "-t", "tmpfs", "-o", "size=\(kilobytes)k", "tmpfs", url.path) else {
            throw CannotMount()
        }
        defer { _ = try? call("umount", "-l", url.path) }
        return try body(url)
    }

    private static func call(_ arguments: String...) throws -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}
