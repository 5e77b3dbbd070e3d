import Foundation

/// What happens when in a segment: drawn before the first poll.
struct Schedule: Sendable {
    var incidents: [Incident] = []
    var negatives: [Segment.HardNegative] = []
    /// Seconds of downtime from the epoch's start.
    var downtime = 0.0
    /// Share of ticks that are empty beyond the usual at the epoch's start; it fades over a day.
    var slowStart = 0.0

    init(anchor: EpochAnchor, settings: SyntheticSettings, random: inout SeededRandom) {
        let start = EpochCalendar.start(of: anchor.epoch)
        let end = start + settings.days * 86_400
        if !anchor.seamless { downtime = min(1800, 480 * exp(0.7 * random.normal())) }
        negatives.append(.init(kind: .transition, start: start - 600, end: start + downtime + 900))
        if random.chance(0.25) {
            slowStart = random.uniform(0.06, 0.12)
            negatives.append(.init(kind: .slowStart, start: start, end: start + 86_400))
        }
        if random.chance(0.15) {
            // As at tick 54400007: stuck a few ticks into the epoch.
            let length = random.uniform(5400, 10_800)
            incidents.append(
                Incident(
                    kind: .stall, severity: .severe, onset: start + downtime + 20, end: start + downtime + 20 + length,
                    magnitude: length))
        }
        var kinds = IncidentKind.allCases
        random.shuffle(&kinds)
        var time = start + 4 * 3600 + random.uniform(0, 7200)
        var count = 0
        while true {
            let incident = Self.draw(kinds[count % kinds.count], at: time, random: &random)
            guard incident.end + 3600 < end else { break }
            incidents.append(incident)
            count += 1
            time = incident.end + random.uniform(2 * 3600, 6 * 3600)
        }
        drawPollingFaults(from: start - settings.leadHours * 3600, to: end, random: &random)
    }

    private static func draw(_ kind: IncidentKind, at onset: Double, random: inout SeededRandom) -> Incident {
        let level = random.below(3)
        func pick(_ ranges: [(Double, Double)]) -> Double { random.logUniform(ranges[level].0, ranges[level].1) }
        let magnitude: Double
        var length = random.logUniform(1800, 14_400)
        switch kind {
        case .stall:
            magnitude = pick([(240, 600), (600, 1800), (1800, 10_800)])
            length = magnitude
        case .staleSource:
            magnitude = pick([(900, 1800), (1800, 7200), (7200, 21_600)])
            length = magnitude
        case .slowTicks: magnitude = pick([(1.8, 2.2), (2.2, 3), (3, 4)])
        case .qualityDrop: magnitude = pick([(12, 18), (18, 35), (35, 70)])
        case .midEpochJump:
            magnitude = pick([(420, 1200), (1200, 7200), (7200, 86_400)])
            length = 0
        case .badData:
            magnitude = pick([(6, 10), (10, 30), (30, 90)])
            length = magnitude * 60
        case .priceShock:
            let size = pick([(0.12, 0.18), (0.18, 0.3), (0.3, 0.6)])
            magnitude = random.chance(0.6) ? -size : size
            length = random.uniform(60, 600)
        }
        return Incident(
            kind: kind, severity: Severity.allCases[level], onset: onset, end: onset + length, magnitude: magnitude)
    }

    /// Polls that are missing, and error bodies of one to three polls: a recorder's everyday life.
    private mutating func drawPollingFaults(from: Double, to: Double, random: inout SeededRandom) {
        var time = from
        while true {
            time += random.uniform(1800, 4 * 3600)
            let length = 60 * random.uniform(1, random.chance(0.3) ? 10 : 3)
            guard time + length < to else { return }
            let missing = random.chance(0.5)
            negatives.append(
                .init(
                    kind: missing ? .missingPolls : .errorBodies, start: time,
                    end: time + min(length, missing ? 600 : 150)))
        }
    }
}
