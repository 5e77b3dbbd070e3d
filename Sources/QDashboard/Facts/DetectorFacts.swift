import Foundation
import Science

/// The detector's verdict as facts: for answers that show it beside the model's. No shipped prompt says them.
extension FactDefinition {
    static let detector: [FactDefinition] = [
        .init(
            "detectorKind", "word", "30 min",
            "kind of the gravest alarm of the last 30 min that the detector raised while it read poll by poll, or none"
        ) { _ in nil },
        .init("detectorSeverity", "word", "30 min", "its severity, or none") { _ in nil },
        .init("detectorOnset", "UTC", "30 min", "when it began") { _ in nil },
    ]
}

/// Runs the detector over what readers give out.
struct DetectorHistory: Sendable {
    private var detector = Detector()
    private var last: Observation?

    mutating func add(_ snapshot: Snapshot, at date: Date) {
        // Polls of a whole epoch are none, and time does not run back for a detector.
        guard snapshot.kind != .epochSummary, date.timeIntervalSince1970 >= last?.time ?? 0 else { return }
        let seen = Observation(snapshot, at: date)
        detector.add(seen)
        last = seen
    }

    /// A record that could not be read, at the time of the one before it.
    mutating func addUnreadable() {
        guard let last else { return }
        detector.addUnreadable(last.source, at: last.time)
    }

    init() {}

    /// Over a timeline, as it was polled: what was folded is laid out again, a poll each half minute at most.
    init(_ timeline: Timeline) {
        self.init()
        // A place without a point is a record that could not be read.
        var polls: [(at: Double, point: Int?)] = []
        for (index, point) in timeline.points.enumerated() {
            let (first, last) = (point.at.timeIntervalSince1970, point.lastAt.timeIntervalSince1970)
            let count = min(point.polls, 2 + Int(max(last - first, 0) / 30))
            for poll in 0..<count {
                polls.append((first + (last - first) * Double(poll) / Double(max(count - 1, 1)), index))
            }
        }
        for record in timeline.violations where record.source.isEmpty {
            polls.append((record.at.timeIntervalSince1970, nil))
        }
        let order = polls.indices.sorted {
            polls[$0].at != polls[$1].at ? polls[$0].at < polls[$1].at : $0 < $1
        }
        for place in order {
            if let index = polls[place].point {
                add(timeline.points[index].snapshot, at: Date(timeIntervalSince1970: polls[place].at))
            } else {
                addUnreadable()
            }
        }
    }

    func add(to facts: inout Facts) {
        guard let now = last?.time else { return }
        let alarm = detector.gravest(since: now - 1800)
        facts["detectorKind"] = .word(alarm?.kind.rawValue ?? "none")
        facts["detectorSeverity"] = .word(alarm?.severity.rawValue ?? "none")
        if let alarm { facts["detectorOnset"] = .moment(Date(timeIntervalSince1970: alarm.onset)) }
    }
}

extension Observation {
    /// What the detector and the forecasters look at of a snapshot.
    public init(_ snapshot: Snapshot, at date: Date) {
        let isLive: Bool
        switch snapshot.kind {
        case .tickInfo, .status, .latestTick, .dashboardTick: isLive = true
        default: isLive = false
        }
        self.init(source: isLive ? .live : .statistics, time: date.timeIntervalSince1970)
        reportedAt = snapshot.reportedAt?.timeIntervalSince1970
        tick = snapshot.tick
        epoch = snapshot.epoch
        initialTick = snapshot.initialTick
        sinceLastTick = snapshot.secondsSinceLastTick
        ticksInEpoch = snapshot.ticksInEpoch
        emptyTicksInEpoch = snapshot.emptyTicksInEpoch
        quality =
            snapshot.qualityWasFraction
            ? snapshot.epochTickQualityPercent.map { $0 / 100 } : snapshot.epochTickQualityPercent
        price = snapshot.priceUSD
        marketCap = snapshot.marketCapUSD
        supply = snapshot.circulatingSupplyQus
        burned = snapshot.burnedQus
        activeAddresses = snapshot.activeAddresses
        if let failure = snapshot.failure { self.failure = failure.message ?? failure.kind.rawValue }
    }
}
