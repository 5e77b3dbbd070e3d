import Foundation
import Runtime

extension Facts.Value {
    /// Moments as ISO 8601; a number that is none is null.
    public var json: JSONValue {
        switch self {
        case .integer(let value): .integer(value)
        case .decimal(let value): value.isFinite ? .number(value) : .null
        case .moment(let date): .string(Timestamp.text(date))
        case .word(let text), .text(let text): .string(text)
        case .lines(let lines): .array(lines.map(JSONValue.string))
        }
    }

    /// For a person: integers grouped, decimals to six digits that matter.
    public var words: String {
        switch self {
        case .decimal(let value) where abs(value) >= 1e6 && abs(value) < 1e15:
            FactStyle.grouped(Int(value.rounded()))
        case .decimal(let value): FactStyle.full(Double(String(format: "%.6g", value)) ?? value)
        default: FactStyle.standard.text(self)
        }
    }
}

/// What `qinfer inspect` says of recordings: their timeline in short, its findings, its facts, and what was scrubbed.
public struct TimelineReport: Sendable {
    public let timeline: Timeline
    public let facts: Facts
    public let scrubbed: Scrubbed
    /// Entries of HAR files that are not about the network, and redirects.
    public let aside: Int

    public init(timeline: Timeline, scrubbed: Scrubbed, aside: Int) {
        self.timeline = timeline
        self.facts = Facts(timeline)
        self.scrubbed = scrubbed
        self.aside = aside
    }

    /// Whether a finding says that data is wrong or missing.
    public var hasErrors: Bool { timeline.findingCounts.keys.contains { $0.severity == .error } }

    public var json: JSONValue {
        var sources: [String: Int] = [:]
        for point in timeline.points { sources[point.source, default: 0] += point.polls }
        var counts = JSONObject()
        for (kind, count) in sorted { counts[kind.rawValue] = .integer(count) }
        var values = JSONObject()
        for definition in FactDefinition.all {
            guard let value = facts[definition.name] else { continue }
            values[definition.name] = object([("value", value.json), ("unit", .string(definition.unit))])
        }
        var polls = JSONObject()
        for (source, count) in sources.sorted(by: { $0.key < $1.key }) { polls[source] = .integer(count) }
        return object([
            ("recordings", .array(timeline.recordings.map(JSONValue.string))),
            ("from", timeline.start.map { .string(Timestamp.text($0)) } ?? .null),
            ("to", timeline.end.map { .string(Timestamp.text($0)) } ?? .null),
            ("records", .integer(timeline.records)), ("points", .integer(timeline.points.count)),
            ("folded", .integer(timeline.folded)), ("undated", .integer(timeline.undated)),
            ("epochs", .integer(timeline.epochs.count)), ("aside", .integer(aside)),
            ("dropped", .integer(timeline.dropped)),
            (
                "scrubbed",
                object([
                    ("cookies", .integer(scrubbed.cookies)), ("authorizations", .integer(scrubbed.authorizations)),
                    ("keys", .integer(scrubbed.keys)), ("identities", .integer(scrubbed.identities)),
                ])
            ),
            ("polls", .object(polls)), ("finding_counts", .object(counts)),
            ("findings", .array(timeline.findings.map(\.json))), ("facts", .object(values)),
        ])
    }

    public var text: String {
        var lines = timeline.recordings.map { Quoting.plain($0, limit: 200) }
        if let start = timeline.start, let end = timeline.end {
            lines.append("\(Timestamp.text(start)) to \(Timestamp.text(end))")
        }
        lines.append(
            "\(timeline.records) records: \(timeline.points.count) points, \(timeline.folded) identical polls folded, "
                + "\(timeline.undated) without a time, \(timeline.epochs.count) whole epochs")
        if aside > 0 { lines.append("\(aside) entries not about the network") }
        if timeline.dropped > 0 { lines.append("\(timeline.dropped) oldest points given up") }
        if scrubbed.total > 0 {
            lines.append(
                "scrubbed: \(scrubbed.cookies) cookies, \(scrubbed.authorizations) authorizations, "
                    + "\(scrubbed.keys) keys, \(scrubbed.identities) identities")
        }
        lines += ["", timeline.findingCounts.isEmpty ? "no findings" : "findings"]
        for (kind, count) in sorted {
            lines.append("  \(kind.severity.rawValue) \(kind.rawValue): \(count)")
            for finding in timeline.findings.filter({ $0.kind == kind }).prefix(3) {
                let place =
                    finding.origin.map { "\(URL(fileURLWithPath: $0.file).lastPathComponent):\($0.line) " } ?? ""
                let time = finding.at.map { Timestamp.text($0) + " " } ?? ""
                lines.append(
                    "    \(time)\(Quoting.plain(place, limit: 80)) \(Quoting.plain(finding.detail, limit: 200))")
            }
        }
        lines += ["", "facts"]
        for definition in FactDefinition.all {
            guard let value = facts[definition.name] else { continue }
            let name = definition.name.padding(toLength: 30, withPad: " ", startingAt: 0)
            let isPlain = ["epoch", "UTC", "0 or 1"].contains(definition.unit)
            lines.append("  \(name)\(value.words)" + (isPlain ? "" : " \(definition.unit)"))
        }
        return lines.joined(separator: "\n")
    }

    private var sorted: [(Finding.Kind, Int)] {
        timeline.findingCounts.map { ($0.key, $0.value) }.sorted {
            $0.0.severity != $1.0.severity ? $0.0.severity > $1.0.severity : $0.0.rawValue < $1.0.rawValue
        }
    }
}
