import Foundation

/// What must hold between the numbers of one body, and between a body and the calendar. Tolerances are those of the
/// numbers' own spelling (float32, two decimals), and nothing is mended.
package enum Invariants {
    static let qusPerEpoch = 1_000_000_000_000
    static let supplyCap = 200_000_000_000_000
    /// A quality is served as float32, or shown to two decimals.
    static let qualityTolerance = 0.006
    /// Of price·supply: the price is a float32 (2⁻²⁴), and so is the server's product.
    static let marketCapTolerance = 0x1p-22
    /// A transition takes its time: so long after the boundary the old epoch is still right.
    static let transitionGrace = 6.0 * 3600
    /// Clocks differ: an epoch may begin this much early.
    static let clockTolerance = 300.0

    package static func check(_ snapshot: Snapshot, at date: Date?) -> [(Finding.Kind, Double?, String)] {
        guard snapshot.failure == nil else { return [] }
        var found: [(Finding.Kind, Double?, String)] = []
        quality(snapshot, &found)
        supply(snapshot, &found)
        if let tick = snapshot.tick, let initial = snapshot.initialTick, tick < initial {
            found.append(
                (.tickBeforeEpoch, Double(tick - initial), "tick \(tick) is before the epoch's first, \(initial)"))
        }
        if snapshot.kind != .epochSummary, let epoch = snapshot.epoch, let date = snapshot.reportedAt ?? date {
            calendar(epoch, date, &found)
        }
        return found
    }

    private static func quality(_ snapshot: Snapshot, _ found: inout [(Finding.Kind, Double?, String)]) {
        let checks = [
            ("epoch", snapshot.ticksInEpoch, snapshot.emptyTicksInEpoch, snapshot.epochTickQualityPercent),
            (
                "last 10000", snapshot.ticksInLast10000, snapshot.emptyTicksInLast10000,
                snapshot.last10000TickQualityPercent
            ),
        ]
        for (name, ticks, empty, quality) in checks {
            guard let ticks, let empty else {
                if let quality, quality > 0, quality <= 1, name == "epoch" {
                    found.append(
                        (
                            .qualityUnitUnknown, quality,
                            "a quality of \(quality) without tick counts: percent and fraction cannot be told apart"
                        ))
                }
                continue
            }
            guard empty <= ticks else {
                found.append((.moreEmptyThanTicks, Double(empty - ticks), "\(name): \(empty) empty of \(ticks) ticks"))
                continue
            }
            guard let quality, ticks > 0 else { continue }
            let expected = 100 * Double(ticks - empty) / Double(ticks)
            if abs(quality - expected) > qualityTolerance {
                found.append(
                    (
                        .qualityMismatch, quality - expected,
                        "\(name): \(empty) empty of \(ticks) ticks make \(short(expected)) %, not \(short(quality)) %"
                    ))
            }
        }
        if snapshot.qualityWasFraction {
            found.append((.qualityFraction, nil, "quality served as a fraction, as its tick counts show"))
        }
    }

    private static func supply(_ snapshot: Snapshot, _ found: inout [(Finding.Kind, Double?, String)]) {
        guard let supply = snapshot.circulatingSupplyQus else { return }
        if supply > supplyCap {
            found.append(
                (.supplyAboveCap, Double(supply - supplyCap), "\(supply) qus circulate; the cap is \(supplyCap)"))
        }
        if let burned = snapshot.burnedQus, let epoch = snapshot.epoch {
            let expected = epoch * qusPerEpoch - supply
            if burned != expected {
                found.append(
                    (
                        .burnedMismatch, Double(burned - expected),
                        "burned \(burned) qus; epoch \(epoch) and a supply of \(supply) make \(expected)"
                    ))
            }
        }
        // A price and a market cap of zero are how forks without a price feed say that they know neither.
        if let price = snapshot.priceUSD, let cap = snapshot.marketCapUSD, price != 0 || cap != 0 {
            let expected = price * Double(supply)
            if abs(cap - expected) > expected * marketCapTolerance + 1 {
                found.append(
                    (
                        .marketCapMismatch, cap - expected,
                        "market cap \(FactStyle.full(cap)) USD; price and supply make \(short(expected))"
                    ))
            }
        }
    }

    private static func calendar(_ epoch: Int, _ date: Date, _ found: inout [(Finding.Kind, Double?, String)]) {
        let latest = EpochCalendar.epoch(at: date.addingTimeInterval(clockTolerance))
        let earliest = EpochCalendar.epoch(at: date.addingTimeInterval(-transitionGrace))
        if epoch > latest {
            found.append((.epochInFuture, Double(epoch - latest), "epoch \(epoch) while the calendar has \(latest)"))
        } else if epoch < earliest {
            found.append((.epochPast, Double(epoch - earliest), "epoch \(epoch) while the calendar has \(earliest)"))
        }
    }

    static func short(_ value: Double) -> String {
        abs(value) < 1e15 ? FactStyle.full((value * 1e4).rounded() / 1e4) : "\(value)"
    }
}
