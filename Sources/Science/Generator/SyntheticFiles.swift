import Foundation
import Runtime

/// A synthetic set as files: polls in a poller's envelope, and their labels.
public struct SyntheticFiles: Sendable {
    public let generator: Generator

    public init(generator: Generator) { self.generator = generator }

    /// Writes `<split>.jsonl` and `<split>.labels.jsonl` into a new folder. The same generator gives the same bytes.
    ///
    /// - Parameters:
    ///   - progress: is told of each finished segment.
    ///   - more: is given each segment, and at the end the folder, before it takes its place.
    /// - Throws: `FileWriteError`, and what `more` throws.
    public func write(
        to output: URL, overwrite: Bool = false, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in },
        each: (Segment) throws -> Void = { _ in }, more: (_ folder: URL) throws -> Void = { _ in }
    ) throws {
        let directory = try AtomicDirectory(url: output, overwrite: overwrite, marker: "test.labels.jsonl")
        let folder = directory.temporary
        var done = 0
        for split in Segment.Split.allCases {
            let polls = try AtomicFile(folder.appending(path: "\(split.rawValue).jsonl"))
            let labels = try AtomicFile(folder.appending(path: "\(split.rawValue).labels.jsonl"))
            for (epoch, _) in generator.plan.filter({ $0.split == split }) {
                let segment = generator.segment(epoch: epoch, split: split)
                try polls.write(segment.observations.map { $0.line + "\n" }.joined())
                try labels.write(segment.labelLines.map { $0 + "\n" }.joined())
                try each(segment)
                done += 1
                progress(done, generator.plan.count)
            }
            try polls.commit()
            try labels.commit()
        }
        try more(folder)
        try directory.commit()
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
    /// ISO 8601, to the millisecond.
    public static func text(_ time: Double) -> String {
        Date(timeIntervalSince1970: time).formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }

    /// The body's numbers: 64-bit ones as the RPC writes them are made strings by `line`.
    public static func members(_ seen: Observation) -> JSONObject {
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
    var line: String { String(decoding: envelope.serialized(indent: nil), as: UTF8.self) }

    /// The record, in the envelope of the real ones.
    public var envelope: JSONValue {
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
        return [
            "observed_at": .string(Self.text(time)), "chain_id": "qubic", "source_id": "synthetic",
            "source_type": "rpc", "source_version": "1.0",
            "endpoint": .string("https://rpc.qubic.org/v1/" + path), "request_params": [:], "raw_payload": body,
            "ingest_version": "1.0",
        ]
    }
}
