import GRDB

/// What was measured once a second.
extension RunStore {
    /// Adds readings, all or none.
    public func record(_ samples: [NodeSample], stages: [StageSample] = [], of run: Int64) throws {
        try write("record node samples") { db in
            for s in samples {
                try db.execute(
                    sql: """
                        INSERT INTO node_samples (run, node, elapsed_ms, utilization, cpu_seconds, resident_bytes,
                            queue_length, disk_read_bytes, disk_written_bytes, network_received_bytes, network_sent_bytes,
                            tokens, health)
                        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                        """,
                    arguments: [
                        run, s.node, s.elapsedMs, s.utilization, s.cpuSeconds, s.residentBytes, s.queueLength,
                        s.diskReadBytes, s.diskWrittenBytes, s.networkReceivedBytes, s.networkSentBytes, s.tokens,
                        s.health?.rawValue,
                    ])
            }
            for s in stages {
                try db.execute(
                    sql: """
                        INSERT INTO stage_samples (run, node, stage, elapsed_ms, batches, busy_seconds, bubble_seconds,
                            hop_seconds, bytes_sent, queue_length)
                        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                        """,
                    arguments: [
                        run, s.node, s.stage, s.elapsedMs, s.batches, s.busySeconds, s.bubbleSeconds, s.hopSeconds,
                        s.bytesSent, s.queueLength,
                    ])
            }
        }
    }

    /// A run's node samples, per node in order of time.
    public func samples(of run: Int64) throws -> [NodeSample] {
        try read("read node samples") { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM node_samples WHERE run = ? ORDER BY node, elapsed_ms", arguments: [run]
            ).map { row in
                NodeSample(
                    node: row["node"], elapsedMs: row["elapsed_ms"], utilization: row["utilization"],
                    cpuSeconds: row["cpu_seconds"], residentBytes: row["resident_bytes"],
                    queueLength: row["queue_length"], diskReadBytes: row["disk_read_bytes"],
                    diskWrittenBytes: row["disk_written_bytes"], networkReceivedBytes: row["network_received_bytes"],
                    networkSentBytes: row["network_sent_bytes"], tokens: row["tokens"],
                    health: (row["health"] as String?).flatMap(NodeHealth.init))
            }
        }
    }

    /// A run's stage samples, per node and stage in order of time.
    public func stageSamples(of run: Int64) throws -> [StageSample] {
        try read("read stage samples") { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM stage_samples WHERE run = ? ORDER BY node, stage, elapsed_ms", arguments: [run]
            ).map { row in
                StageSample(
                    node: row["node"], stage: row["stage"], elapsedMs: row["elapsed_ms"], batches: row["batches"],
                    busySeconds: row["busy_seconds"], bubbleSeconds: row["bubble_seconds"],
                    hopSeconds: row["hop_seconds"], bytesSent: row["bytes_sent"], queueLength: row["queue_length"])
            }
        }
    }
}
