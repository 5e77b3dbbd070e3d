import Foundation
import QDashboard
import Reporting
import Runtime
import Synchronization
import ToolSupport

/// One model's run over a dataset.
struct Measurement {
    let checkpoint: Checkpoint
    let digest: String
    let samples: [RequestSample]
    let answers: [String: AnswerRecord]
    /// Tokens of each answered sequence, in the requests' order.
    let texts: [(name: String, tokens: [Int32])]
    private let stages: [Runtime.StageUsage]
    private let kernelSet: String
    private let threads: Int
    private let options: EngineOptions
    private let wallSeconds: Double
    private let startedAt: Date
    private let peakBytes: Int?

    init(_ command: RunCommand, model: String, requests: [AnalysisRequest], options: EngineOptions) throws {
        let directory = URL(fileURLWithPath: model)
        self.options = options
        checkpoint = try Checkpoint(directory: directory)
        digest = try checkpoint.digest()
        let prompt = try PromptLibrary(directory: URL(fileURLWithPath: command.prompts))
            .analysis(language: command.language)
            .prepared(for: ChatTemplate(directory: directory, override: command.engine.chatTemplate))
        let engine = try Engine(checkpoint, tokenizer: Tokenizer(directory: directory), options: options)
        defer { engine.stop() }
        kernelSet = engine.kernelSet
        threads = engine.threadsPerStage
        let run = SnapshotRun(engine: engine, prompt: prompt, modelDigest: digest, nodeID: "qubic-node-001")
        let outcomes = Mutex<[SnapshotRun.Outcome]>([])
        let progress = Progress(directory.lastPathComponent, total: requests.count)
        var next = requests.makeIterator()
        startedAt = Date()
        try run.run(inFlight: command.scenario == .offline ? requests.count : 1) {
            next.next()
        } finished: { outcome in
            progress.update(
                outcomes.withLock {
                    $0.append(outcome)
                    return $0.count
                })
        }
        progress.finish()
        wallSeconds = Date().timeIntervalSince(startedAt)
        stages = engine.usage
        peakBytes = Self.peakMemory()
        let ordered = outcomes.withLock { $0 }.sorted { $0.request.ordinal < $1.request.ordinal }
        samples = ordered.map(Self.sample)
        var answers: [String: AnswerRecord] = [:]
        var texts: [(name: String, tokens: [Int32])] = []
        for outcome in ordered {
            guard case .success(let (answer, _, completion)) = outcome.result else { continue }
            answers[answer.id] = answer
            texts.append((answer.id, completion.tokens))
        }
        self.answers = answers
        self.texts = texts
    }

    private static func sample(_ outcome: SnapshotRun.Outcome) -> RequestSample {
        switch outcome.result {
        case .success(let (answer, timing, _)):
            RequestSample(
                id: answer.id, status: .succeeded, arrivalMs: outcome.arrival * 1e3, queueMs: timing.queue,
                prefillMs: timing.prefill, decodeMs: timing.decode, totalMs: timing.total,
                ttftMs: timing.timeToFirstToken, promptTokens: answer.promptTokens,
                outputTokens: answer.outputTokens)
        case .failure(let error):
            RequestSample(
                id: outcome.request.id, status: .failed, arrivalMs: outcome.arrival * 1e3, error: "\(error)")
        }
    }

    /// The reference answers the same requests in fp32; then both predict every token of the reference's texts.
    func agreement(
        with reference: String, on requests: [AnalysisRequest], _ command: RunCommand, texts count: Int
    ) async throws -> [QualityMeasure] {
        var exact = options
        exact.precision = .fp32
        exact.cachePrecision = .fp32
        let other = try Measurement(command, model: reference, requests: requests, options: exact)
        let pairs = answers.compactMap { id, answer in other.answers[id].map { (answer, $0) } }
        let probes = Array(other.texts.prefix(count))
        let expected = try await TopTokens.of(probes, checkpoint: other.checkpoint, options: exact)
        let got = try await TopTokens.of(probes, checkpoint: checkpoint, options: options)
        var matches = 0
        var positions = 0
        for (name, tokens) in expected {
            positions += tokens.count
            matches += zip(tokens, got[name] ?? []).count { $0 == $1 }
        }
        let name = URL(fileURLWithPath: reference).lastPathComponent
        return [
            QualityMeasure(
                name: "sentiment-agreement", title: "Sentiment as \(name) in fp32", kind: .agreement,
                matches: pairs.count { $0.sentiment == $1.sentiment }, of: pairs.count,
                note: "\(pairs.count) of the requests, evenly spaced, answered by the reference in fp32."),
            QualityMeasure(
                name: "top1-agreement", title: "Likeliest token as \(name) in fp32", kind: .agreement,
                matches: matches, of: positions,
                note: "At every position of \(probes.count) texts that the reference wrote."),
        ].compactMap { $0 }
    }

    func results(
        _ command: RunCommand, quality: [QualityMeasure], targets: [KPITarget], notes: [String]
    ) -> BenchmarkResults {
        let model = checkpoint.configuration
        let scheme = ((try? checkpoint.quantization) ?? nil)?.groups.compactMap(\.scheme?.label).joined(separator: ", ")
        let succeeded = samples.count { $0.status == .succeeded }
        return BenchmarkResults(
            tool: Tool(), startedAt: startedAt, wallSeconds: wallSeconds,
            machine: Machine.current(kernelSet: kernelSet),
            model: Reporting.Model(
                name: checkpoint.directory.lastPathComponent, digest: digest,
                scheme: scheme ?? model.dtype.rawValue, parameters: nil,
                bytes: checkpoint.tensors.values.reduce(0) { $0 + $1.byteCount }),
            configuration: RunConfiguration(
                stages: options.stages, threadsPerStage: threads, batch: options.concurrency,
                scenario: command.scenario,
                dataset: RunConfiguration.Dataset(path: command.dataset, digest: nil, items: samples.count),
                transport: "threads"),
            requests: samples,
            stages: stages.map { usage in
                Reporting.StageUsage(
                    index: usage.stage, layers: "\(usage.layers.lowerBound)–\(usage.layers.upperBound - 1)",
                    threads: threads, utilization: usage.utilization, cpuSeconds: usage.cpuSeconds,
                    residentBytes: usage.weightBytes, peakBytes: peakBytes.map { $0 / max(1, stages.count) },
                    handedOverBytes: usage.bytesSent)
            },
            quality: quality,
            observations: [
                Observation(
                    .availability, samples.isEmpty ? 0 : Double(succeeded) / Double(samples.count),
                    note: "Requests answered of all sent; nothing restarted during the run.")
            ],
            targets: targets,
            notes: notes + ["Peak memory of a stage is the process's, divided by the stages: they share one process."])
    }

    /// Peak resident memory of this process, in bytes.
    private static func peakMemory() -> Int? {
        var usage = rusage()
        guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return nil }
        return usage.ru_maxrss * 1024
    }
}
