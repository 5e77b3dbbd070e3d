import Foundation
import Reporting
import Runtime
import Synchronization

/// Reads the node's state once a second into the run store, and at the end writes metrics.prom.
final class NodeMonitor: Sendable {
    static let fileName = "metrics.prom"

    private let ledger: RunLedger
    private let engine: Engine
    private let node: String
    private let began = ProcessInfo.processInfo.systemUptime
    private let first = NodeReadings()
    private let stopping = DispatchSemaphore(value: 0)
    private let ended = DispatchGroup()
    private let failure = Mutex<(any Error)?>(nil)
    private let health = Mutex(HealthCheck())

    init(ledger: RunLedger, engine: Engine, node: String) {
        self.ledger = ledger
        self.engine = engine
        self.node = node
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
        let (sample, stages) = try record()
        let text = PrometheusText(sample, stages, ledger.currentTally).text
        try AtomicFile.write(text, to: ledger.files.directory.appending(path: Self.fileName))
    }

    private func record() throws -> (NodeSample, [StageSample]) {
        let now = NodeReadings()
        let elapsed = (ProcessInfo.processInfo.systemUptime - began) * 1e3
        let usage = engine.usage
        let tally = ledger.currentTally
        let health = health.withLock {
            $0.judge(
                at: elapsed / 1e3, batches: usage.reduce(0) { $0 + $1.batches }, waiting: tally.waiting,
                failed: tally.failed)
        }
        let shares = usage.compactMap(\.utilization)
        func since(_ value: Int?, _ start: Int?) -> Int? { value.flatMap { value in start.map { value - $0 } } }
        let sample = NodeSample(
            node: node, elapsedMs: elapsed,
            utilization: shares.isEmpty ? nil : shares.reduce(0, +) / Double(shares.count),
            cpuSeconds: now.cpuSeconds - first.cpuSeconds, residentBytes: now.residentBytes,
            queueLength: tally.waiting, diskReadBytes: since(now.diskReadBytes, first.diskReadBytes),
            diskWrittenBytes: since(now.diskWrittenBytes, first.diskWrittenBytes),
            networkReceivedBytes: since(now.networkReceivedBytes, first.networkReceivedBytes),
            networkSentBytes: since(now.networkSentBytes, first.networkSentBytes), tokens: tally.tokens,
            health: health)
        let stages = usage.map {
            StageSample(
                node: node, stage: $0.stage, elapsedMs: elapsed, batches: $0.batches, busySeconds: $0.busySeconds,
                bubbleSeconds: $0.bubbleSeconds, hopSeconds: $0.hopSeconds, bytesSent: $0.bytesSent,
                queueLength: $0.queueLength)
        }
        try ledger.store.record([sample], stages: stages, of: ledger.run)
        return (sample, stages)
    }
}

/// Judges a node's health by what changes from reading to reading.
package struct HealthCheck {
    /// Longer than a batch takes on the slowest machine that the targets leave room for.
    package static let patienceSeconds = 30.0

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
}

/// The Prometheus text exposition format, version 0.0.4.
struct PrometheusText {
    private(set) var text = ""

    init(_ sample: NodeSample, _ stages: [StageSample], _ tally: RunLedger.Tally) {
        let node = [("node", sample.node)]
        func metric(_ name: String, _ kind: String, _ help: String, _ values: [([(String, String)], Double?)]) {
            let known = values.compactMap { labels, value in value.map { (labels, $0) } }
            guard !known.isEmpty else { return }
            text += "# HELP qubic_\(name) \(help)\n# TYPE qubic_\(name) \(kind)\n"
            for (labels, value) in known {
                let list = labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
                text += "qubic_\(name){\(list)} \(value)\n"
            }
        }
        func count(_ value: Int?) -> Double? { value.map(Double.init) }
        metric("run_seconds", "gauge", "Duration of the run.", [(node, sample.elapsedMs / 1e3)])
        metric(
            "requests_total", "counter", "Requests by how they ended, in this process.",
            [
                (node + [("outcome", "answered")], count(tally.answered - tally.timedOut)),
                (node + [("outcome", "timeout")], count(tally.timedOut)),
                (node + [("outcome", "failed")], count(tally.failed)),
            ])
        metric("tokens_total", "counter", "Tokens read and written for answers.", [(node, count(sample.tokens))])
        metric("queue_length", "gauge", "Requests not yet answered.", [(node, count(sample.queueLength))])
        metric(
            "node_health", "gauge", "1 for how the node is, 0 for how it is not.",
            NodeHealth.allCases.map { state in
                (node + [("state", state.rawValue)], sample.health.map { $0 == state ? 1 : 0 })
            })
        metric("cpu_seconds_total", "counter", "Processor time of the process.", [(node, sample.cpuSeconds)])
        metric("resident_bytes", "gauge", "Memory of the process.", [(node, count(sample.residentBytes))])
        metric(
            "disk_bytes_total", "counter", "Bytes that the process read from and wrote to disks.",
            [
                (node + [("direction", "read")], count(sample.diskReadBytes)),
                (node + [("direction", "write")], count(sample.diskWrittenBytes)),
            ])
        metric(
            "network_bytes_total", "counter", "Bytes over the machine's network interfaces.",
            [
                (node + [("direction", "receive")], count(sample.networkReceivedBytes)),
                (node + [("direction", "send")], count(sample.networkSentBytes)),
            ])
        func each(_ value: (StageSample) -> Double?) -> [([(String, String)], Double?)] {
            stages.map { (node + [("stage", "\($0.stage)")], value($0)) }
        }
        metric("stage_batches_total", "counter", "Batches.", each { Double($0.batches) })
        metric("stage_busy_seconds_total", "counter", "Time at work on batches.", each(\.busySeconds))
        metric("stage_bubble_seconds_total", "counter", "Time without work between batches.", each(\.bubbleSeconds))
        metric(
            "stage_utilization_ratio", "gauge", "Share of the time at work.",
            each { $0.batches > 0 ? $0.busySeconds / max($0.busySeconds + $0.bubbleSeconds, 1e-9) : nil })
        metric(
            "stage_hop_seconds", "gauge", "Mean time from one stage's hand to the next one's work.",
            each { $0.batches > 0 ? $0.hopSeconds / Double($0.batches) : nil })
        metric("stage_sent_bytes_total", "counter", "Hidden states sent on.", each { Double($0.bytesSent) })
        metric("stage_queue_length", "gauge", "Batches that wait before the stage.", each { Double($0.queueLength) })
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
