import Foundation
import QDashboard
import Reporting
import Runtime

extension SnapshotBenchmark {
    /// The report's raw figures.
    public func results(
        _ measured: Measured, dataset: RunConfiguration.Dataset, quality: [QualityMeasure] = [],
        tasks: TaskQuality? = nil, observations: [Observation] = [], targets: [KPITarget], notes: [String] = []
    ) throws -> BenchmarkResults {
        let checkpoint = measured.checkpoint
        let samples = measured.outcomes.map(Self.sample)
        let succeeded = samples.count { $0.status == .succeeded }
        var observations = observations
        if !samples.isEmpty {
            observations.append(
                Observation(
                    .availability, Double(succeeded) / Double(samples.count),
                    note: "Requests answered of all sent; nothing restarted during the run."))
        }
        if let most = Self.mostAtOnce(samples) {
            observations.append(
                Observation(
                    .concurrent, Double(most),
                    note: "Admitted and not yet answered at one moment, each with its own KV cache."))
        }
        if let noise = measured.noise { observations.append(Observation(.machineNoise, noise)) }
        return BenchmarkResults(
            tool: Tool(), startedAt: measured.startedAt, wallSeconds: measured.wallSeconds,
            machine: Machine.current(kernelSet: measured.kernelSet),
            model: Reporting.Model(
                name: checkpoint.directory.lastPathComponent, digest: measured.modelDigest,
                scheme: try measured.scheme,
                bytes: checkpoint.tensors.values.reduce(0) { $0 + $1.byteCount }),
            configuration: RunConfiguration(
                stages: engine.stages, threadsPerStage: measured.threadsPerStage, batch: engine.concurrency,
                scenario: load.scenario, dataset: dataset, transport: "threads",
                seed: load.scenario == .server ? load.seed : nil,
                requestsPerSecond: load.scenario == .server ? load.requestsPerSecond : nil,
                maxConcurrency: load.scenario == .multiStream ? load.streams : load.maxConcurrency,
                warmupRequests: warmup),
            requests: samples, stages: Self.stages(measured), quality: quality, tasks: tasks,
            observations: observations,
            targets: targets,
            notes: notes + [
                "A stage's peak memory is its weights, the keys and values it held at most, and all that the process "
                    + "used beside the stages: what a process of its own would need."
            ])
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

    /// The most requests that were worked on at the same time; those in the queue do not count.
    private static func mostAtOnce(_ samples: [RequestSample]) -> Int? {
        var changes: [(time: Double, step: Int)] = []
        for sample in samples {
            guard let arrival = sample.arrivalMs, let queue = sample.queueMs, let total = sample.totalMs else {
                continue
            }
            changes += [(arrival + queue, 1), (arrival + total, -1)]
        }
        changes.sort { $0.time != $1.time ? $0.time < $1.time : $0.step < $1.step }
        var now = 0
        return changes.map { change in
            now += change.step
            return now
        }.max()
    }

    private static func stages(_ measured: Measured) -> [Reporting.StageUsage] {
        let own = measured.stages.map { $0.weightBytes + $0.cacheBytes }
        let shared = measured.peakMemory.map { max(0, $0 - own.reduce(0, +)) }
        return zip(measured.stages, own).map { usage, bytes in
            Reporting.StageUsage(
                index: usage.stage, layers: "\(usage.layers.lowerBound)–\(usage.layers.upperBound - 1)",
                threads: measured.threadsPerStage, utilization: usage.utilization, cpuSeconds: usage.cpuSeconds,
                residentBytes: usage.weightBytes, peakBytes: shared.map { bytes + $0 },
                handedOverBytes: usage.bytesSent, batches: usage.batches, bubbleSeconds: usage.bubbleSeconds,
                hopMs: usage.batches > 0 ? usage.hopSeconds / Double(usage.batches) * 1e3 : nil,
                longestQueue: usage.longestQueue)
        }
    }
}
