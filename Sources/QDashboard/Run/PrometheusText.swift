import Reporting
import Runtime

/// The Prometheus text exposition format, version 0.0.4.
struct PrometheusText {
    private(set) var text = ""

    /// - Parameter node: what the whole run goes by; samples and stages have the names of their processes.
    init(_ samples: [NodeSample], _ stages: [StageSample], _ tally: RunLedger.Tally, node name: String) {
        let node = [("node", name)]
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
        metric("run_seconds", "gauge", "Duration of the run.", [(node, samples.first.map { $0.elapsedMs / 1e3 })])
        metric(
            "requests_total", "counter", "Requests by how they ended, in this process.",
            [
                (node + [("outcome", "answered")], count(tally.answered - tally.timedOut)),
                (node + [("outcome", "timeout")], count(tally.timedOut)),
                (node + [("outcome", "failed")], count(tally.failed)),
            ])
        metric("tokens_total", "counter", "Tokens read and written for answers.", [(node, count(tally.tokens))])
        metric("queue_length", "gauge", "Requests not yet answered.", [(node, count(tally.waiting))])
        func process(_ labels: [(String, String)] = [], _ value: (NodeSample) -> Double?) -> [(
            [(String, String)], Double?
        )] { samples.map { ([("node", $0.node)] + labels, value($0)) } }
        metric(
            "node_health", "gauge", "1 for how the node is, 0 for how it is not.",
            NodeHealth.allCases.flatMap { state in
                process([("state", state.rawValue)]) { $0.health.map { $0 == state ? 1 : 0 } }
            })
        metric("node_tokens_total", "counter", "Tokens of the process' pipeline.", process { count($0.tokens) })
        metric(
            "node_queue_length", "gauge", "Requests, or at other ranks than the first batches, that wait.",
            process { count($0.queueLength) })
        metric("cpu_seconds_total", "counter", "Processor time of the process.", process { $0.cpuSeconds })
        metric("resident_bytes", "gauge", "Memory of the process.", process { count($0.residentBytes) })
        metric(
            "disk_bytes_total", "counter", "Bytes that the process read from and wrote to disks.",
            process([("direction", "read")]) { count($0.diskReadBytes) }
                + process([("direction", "write")]) { count($0.diskWrittenBytes) })
        metric(
            "network_bytes_total", "counter", "Bytes over the machine's network interfaces.",
            process([("direction", "receive")]) { count($0.networkReceivedBytes) }
                + process([("direction", "send")]) { count($0.networkSentBytes) })
        func each(_ value: (StageSample) -> Double?) -> [([(String, String)], Double?)] {
            stages.map { ([("node", $0.node), ("stage", "\($0.stage)")], value($0)) }
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
        metric(
            "stage_sent_bytes_total", "counter", "Bytes handed to the next stage, or back from the last.",
            each { Double($0.bytesSent) })
        metric("stage_queue_length", "gauge", "Batches that wait before the stage.", each { Double($0.queueLength) })
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
