import ArgumentParser
import Benchmark
import Foundation
import Runtime
import ToolSupport

/// `qbench engine`: how fast a model runs, whatever it is asked.
struct EngineCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "engine", abstract: "Measure prefill, decode and batched decode of a model.",
        discussion: """
            Random tokens, one warm-up, medians. Percentages are of what this machine
            gives in the same run: 8-bit products on registers, and reading memory.

            EXAMPLES
              qbench engine models/SmolLM2-int8
              qbench engine models/SmolLM2-int8 --stages 1 --prefill 512,4096 \\
                --batch 1,4,8,16,32 --html engine.html
            """)

    @Argument(help: "Directory of a Hugging Face checkpoint.")
    var model: String

    @Option(help: ArgumentHelp("Prompt lengths to read.", valueName: "tokens,…"))
    var prefill = "512"

    @Option(help: ArgumentHelp("Tokens that each sequence writes.", valueName: "tokens"))
    var decode = 128

    @Option(help: ArgumentHelp("Numbers of sequences written at once.", valueName: "count,…"))
    var batch = "1,4,16"

    @Option(help: "Repetitions of each measurement, after a warm-up.")
    var repetitions = 5

    @Option(help: "Pipeline stages that the layers are divided over.")
    var stages = 1

    @Option(help: ArgumentHelp("Threads of each stage. (default: cores divided by stages)", valueName: "count"))
    var threads: Int?

    @Option(help: "auto: quantized layers in int8; fp32: everything dequantized, the reference.")
    var compute = ComputePrecision.auto

    @Option(help: "How keys and values are kept: fp32 or fp16.")
    var kvCache = CachePrecision.fp32

    @Flag(help: "Print JSON, with every repetition.")
    var json = false

    @Option(help: ArgumentHelp("Write the figures and their roofline as a page.", valueName: "file"))
    var html: String?

    func validate() throws {
        _ = try Self.counts(prefill, "--prefill")
        _ = try Self.counts(batch, "--batch")
        guard decode >= 2 else { throw ValidationError("--decode: expected at least 2, got \(decode)") }
        guard repetitions >= 1 else { throw ValidationError("--repetitions: expected at least 1, got \(repetitions)") }
        guard stages >= 1 else { throw ValidationError("--stages: expected at least 1, got \(stages)") }
        if let threads, threads < 1 { throw ValidationError("--threads: expected at least 1, got \(threads)") }
    }

    func run() async throws {
        try await reportingErrorsAsync {
            var benchmark = EngineBenchmark()
            benchmark.prefill = try Self.counts(prefill, "--prefill")
            benchmark.batches = try Self.counts(batch, "--batch")
            benchmark.decode = decode
            benchmark.repetitions = repetitions
            var options = EngineOptions()
            options.stages = stages
            options.threadsPerStage = threads
            options.precision = compute
            options.cachePrecision = kvCache
            let progress = Progress("measuring", total: nil)
            defer { progress.finish() }
            let figures = try await benchmark.run(
                Checkpoint(directory: URL(fileURLWithPath: model)), options: options
            ) { progress.update(0, detail: $0) }
            if let html { try AtomicFile.write(figures.html(), to: URL(fileURLWithPath: html)) }
            print(json ? try figures.json() : figures.text())
        }
    }

    private static func counts(_ text: String, _ name: String) throws -> [Int] {
        try text.split(separator: ",", omittingEmptySubsequences: false).map {
            guard let count = Int($0), count >= 1 else {
                throw ValidationError("\(name): expected numbers from 1 on with commas between, got \(text)")
            }
            return count
        }
    }
}
