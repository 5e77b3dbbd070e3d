import Foundation
import Runtime
import Testing

/// What needs a process of its own or a disk of its own: a full disk, a kill, and the memory at its peak.
@Suite(.serialized) struct QuantizerProcessTests {
    private func files(_ directory: URL) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
    }

    @Test func fullDisk() throws {
        try temporaryDirectory { directory in
            let model = directory.appending(path: "model")
            try SparseModel().write(to: model)
            let quantizer = try ModelQuantizer(
                Checkpoint(directory: model), scheme: QuantizationScheme(bits: 8, groupSize: 32))
            let mounted = try Child.withSmallDisk(256) { disk in
                let output = disk.appending(path: "q")
                let said = wording { _ = try quantizer.write(to: output) }
                let place = "\(output.path)/model.safetensors: cannot reserve "
                let reason =
                    "No space left on device (errno 28); free some space or choose another disk; nothing was replaced"
                #expect(said?.hasPrefix(place) == true && said!.hasSuffix(reason), "got: \(said ?? "written")")
                let left = try files(disk)
                #expect(left == [])
            }
            guard !mounted, let tool = Child.tool("qquant") else { return }
            // No mounting here: a limit on the size of files instead. The signal is ignored, so that write fails.
            let output = directory.appending(path: "q").path
            let result = try Child.run(
                "bash", "-c", "trap '' XFSZ; ulimit -f 256; exec \"$@\"", "bash", tool.path, "quantize", model.path,
                "--output",
                output, "--bits", "8", "--group-size", "32")
            #expect(result.status == 1 && result.errors.contains("File too large"), "got: \(result.errors)")
            #expect(try files(directory) == ["model"])
        }
    }

    @Test func importOnAFullDisk() throws {
        _ = try Child.withSmallDisk(64) { disk in
            let said = wording {
                _ = try GGUFImport(url: fixture("gguf/llama.gguf")).write(to: disk.appending(path: "m"))
            }
            #expect(said?.contains("No space left on device") == true, "got: \(said ?? "written")")
            let left = try files(disk)
            #expect(left == [])
        }
    }

    /// Killed at any moment, nothing stands under the output's name, and the next run is not disturbed by what is left.
    @Test(.enabled(if: Child.tool("qquant") != nil, "the tools were not built"))
    func killedInTheMiddle() throws {
        let tool = try #require(Child.tool("qquant"))
        try temporaryDirectory { directory in
            let model = directory.appending(path: "model")
            try SparseModel(hidden: 512, intermediate: 2048, layers: 24).write(to: model)
            let output = directory.appending(path: "q")
            let command = [tool.path, "quantize", model.path, "--output", output.path, "--bits", "4"]
            var killed = 0
            for delay in [0, 10, 40, 80, 160] {
                let (process, _) = try Child.start(command)
                let own = ".q.\(process.processIdentifier)."
                while process.isRunning, try !files(directory).contains(where: { $0.hasPrefix(own) }) { usleep(500) }
                usleep(UInt32(delay) * 1000)
                kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
                guard process.terminationReason == .uncaughtSignal else { break }
                killed += 1
                #expect(!FileManager.default.fileExists(atPath: output.path), "killed after \(delay) ms")
                #expect(
                    try files(directory).allSatisfy { $0 == "model" || ($0.hasPrefix(".q.") && $0.hasSuffix(".tmp")) })
            }
            #expect(killed > 0, "each run was over before it was killed")
            try? FileManager.default.removeItem(at: output)
            #expect(
                try Child.run(tool.path, "quantize", model.path, "--output", output.path, "--bits", "4").status == 0)
            try Checkpoint(directory: output).validate()
            #expect(try files(directory) == ["model", "q"], "what was left behind is swept up")
        }
    }

    /// Killed in the middle, a calibrated run goes on with the layers that it has, and ends with the same bytes.
    @Test(.enabled(if: Child.tool("qquant") != nil, "the tools were not built"))
    func calibratedRunGoesOnAfterAKill() throws {
        let tool = try #require(Child.tool("qquant"))
        try temporaryDirectory { directory in
            let model = directory.appending(path: "model")
            try SparseModel(hidden: 256, intermediate: 1024, layers: 12).write(to: model)
            let tokens = try calibration(2048, in: directory)
            func command(_ name: String) -> [String] {
                [
                    tool.path, "quantize", model.path, "--output", directory.appending(path: name).path, "--bits", "4",
                    "--method", "gptq", "--calibration", tokens, "--calibration-tokens", "2048",
                ]
            }
            func layers() throws -> [String] {
                try files(directory).filter { $0.hasSuffix(".layers") }.flatMap {
                    try files(directory.appending(path: $0)).filter { $0.hasPrefix("layer-") }
                }
            }
            let (process, _) = try Child.start(command("q"))
            while process.isRunning, try layers().count < 3 { usleep(500) }
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            #expect(process.terminationReason == .uncaughtSignal, "the run was over before it was killed")
            let done = try layers()
            #expect(done.count >= 3 && done.count < 12)
            #expect(!FileManager.default.fileExists(atPath: directory.appending(path: "q").path))
            // What is taken over shows: with a scale of each layer changed, another output has those scales.
            let kept = try #require(try files(directory).first { $0.hasSuffix(".layers") })
            let changed = directory.appending(path: ".changed\(kept.dropFirst(2))")
            try FileManager.default.copyItem(at: directory.appending(path: kept), to: changed)
            func scale(_ layer: Int) -> String { "model.layers.\(layer).mlp.down_proj.weight_scale" }
            let other: [UInt8] = [0, 0x18]
            for layer in done.indices {
                let url = changed.appending(path: "layer-\(layer).safetensors")
                let entry = try #require(try SafetensorsFile(url: url).entries[scale(layer)])
                let handle = try FileHandle(forWritingTo: url)
                try handle.seek(toOffset: UInt64(entry.range.lowerBound))
                try handle.write(contentsOf: Data(other))
                try handle.close()
            }
            #expect(try Child.run(command("changed")).status == 0)
            let output = directory.appending(path: "changed")
            let result = try Checkpoint(directory: output)
            for layer in 0..<12 {
                let bytes = try result.withBytes(scale(layer)) { [$0[0], $0[1]] }
                #expect((bytes == other) == (layer < done.count), "layer \(layer) of \(done.count) done: \(bytes)")
            }
            try FileManager.default.removeItem(at: output)

            let resumed = try Child.run(command("q"))
            #expect(resumed.status == 0, "\(resumed.errors)")
            // Neither the layers kept nor what the killed run left under a temporary name is there any more.
            #expect(try files(directory) == ["model", "q", "tokens.jsonl"])
            #expect(try Child.run(command("undisturbed")).status == 0)
            for name in ["model.safetensors", "config.json"] {
                #expect(
                    try Data(contentsOf: directory.appending(path: "q/\(name)"))
                        == Data(contentsOf: directory.appending(path: "undisturbed/\(name)")), "\(name)")
            }
        }
    }

    /// The most that a command has held in memory, in bytes, once it has succeeded.
    private func peak(_ command: [String]) throws -> Int {
        let process = try Child.start(command).process
        // The last look before its end: what it holds at most comes long before that.
        var peak = 0
        while process.isRunning {
            peak = Child.peakMemory(process) ?? peak
            usleep(2_000)
        }
        #expect(process.terminationStatus == 0)
        return peak
    }

    /// The bound of issue 2: the largest tensor ×4 + 200 MB. The model is far larger than that.
    @Test(.enabled(if: Child.tool("qquant") != nil, "the tools were not built"))
    func memoryAtItsPeak() throws {
        let tool = try #require(Child.tool("qquant"))
        try temporaryDirectory { directory in
            let model = directory.appending(path: "model")
            let size = SparseModel(hidden: 1024, intermediate: 4096, layers: 16)
            try size.write(to: model)
            let bound = size.largest * 4 + 200_000_000
            #expect(size.byteCount > 2 * bound)
            let output = directory.appending(path: "q").path
            let peak = try peak([tool.path, "quantize", model.path, "--output", output, "--bits", "4"])
            #expect(peak > 0 && peak < bound, "peak \(peak), bound \(bound)")
        }
    }

    /// GPTQ holds a block, the second moments of one input with their factor, and the tokens' rows, in fp32. Issue 2 gives
    /// it 1 GB more; here it is 180 MB, so that a model which is quickly quantized is larger than the bound.
    @Test(.enabled(if: Child.tool("qquant") != nil, "the tools were not built"))
    func memoryOfGPTQAtItsPeak() throws {
        let tool = try #require(Child.tool("qquant"))
        try temporaryDirectory { directory in
            let model = directory.appending(path: "model")
            let size = SparseModel(hidden: 512, intermediate: 1024, layers: 24)
            try size.write(to: model)
            let (hidden, wide, tokens) = (size.hidden, size.intermediate, 512)
            let block = 4 * hidden * hidden + 3 * hidden * wide
            let bound = 4 * (2 * block + 3 * wide * wide + tokens * (6 * hidden + 4 * wide)) + 180_000_000
            #expect(2 * size.byteCount > bound, "the model in fp32")
            let peak = try peak([
                tool.path, "quantize", model.path, "--output", directory.appending(path: "q").path, "--bits", "4",
                "--method", "gptq", "--refinements", "0", "--calibration", try calibration(tokens, in: directory),
                "--calibration-tokens", "\(tokens)", "--threads", "2",
            ])
            #expect(peak > 0 && peak < bound, "peak \(peak), bound \(bound)")
        }
    }

    /// A file of tokens.
    private func calibration(_ tokens: Int, in directory: URL) throws -> String {
        let url = directory.appending(path: "tokens.jsonl")
        let list = (0..<tokens).map { "\($0 * 37 % 512)" }.joined(separator: ",")
        try Data("{\"tokens\":[\(list)]}\n".utf8).write(to: url)
        return url.path
    }

    /// With `--threads 1` one works; what else the process has hardly runs.
    @Test(.enabled(if: Child.tool("qquant") != nil, "the tools were not built"), arguments: ["rtn", "mse", "gptq"])
    func oneThread(_ method: String) throws {
        let tool = try #require(Child.tool("qquant"))
        try temporaryDirectory { directory in
            let model = directory.appending(path: "model")
            let calibrates = method == "gptq"
            try SparseModel(
                hidden: calibrates ? 256 : 512, intermediate: calibrates ? 1024 : 2048, layers: calibrates ? 3 : 8
            ).write(to: model)
            var command = [
                tool.path, "quantize", model.path, "--output", directory.appending(path: "q").path, "--bits", "4",
                "--threads", "1", "--method", method,
            ]
            if calibrates {
                command += ["--calibration", try calibration(2048, in: directory), "--calibration-tokens", "2048"]
            }
            let process = try Child.start(command).process
            var ticks: [String: Int] = [:]
            while process.isRunning {
                ticks.merge(self.ticks(process)) { max($0, $1) }
                usleep(2_000)
            }
            #expect(process.terminationStatus == 0)
            let busiest = ticks.values.max() ?? 0
            #expect(busiest >= 20, "too short to tell: \(ticks)")
            // The thread that starts the process needs a few hundredths.
            #expect(ticks.values.count { $0 > max(5, busiest / 10) } == 1, "\(ticks)")
        }
    }

    /// Processor time of each of a process' threads so far, in hundredths of a second.
    private func ticks(_ process: Process) -> [String: Int] {
        let tasks = "/proc/\(process.processIdentifier)/task"
        var ticks: [String: Int] = [:]
        for thread in (try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? [] {
            guard let text = try? String(contentsOfFile: "\(tasks)/\(thread)/stat", encoding: .utf8),
                let name = text.lastIndex(of: ")")
            else { continue }
            // Behind the name in brackets: the state first, utime and stime as twelfth and thirteenth.
            let fields = text[text.index(after: name)...].split(separator: " ")
            guard fields.count > 12, let user = Int(fields[11]), let system = Int(fields[12]) else { continue }
            ticks[thread] = user + system
        }
        return ticks
    }
}
