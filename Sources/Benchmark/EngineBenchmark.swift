import Foundation
import Reporting
import Runtime

/// The engine alone, on random tokens: prefill, decode, and decoding several sequences at once.
public struct EngineBenchmark: Sendable {
    /// Prompt lengths to read.
    public var prefill = [512]
    /// Tokens that each sequence writes.
    public var decode = 128
    /// Numbers of sequences that are written at once.
    public var batches = [1, 4, 16]
    public var repetitions = 5

    public init() {}

    /// - Parameter progress: called with what is measured next.
    public func run(
        _ checkpoint: Checkpoint, options: EngineOptions, progress: (String) -> Void = { _ in }
    ) async throws -> EngineFigures {
        var options = options
        options.concurrency = max(options.concurrency, batches.max() ?? 1)
        let loading = ProcessInfo.processInfo.systemUptime
        let engine = try Engine(checkpoint, tokenizer: nil, options: options)
        let loadSeconds = ProcessInfo.processInfo.systemUptime - loading
        defer { engine.stop() }
        let work = Work(
            checkpoint.configuration, productBytes: engine.usage.reduce(0) { $0 + $1.productBytes },
            headBytes: engine.usage.reduce(0) { $0 + $1.headBytes }, promptRows: engine.promptRows)
        let threads = engine.threadsPerStage * options.stages

        var random = SplitMix64(seed: 1)
        func prompt(_ count: Int) -> [Int32] {
            (0..<count).map { _ in Int32.random(in: 0..<Int32(checkpoint.configuration.vocabulary), using: &random) }
        }
        var timings: [Timing] = []
        for length in prefill {
            progress("prefill \(length)")
            var times: [Double] = []
            for repetition in 0...repetitions {
                // Fresh tokens each time: nothing is shared with an earlier prompt.
                let time = try await Self.batch([prompt(length)], output: 1, engine).first
                if repetition > 0 { times.append(time) }
            }
            timings.append(
                Timing(
                    name: "prefill \(length)", tokens: length, seconds: times, products: work.prefill(length),
                    bytes: work.prefillBytes(length)))
        }
        for size in batches {
            progress("decode \(size)")
            var times: [Double] = []
            for repetition in 0...repetitions {
                let prompts = (0..<size).map { _ in prompt(8) }
                let run = try await Self.batch(prompts, output: decode, engine)
                if repetition > 0 { times.append(run.last - run.first) }
            }
            let steps = decode - 1
            timings.append(
                Timing(
                    name: size == 1 ? "decode" : "decode ×\(size)", tokens: size * steps, seconds: times,
                    products: work.decode(size, steps: steps, from: 9), bytes: work.productBytes * steps))
        }
        // Memory first: the bandwidth is measured on memory of its own.
        let memory = peakMemory()
        progress("machine")
        let speed = MachineSpeed.measure(
            kernels: engine.kernels, threads: min(threads, ProcessInfo.processInfo.activeProcessorCount))
        return EngineFigures(
            model: checkpoint.directory.lastPathComponent, machine: Machine.current(kernelSet: engine.kernelSet),
            stages: options.stages, threadsPerStage: engine.threadsPerStage, loadSeconds: loadSeconds,
            weightBytes: engine.usage.reduce(0) { $0 + $1.weightBytes }, peakMemoryBytes: memory,
            kernelSets: KernelSet.all.map { .init(name: $0.name, supported: $0.supported) }, speed: speed,
            rows: timings.map { $0.row(speed) })
    }

    /// Writes on each prompt at the same time.
    /// - Returns: seconds from the start to the last first token, and to the last token.
    private static func batch(_ prompts: [[Int32]], output: Int, _ engine: Engine) async throws
        -> (first: Double, last: Double)
    {
        let begin = ProcessInfo.processInfo.systemUptime
        return try await withThrowingTaskGroup(of: (first: Double, last: Double).self) { group in
            for (index, prompt) in prompts.enumerated() {
                group.addTask {
                    var request = Request(
                        id: "\(index)",
                        program: [.tokens(prompt), .generate(name: "text", maxTokens: output, stop: [])])
                    request.ignoresEndTokens = true
                    let sent = ProcessInfo.processInfo.systemUptime - begin
                    let timings = try await engine.run(request).timings
                    return (sent + timings.timeToFirstToken, sent + timings.total)
                }
            }
            return try await group.reduce((0, 0)) { (max($0.0, $1.first), max($0.1, $1.last)) }
        }
    }
}

/// Multiply-adds and bytes of a model's steps.
private struct Work {
    let model: ModelConfiguration
    let productBytes, headBytes: Int
    /// Of a prompt, computed with one reading of the weights.
    let promptRows: Int

    init(_ model: ModelConfiguration, productBytes: Int, headBytes: Int, promptRows: Int) {
        self.model = model
        self.productBytes = productBytes
        self.headBytes = headBytes
        self.promptRows = promptRows
    }

    /// Of the linear layers for one token, the head aside.
    private var layers: Int {
        let attention = model.hidden * model.headDim * (2 * model.heads + 2 * model.kvHeads)
        return model.layers * (attention + 3 * model.hidden * model.intermediate)
    }

    private var head: Int { model.hidden * model.vocabulary }

    /// Of scores and values for a token that sees `positions`.
    private func attention(_ positions: Int) -> Int { 2 * model.layers * model.heads * model.headDim * positions }

    func prefill(_ tokens: Int) -> Int { tokens * layers + attention(tokens * (tokens + 1) / 2) + head }

    func prefillBytes(_ tokens: Int) -> Int {
        (tokens + promptRows - 1) / promptRows * (productBytes - headBytes) + headBytes
    }

    func decode(_ sequences: Int, steps: Int, from start: Int) -> Int {
        sequences * (steps * (layers + head) + attention(steps * start + steps * (steps - 1) / 2))
    }
}

/// One measurement's repetitions, and what each of them computed and read.
private struct Timing {
    var name: String
    var tokens: Int
    var seconds: [Double]
    var products: Int
    var bytes: Int

    func row(_ speed: MachineSpeed) -> EngineFigures.Row {
        let median = Statistics.median(seconds) ?? .nan
        let bytesPerSecond = Double(bytes) / median
        return EngineFigures.Row(
            name: name, tokens: tokens, seconds: seconds, tokensPerSecond: Double(tokens) / median,
            spread: (Statistics.medianAbsoluteDeviation(seconds) ?? 0) / median,
            productsPerSecond: Double(products) / median,
            shareOfPeak: Double(products) / median / speed.productsPerSecond, bytesPerSecond: bytesPerSecond,
            shareOfBandwidth: bytesPerSecond / speed.readBytesPerSecond)
    }
}

/// Peak resident memory of this process, in bytes; nil where the system does not tell.
func peakMemory() -> Int? {
    var usage = rusage()
    guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return nil }
    return usage.ru_maxrss * 1024
}
