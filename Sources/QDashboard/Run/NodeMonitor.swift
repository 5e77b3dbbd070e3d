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

        /// A process by name: the node's, with its rank where there are several.
        func name(_ rank: Int) -> String { job == nil ? node : "\(node)/rank-\(rank)" }
    }

    private let ledger: RunLedger
    private let observed: Observed
    private let began = ProcessInfo.processInfo.systemUptime
    private let first = NodeReadings()
    private let stopping = DispatchSemaphore(value: 0)
    private let ended = DispatchGroup()
    private let failure = Mutex<(any Error)?>(nil)

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
        let own = observed.engine.ownUsage
        let name = observed.name(0)
        var first = Self.sample(name, elapsed, NodeReadings().since(first), own)
        (first.queueLength, first.tokens) = (tally.waiting, tally.tokens)
        var samples = [first]
        var stages = own.map { Self.sample(name, elapsed, $0) }
        for report in observed.job?.reports ?? [] {
            let name = observed.name(report.rank)
            samples.append(Self.sample(name, elapsed, report.readings, report.stages))
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
