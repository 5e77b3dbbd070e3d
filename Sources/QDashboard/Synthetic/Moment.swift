import Foundation
import Science

/// A moment of a synthetic segment that a request can be about, with the truth of what was injected.
struct Moment: Sendable {
    var segment: Int
    /// Of the live poll; the archive's follows it.
    var observation: Int
    var time: Double
    var incident: Incident?
    /// By what had been injected up to the moment.
    var severity: Severity?
    var negative: Segment.HardNegative.Kind?
    /// The true quality six hours later less the one now, in percent points; nil where the epoch or the segment ends before.
    var qualityChange: Double?

    /// Seconds from an incident's onset until polls can know of it.
    private static func latency(_ kind: IncidentKind) -> Double {
        switch kind {
        case .stall: 150
        case .staleSource: 300
        case .badData: 180
        case .slowTicks, .qualityDrop: 600
        case .midEpochJump: 60
        case .priceShock: 300
        }
    }

    /// When it is under way, as far as a recorder can know: a jump and a price shock are over in a moment, and are what is
    /// happening for 25 minutes more.
    static func span(of incident: Incident) -> (from: Double, to: Double) {
        let delay = latency(incident.kind)
        return switch incident.kind {
        case .midEpochJump: (incident.onset + delay, incident.onset + 1500)
        case .priceShock: (incident.end + delay, incident.end + 1500)
        default: (incident.onset + delay, incident.end)
        }
    }

    /// What an incident leaves in the windows of facts is gone after so many seconds.
    static let aftermath = 2700.0

    /// All moments at which both sources answered and the truth is beyond doubt: not the first minutes of an incident, of
    /// which no poll can know, and not the three quarters of an hour after one, in which windows still show it.
    static func all(_ segment: Segment, number: Int) -> [Moment] {
        let seen = segment.observations
        return seen.indices.dropLast().compactMap { index in
            let (live, statistics) = (seen[index], seen[index + 1])
            guard live.source == .live, statistics.source == .statistics, live.failure == nil,
                statistics.failure == nil
            else { return nil }
            let time = live.time
            var incident: Incident?
            for one in segment.incidents where one.onset <= time && time < max(one.end, span(of: one).to) + aftermath {
                let span = span(of: one)
                guard span.from <= time, time < span.to else { return nil }
                incident = one
            }
            let later = segment.quality(at: time + 6 * 3600)
            let now = segment.quality(at: time)
            return Moment(
                segment: number, observation: index, time: time, incident: incident,
                severity: incident.map { severity(of: $0, at: time) },
                negative: segment.negatives.first { $0.start <= time && time < $0.end }?.kind,
                qualityChange: now.flatMap { now in
                    later.flatMap { $0.epoch == now.epoch ? $0.percent - now.percent : nil }
                })
        }
    }

    /// By what has been injected up to the moment; the drawn size, where the whole of it comes at once.
    private static func severity(of incident: Incident, at time: Double) -> Severity {
        let passed = min(time, incident.end) - incident.onset
        return switch incident.kind {
        case .stall, .staleSource: Severity(incident.kind, passed)
        case .badData: Severity(.badData, passed / 60)
        default: incident.severity
        }
    }
}

/// The labels that a moment's tasks have.
extension Moment {
    /// Percent points of cumulated quality in six hours that count as a change; fixed on the train split.
    static let directionMargin = 0.3

    var sentiment: String { severity.map { $0 == .minor ? "neutral" : "negative" } ?? "positive" }
    var kind: String { incident?.kind.rawValue ?? "none" }
    var direction: String? {
        qualityChange.map { $0 > Self.directionMargin ? "rising" : $0 < -Self.directionMargin ? "falling" : "steady" }
    }

    /// One step up where the news are negative.
    func risk(news: String) -> String {
        let levels = ["low", "medium", "high"]
        let level = severity.map { $0 == .severe ? 2 : 1 } ?? 0
        return levels[min(2, level + (news == "negative" ? 1 : 0))]
    }
}
