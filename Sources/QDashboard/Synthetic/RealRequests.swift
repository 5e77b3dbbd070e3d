import Foundation
import Runtime
import Science

/// The network's own incidents as labelled requests: in the midst of each whose minutes can be laid out, what it is and
/// how the network does. Of the others only whole weeks are known, in which no moment can be named.
public enum RealRequests {
    /// Writes `requests.incidents.jsonl` and `requests.incidents.labels.jsonl`. Throws `FileWriteError`.
    public static func write(_ incidents: [RealIncident], _ anchors: [EpochAnchor], to folder: URL) throws {
        let requests = try AtomicFile(folder.appending(path: "requests.incidents.jsonl"))
        let labels = try AtomicFile(folder.appending(path: "requests.incidents.labels.jsonl"))
        for incident in incidents {
            guard let (onset, length, observations) = incident.polls(anchors) else { continue }
            let now = onset + 0.9 * length
            guard let (facts, live) = facts(observations, until: now) else { continue }
            for task in [AnswerTask.anomaly, .analysis] {
                for language in Language.allCases {
                    let id = "incident-\(incident.epoch)-\(task.rawValue)-\(language.rawValue)"
                    let request = object([
                        ("id", .string(id)), ("task", .string(task.rawValue)),
                        ("language", .string(language.rawValue)), ("data_type", "network_stats"),
                        ("observed_at", .string(Observation.text(live.time))),
                        ("data", object([("tick", .integer(live.tick ?? 0)), ("epoch", .integer(incident.epoch))])),
                        ("facts", facts.json),
                    ])
                    var truth: [(String, JSONValue)] = []
                    // How bad it was is known where its length is.
                    let severity = incident.seconds.map { _ in Severity(incident.kind, now - onset) }
                    switch task {
                    case .anomaly:
                        truth = [("kind", .string(incident.kind.rawValue))]
                        if let severity { truth.append(("severity", .string(severity.rawValue))) }
                    default:
                        if let severity {
                            truth = [("sentiment", .string(severity == .minor ? "neutral" : "negative"))]
                        }
                    }
                    guard !truth.isEmpty else { continue }
                    try requests.write(request.serialized(indent: nil) + [0x0A])
                    let label = object([
                        ("id", .string(id)), ("task", .string(task.rawValue)),
                        ("language", .string(language.rawValue)), ("split", "real"),
                        ("epoch", .integer(incident.epoch)), ("at", .string(Observation.text(live.time))),
                        ("labels", object(truth)), ("kind", .string(incident.kind.rawValue)),
                        ("note", incident.note.map(JSONValue.string) ?? .null),
                    ])
                    try labels.write(label.serialized(indent: nil) + [0x0A])
                }
            }
        }
        try requests.commit()
        try labels.commit()
    }

    private static func facts(_ observations: [Observation], until now: Double) -> (Facts, Observation)? {
        var history = FactHistory()
        var live: Observation?
        for (index, seen) in observations.enumerated() where seen.time <= now {
            guard let record = try? RecordDecoder.decode(seen.envelope) else { continue }
            history.add(record.snapshot, origin: .init(file: "", line: index + 1))
            if seen.source == .live { live = seen }
        }
        return live.map { (history.facts, $0) }
    }
}
