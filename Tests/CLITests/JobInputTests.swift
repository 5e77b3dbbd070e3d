import Foundation
import Testing

/// Jobs that cannot work are refused on every rank, by name.
@Suite(.enabled(if: MPIJob.isAllowed, MPIJob.reason), .serialized)
struct JobInputTests {
    /// - Parameter tools: of ranks that run another program.
    private func job(_ ranks: [[String]], tools: [Int: String], in folder: URL) throws -> Tool.Outcome {
        var launch: [String] = []
        for (rank, call) in ranks.enumerated() {
            launch += rank > 0 ? [":"] : []
            launch += ["-np", "1", tools[rank] ?? MPIJob.tool] + call
        }
        let job = try MPIJob(launch, in: folder)
        return try #require(job.wait(), "it hangs: \(job.errors)")
    }

    @Test func refusals() throws {
        try withFolder { folder in
            let model = try makeDeepModel(in: folder)
            let snapshots = try makeSnapshots(in: folder, count: 2)
            let output = folder.appending(path: "run")
            func call(_ model: String, _ more: String...) -> [String] {
                JobTests.arguments(model, snapshots, output, ["--transport", "mpi", "--stages", "3"] + more)
            }
            func refused(
                _ ranks: [[String]], _ words: [String], tools: [Int: String] = [:], _ line: Int = #line
            ) throws {
                let outcome = try job(ranks, tools: tools, in: folder)
                #expect(outcome.status == 1, "line \(line)")
                let said = outcome.errors.split(separator: "\n").filter { $0.hasPrefix("error: ") }
                for rank in ranks.indices {
                    #expect(
                        said.contains { line in
                            line.hasSuffix("[said by rank \(rank)]") && words.allSatisfy { line.contains($0) }
                        }, "line \(line), rank \(rank): \(outcome.errors)")
                }
                #expect(!FileManager.default.fileExists(atPath: output.path), "nothing was made")
            }
            let good = call(model)
            // More stages than layers; ranks that are no multiple of the stages.
            let four = JobTests.arguments(model, snapshots, output, ["--transport", "mpi", "--stages", "4"])
            try refused([four, four, four, four], ["more stages than layers", "1…3", "4"])
            try refused([good, good], ["multiple of 3", "got 2"])
            try refused([good, good, good, good], ["multiple of 3", "got 4"])
            // More ranks than one prompt can keep busy.
            let one = ["generate", model, "--prompt", "tick", "--transport", "mpi", "--stages", "2"]
            try refused([one, one, one, one], ["a single prompt takes one pipeline", "2 ranks", "got 4"])
            // One rank with other flags, or another model.
            let rank2 = "rank 2 (stage 3 of 3)"
            try refused([good, good, call(model, "--kv-cache", "fp16")], [rank2, "--kv-cache", "fp32", "fp16"])
            try refused([good, call(model, "--batch", "7"), good], ["rank 1 (stage 2 of 3)", "--batch", "128", "7"])
            try refused(
                [good, call(model, "--peer-timeout", "600"), good],
                ["rank 1 (stage 2 of 3)", "--peer-timeout", "expected 10.0 s", "got 600.0 s"])
            let two = JobTests.arguments(model, snapshots, output, ["--transport", "mpi", "--stages", "2"])
            try refused([good, good, two], ["rank 2", "--stages"])
            // Another build of the same version: a byte behind the program's end.
            let build = folder.appending(path: "qinfer")
            try FileManager.default.copyItem(at: URL(fileURLWithPath: MPIJob.tool), to: build)
            let file = try FileHandle(forWritingTo: build)
            try file.seekToEnd()
            try file.write(contentsOf: Data([0]))
            try file.close()
            try refused([good, good, good], [rank2, "its program (SHA-256)"], tools: [2: build.path])
            let other = try makeDeepModel(in: folder.appending(path: "other", directoryHint: .isDirectory).making())
            let config = URL(fileURLWithPath: other).appending(path: "config.json")
            let changed = try text(config).replacing("8192", with: "8191")
            try Data(changed.utf8).write(to: config)
            try refused([good, good, call(other)], [rank2, "model"])
            // The same shapes, and one weight that is another.
            try Data(text(URL(fileURLWithPath: model).appending(path: "config.json")).utf8).write(to: config)
            let weights = URL(fileURLWithPath: other).appending(path: "model.safetensors")
            var bytes = try Data(contentsOf: weights)
            // The copied layer lies at the end: it is stage 3's.
            bytes[bytes.count - 7] ^= 0x10
            try bytes.write(to: weights)
            try refused([good, good, call(other)], [rank2, "weights of stage 3"])
            // A rank without its model.
            try refused([good, good, call(folder.appending(path: "none").path)], ["none"])
        }
    }

    /// Only rank 0 writes; what it could not write is resumed.
    @Test(.enabled(if: SmallDisk.isAllowed, "mounting a small tmpfs needs root"))
    func fullDisk() throws {
        try withFolder { folder in
            let model = try makeDeepModel(in: folder)
            let snapshots = try makeSnapshots(in: folder, count: 24)
            let whole = folder.appending(path: "whole")
            #expect(try Tool.qinfer.run(JobTests.arguments(model, snapshots, whole)).status == 0)
            let kept = folder.appending(path: "kept")
            let more = ["--transport", "mpi", "--stages", "3"]
            try SmallDisk.with(kilobytes: 320, at: folder.appending(path: "disk")) { disk in
                let output = disk.appending(path: "run")
                let job = try MPIJob(
                    ranks: 3, JobTests.arguments(model, snapshots, output, more + ["--batch", "1"]), in: folder)
                let outcome = try #require(job.wait(), "it hangs: \(job.errors)")
                #expect(outcome.status == 1)
                for rank in 0..<3 {
                    #expect(
                        outcome.errors.split(separator: "\n").contains {
                            $0.contains("No space left on device") && $0.hasSuffix("[said by rank \(rank)]")
                        }, "rank \(rank): \(outcome.errors)")
                }
                #expect(outcome.errors.contains("rank 0 (stage 1 of 3)"))
                try FileManager.default.copyItem(at: output, to: kept)
            }
            let job = try MPIJob(ranks: 3, JobTests.arguments(model, snapshots, kept, more + ["--resume"]), in: folder)
            let resumed = try #require(job.wait())
            #expect(resumed.status == 0, "\(resumed.errors)")
            #expect(
                try Data(contentsOf: kept.appending(path: "results.jsonl"))
                    == Data(contentsOf: whole.appending(path: "results.jsonl")))
        }
    }

    @Test func foreignStore() throws {
        try withFolder { folder in
            let output = folder.appending(path: "run")
            try FileManager.default.createDirectory(at: output, withIntermediateDirectories: true)
            try Data("no database at all, but long enough".utf8).write(to: output.appending(path: "run.sqlite"))
            let job = try MPIJob(
                ranks: 3,
                JobTests.arguments(
                    try makeDeepModel(in: folder), try makeSnapshots(in: folder, count: 2), output,
                    ["--transport", "mpi", "--stages", "3", "--resume"]), in: folder)
            let outcome = try #require(job.wait())
            #expect(outcome.status == 1 && outcome.errors.contains("no run store"), "\(outcome.errors)")
        }
    }

    @Test func usage() throws {
        let vote = ["--transport", "mpi", "--consensus-models", "a", "b", "c"]
        for more in [["--wire", "fp16"], ["--peer-timeout", "0"], vote] {
            let outcome = try Tool.qinfer.run(["run", "m", "--snapshots", "s", "--output", "o"] + more)
            #expect(outcome.status == 64, "\(more): \(outcome.errors)")
        }
    }
}

extension URL {
    /// The directory, made.
    fileprivate func making() throws -> URL {
        try FileManager.default.createDirectory(at: self, withIntermediateDirectories: true)
        return self
    }
}
