import Foundation
import Runtime

/// A synthetic set as files: polls in a poller's envelope, labels, and labelled requests of the test split.
public struct SyntheticFiles: Sendable {
    public let generator: Generator
    /// Requests of the test split, half in each language.
    public var requests = 2000

    public init(generator: Generator) { self.generator = generator }

    /// Writes `<split>.jsonl`, `<split>.labels.jsonl`, `requests.{en,zh}.jsonl` and `requests.labels.jsonl` into a new folder.
    /// The same generator gives the same bytes. `progress` is told of each finished segment. Throws `FileWriteError`.
    public func write(
        to output: URL, overwrite: Bool = false, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws {
        let directory = try AtomicDirectory(url: output, overwrite: overwrite)
        let folder = directory.temporary
        var done = 0
        var candidates: [Candidate] = []
        for split in Segment.Split.allCases {
            let polls = try AtomicFile(folder.appending(path: "\(split.rawValue).jsonl"))
            let labels = try AtomicFile(folder.appending(path: "\(split.rawValue).labels.jsonl"))
            for (epoch, _) in generator.plan.filter({ $0.split == split }) {
                let segment = generator.segment(epoch: epoch, split: split)
                try polls.write(segment.observations.map { $0.line + "\n" }.joined())
                try labels.write(segment.labelLines.map { $0 + "\n" }.joined())
                if split == .test { candidates += Self.candidates(segment) }
                done += 1
                progress(done, generator.plan.count)
            }
            try polls.commit()
            try labels.commit()
        }
        try writeRequests(candidates, to: folder)
        try directory.commit()
    }

    private struct Candidate {
        var epoch: Int
        var live: Observation
        var statistics: Observation
        var incident: Incident?
        var negative: Segment.HardNegative?
    }

    /// Moments at which both sources answered, with what was under way then; not the first minutes of an incident, of
    /// which no poll can know.
    private static func candidates(_ segment: Segment) -> [Candidate] {
        zip(segment.observations, segment.observations.dropFirst()).compactMap { live, statistics in
            guard live.source == .live, statistics.source == .statistics, live.failure == nil else { return nil }
            let incident = segment.incidents.first { $0.onset <= live.time && live.time < max($0.end, $0.onset + 300) }
            if let incident, live.time < min(incident.onset + 300, max(incident.onset + 60, incident.end)) {
                return nil
            }
            return Candidate(
                epoch: segment.epoch, live: live, statistics: statistics, incident: incident,
                negative: segment.negatives.first { $0.start <= live.time && live.time < $0.end })
        }
    }

    private func writeRequests(_ candidates: [Candidate], to folder: URL) throws {
        var random = SeededRandom(seed: generator.settings.seed, stream: 2)
        let kinds: [IncidentKind?] = IncidentKind.allCases.map { $0 } + [nil]
        var pools = kinds.map { kind in candidates.filter { $0.incident?.kind == kind } }
        // A hard negative among the normal moments is worth more than another quiet minute.
        let normal = pools[pools.count - 1]
        pools.append(normal.filter { $0.negative?.kind == .transition || $0.negative?.kind == .slowStart })
        pools = pools.filter { !$0.isEmpty }
        guard !pools.isEmpty else { return }
        let files = try ["en", "zh"].map { try AtomicFile(folder.appending(path: "requests.\($0).jsonl")) }
        let labels = try AtomicFile(folder.appending(path: "requests.labels.jsonl"))
        for number in 0..<requests {
            // Half normal, a quarter of those hard; the kinds take turns.
            let abnormal = number % 4 < 2
            let pool =
                abnormal
                ? pools[number / 4 % max(1, pools.count - 2)]
                : pools[max(0, pools.count - (number % 8 == 3 ? 1 : 2))]
            let chosen = pool[random.below(pool.count)]
            let language = number / 2 % 2
            let id = "synthetic-\(language == 0 ? "en" : "zh")-\(String(number + 10_000).dropFirst())"
            var members = Observation.members(chosen.statistics)
            members["tick"] = chosen.live.tick.map(JSONValue.integer)
            members["duration"] = chosen.live.sinceLastTick.map(JSONValue.integer)
            members["currentTick"] = nil
            let request: JSONValue = [
                "id": .string(id), "data_type": "network_stats",
                "observed_at": .string(Observation.text(chosen.live.time)),
                "data": .object(members),
            ]
            try files[language].write(request.serialized(indent: nil) + Data("\n".utf8))
            let sentiment = chosen.incident.map { $0.severity == .minor ? "neutral" : "negative" } ?? "positive"
            let label: JSONValue = [
                "id": .string(id), "language": .string(language == 0 ? "en" : "zh"), "split": "test",
                "epoch": .integer(chosen.epoch), "at": .string(Observation.text(chosen.live.time)),
                "recording": "test.jsonl", "sentiment": .string(sentiment), "anomaly": .bool(chosen.incident != nil),
                "kind": .string(chosen.incident?.kind.rawValue ?? "none"),
                "severity": .string(chosen.incident?.severity.rawValue ?? "none"),
                "onset": chosen.incident.map { .string(Observation.text($0.onset)) } ?? .null,
                "hard_negative": chosen.negative.map { .string($0.kind.rawValue) } ?? .null,
            ]
            try labels.write(label.serialized(indent: nil) + Data("\n".utf8))
        }
        for file in files + [labels] { try file.commit() }
    }
}

extension Segment {
    /// The truth, a line each.
    var labelLines: [String] {
        let truths = incidents.map { incident -> JSONValue in
            [
                "epoch": .integer(epoch), "split": .string(split.rawValue), "label": "incident",
                "kind": .string(incident.kind.rawValue), "severity": .string(incident.severity.rawValue),
                "onset": .string(Observation.text(incident.onset)), "end": .string(Observation.text(incident.end)),
                "magnitude": .number(incident.magnitude),
            ]
        }
        let normal = negatives.map { negative -> JSONValue in
            [
                "epoch": .integer(epoch), "split": .string(split.rawValue), "label": "hard_negative",
                "kind": .string(negative.kind.rawValue), "onset": .string(Observation.text(negative.start)),
                "end": .string(Observation.text(negative.end)),
            ]
        }
        return (truths + normal).map { String(decoding: $0.serialized(indent: nil), as: UTF8.self) }
    }
}

extension Observation {
    static func text(_ time: Double) -> String {
        Date(timeIntervalSince1970: time).formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }

    /// The body's numbers: 64-bit ones as the RPC writes them are made strings by `line`.
    static func members(_ seen: Observation) -> JSONObject {
        var members = JSONObject()
        func integer(_ key: String, _ value: Int?) { members[key] = value.map(JSONValue.integer) }
        func number(_ key: String, _ value: Double?) { members[key] = value.map(JSONValue.number) }
        integer("timestamp", seen.reportedAt.map { Int($0) })
        integer("circulatingSupply", seen.supply)
        integer("activeAddresses", seen.activeAddresses)
        number("price", seen.price)
        integer("marketCap", seen.marketCap.flatMap { Int(exactly: $0) })
        integer("epoch", seen.epoch)
        integer("currentTick", seen.tick)
        integer("ticksInCurrentEpoch", seen.ticksInEpoch)
        integer("emptyTicksInCurrentEpoch", seen.emptyTicksInEpoch)
        number("epochTickQuality", seen.quality)
        integer("burnedQus", seen.burned)
        return members
    }

    /// A line of a poller's recording, in the envelope of the real ones.
    var line: String {
        let path = source == .live ? "tick-info" : "latest-stats"
        let body: JSONValue
        if let failure {
            body = ["code": 13, "message": .string(failure), "details": []]
        } else if source == .live {
            body = [
                "tickInfo": [
                    "tick": .integer(tick ?? 0), "duration": .integer(sinceLastTick ?? 0),
                    "epoch": .integer(epoch ?? 0), "initialTick": .integer(initialTick ?? 0),
                ]
            ]
        } else {
            var members = Self.members(self)
            for key in ["timestamp", "circulatingSupply", "marketCap", "burnedQus"] {
                members[key] = members[key]?.int.map { .string(String($0)) }
            }
            body = ["data": .object(members)]
        }
        let envelope: JSONValue = [
            "observed_at": .string(Self.text(time)), "chain_id": "qubic", "source_id": "synthetic",
            "source_type": "rpc", "source_version": "1.0",
            "endpoint": .string("https://rpc.qubic.org/v1/" + path), "request_params": [:], "raw_payload": body,
            "ingest_version": "1.0",
        ]
        return String(decoding: envelope.serialized(indent: nil), as: UTF8.self)
    }
}
