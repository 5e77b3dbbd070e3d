import Foundation
import Reporting
import Runtime
import Synchronization

/// Reads the state of the run's processes once a second into the run store, and at the end writes metrics.prom.
final class NodeMonitor: Sendable {
    static let fileName = "metrics.prom"

    /// What is looked at: this process, and the others of its job.
    struct Observed: Sendable {
        let node: String
        let engine: Engine
        let job: Job?
        /// Nil for all.
        let pipeline: Int?

        /// A process by name: the node's, with its rank where there are several.
        func name(_ rank: Int) -> String { job == nil ? node : "\(node)/rank-\(rank)" }

        /// Whether this process' engine is the pipeline's, or one of them.
        var isHere: Bool { pipeline ?? 0 == 0 }

        /// Of the other processes.
        var reports: [NodeReport] {
            guard let job else { return [] }
            return job.reports.filter { pipeline == nil || $0.rank / job.place.stages == pipeline }
        }
    }

    private let ledger: RunLedger
    private let observed: Observed
    private let began = ProcessInfo.processInfo.systemUptime
    private let first = NodeReadings()
    private let stopping = DispatchSemaphore(value: 0)
    private let ended = DispatchGroup()
    private let failure = Mutex<(any Error)?>(nil)
    /// By rank.
    private let health = Mutex<[Int: HealthCheck]>([:])

    init(ledger: RunLedger, _ observed: Observed) {
        self.ledger = ledger
        self.observed = observed
        ended.enter()
        let thread = Thread { [self] in
            while stopping.wait(timeout: .now() + 1) == .timedOut {
                do { _ = try record() } catch {
                    failure.withLock { $0 = error }
                    break
                }
            }
            ended.leave()
        }
        thread.name = "monitor"
        thread.start()
    }

    /// Takes the last readings, and writes them as Prometheus text too. Call it once.
    ///
    /// Throws what kept a reading from being recorded.
    func stop() throws {
        stopping.signal()
        ended.wait()
        if let error = failure.withLock({ $0 }) { throw error }
        observed.job?.refreshReports()
        let (samples, stages) = try record()
        let text = PrometheusText(samples, stages, ledger.currentTally, node: observed.node).text
        try AtomicFile.write(text, to: ledger.files.directory.appending(path: Self.fileName))
    }

    private func record() throws -> ([NodeSample], [StageSample]) {
        let elapsed = (ProcessInfo.processInfo.systemUptime - began) * 1e3
        let tally = ledger.currentTally
        let own = observed.isHere ? observed.engine.ownUsage : []
        let name = observed.name(0)
        var first = Self.sample(name, elapsed, NodeReadings().since(first), own)
        first.queueLength = tally.waiting
        if observed.isHere { first.tokens = observed.job?.tokens(of: 0) ?? tally.tokens }
        let reports = observed.reports
        let batches = own + reports.flatMap(\.stages)
        first.health = health.withLock {
            $0[0, default: HealthCheck()].judge(
                at: elapsed / 1e3, batches: batches.reduce(0) { $0 + $1.batches }, waiting: tally.waiting,
                failed: tally.failed)
        }
        var samples = [first]
        var stages = own.map { Self.sample(name, elapsed, $0) }
        for report in reports {
            let name = observed.name(report.rank)
            var sample = Self.sample(name, elapsed, report.readings, report.stages)
            let waiting = report.stages.reduce(0) { $0 + $1.queueLength }
            (sample.queueLength, sample.tokens) = (waiting, observed.job?.tokens(of: report.rank))
            let age = observed.job?.secondsSinceReport(of: report.rank) ?? 0
            let done = report.stages.reduce(0) { $0 + $1.batches }
            sample.health = health.withLock {
                $0[report.rank, default: HealthCheck()].judge(
                    at: elapsed / 1e3, reportAge: age, batches: done, waiting: waiting)
            }
            samples.append(sample)
            stages += report.stages.map { Self.sample(name, elapsed, $0) }
        }
        try ledger.store.record(samples, stages: stages, of: ledger.run)
        return (samples, stages)
    }

    private static func sample(
        _ node: String, _ elapsed: Double, _ readings: NodeReadings, _ usage: [Runtime.StageUsage]
    ) -> NodeSample {
        let shares = usage.compactMap(\.utilization)
        return NodeSample(
            node: node, elapsedMs: elapsed,
            utilization: shares.isEmpty ? nil : shares.reduce(0, +) / Double(shares.count),
            cpuSeconds: readings.cpuSeconds, residentBytes: readings.residentBytes,
            diskReadBytes: readings.diskReadBytes, diskWrittenBytes: readings.diskWrittenBytes,
            networkReceivedBytes: readings.networkReceivedBytes, networkSentBytes: readings.networkSentBytes)
    }

    private static func sample(_ node: String, _ elapsed: Double, _ usage: Runtime.StageUsage) -> StageSample {
        StageSample(
            node: node, stage: usage.stage, elapsedMs: elapsed, batches: usage.batches, busySeconds: usage.busySeconds,
            bubbleSeconds: usage.bubbleSeconds, hopSeconds: usage.hopSeconds, bytesSent: usage.bytesSent,
            queueLength: usage.queueLength)
    }
}

/// Judges a node's health by what changes from reading to reading.
package struct HealthCheck {
    /// Longer than a batch takes on the slowest machine that the targets leave room for.
    package static let patienceSeconds = 30.0
    /// A node reports once a second: one that has not for so long does not come round to it.
    package static let reportPatienceSeconds = 10.0

    private var batches = 0
    private var failed = 0
    /// When a batch was last seen to have been done, or nothing waited.
    private var alive = 0.0

    package init() {}

    /// - Parameters:
    ///   - seconds: since the run's start.
    ///   - batches: done by all stages together.
    ///   - waiting: requests that are not answered yet.
    ///   - failed: requests that failed so far.
    package mutating func judge(at seconds: Double, batches: Int, waiting: Int, failed: Int) -> NodeHealth {
        defer { (self.batches, self.failed) = (batches, failed) }
        if batches != self.batches || waiting == 0 { alive = seconds }
        if failed > self.failed { return .failing }
        return seconds - alive >= Self.patienceSeconds ? .stalled : .ok
    }

    /// Judges another process' node, by its last report.
    /// - Parameters:
    ///   - seconds: since the run's start.
    ///   - age: of the report, in seconds.
    ///   - batches: done by the node's own stage.
    ///   - waiting: batches that wait before it.
    package mutating func judge(
        at seconds: Double, reportAge age: Double, batches: Int, waiting: Int
    ) -> NodeHealth {
        let work = judge(at: seconds, batches: batches, waiting: waiting, failed: 0)
        return age >= Self.reportPatienceSeconds ? .stalled : work
    }
}
