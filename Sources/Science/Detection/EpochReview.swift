import Foundation

/// Incidents that a table of whole epochs shows: what weekly figures can tell, and no more.
public enum EpochReview {
    /// Slow: `slowRatio` times the median pace of the four epochs on either side. Price: a week's move of more than
    /// `priceMove`. Jump: more than one run of tick numbers. Onset and end are the epoch's, as nothing finer is known.
    public static func incidents(
        in anchors: [EpochAnchor], slowRatio: Double = 1.45, priceMove: Double = 0.3
    ) -> [(epoch: Int, incident: Incident)] {
        var found: [(epoch: Int, incident: Incident)] = []
        for (index, anchor) in anchors.enumerated() {
            func add(_ kind: IncidentKind, _ magnitude: Double, _ severity: Severity, _ why: String) {
                found.append(
                    (
                        anchor.epoch,
                        Incident(
                            kind: kind, severity: severity, onset: EpochCalendar.start(of: anchor.epoch),
                            end: EpochCalendar.start(of: anchor.epoch + 1), magnitude: magnitude, evidence: [why])
                    ))
            }
            if anchor.intervals > 1 {
                let skipped = max(0, anchor.lastTick - anchor.initialTick + 1 - anchor.ticks)
                let seconds = Double(skipped) * (anchor.secondsPerTick ?? 1)
                add(
                    .midEpochJump, seconds, Severity(.midEpochJump, seconds), "\(anchor.intervals) runs of tick numbers"
                )
            }
            let neighbours = (max(0, index - 4)...min(anchors.count - 1, index + 4)).filter { $0 != index }
                .compactMap { anchors[$0].secondsPerTick }
            if let pace = anchor.secondsPerTick, let usual = Robust.median(neighbours), pace > slowRatio * usual {
                add(
                    .slowTicks, pace / usual, Severity(.slowTicks, pace / usual), "\(pace) s per tick, usual \(usual) s"
                )
            }
            if let open = anchor.priceOpen, let close = anchor.priceClose, open > 0, abs(close / open - 1) > priceMove {
                add(.priceShock, close / open - 1, Severity(.priceShock, close / open - 1), "price \(open) to \(close)")
            }
        }
        return found
    }
}
