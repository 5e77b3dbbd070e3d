import Foundation

/// One poll, as plain numbers. What it did not say is nil.
public struct Observation: Sendable, Equatable {
    public enum Source: String, Sendable {
        /// `/v1/tick-info`: a live node.
        case live
        /// `/v1/latest-stats`: the archive, scraped each minute.
        case statistics
    }

    public var source: Source
    /// When it was seen, in seconds since 1970.
    public var time: Double
    /// The source's own clock, in seconds since 1970.
    public var reportedAt: Double?
    public var tick: Int?
    public var epoch: Int?
    public var initialTick: Int?
    /// Whole seconds.
    public var sinceLastTick: Int?
    public var ticksInEpoch: Int?
    public var emptyTicksInEpoch: Int?
    /// Percent, cumulative over the epoch.
    public var quality: Double?
    /// USD.
    public var price: Double?
    /// USD.
    public var marketCap: Double?
    /// In qus.
    public var supply: Int?
    /// In qus.
    public var burned: Int?
    public var activeAddresses: Int?
    /// An error body in place of numbers: its message.
    public var failure: String?

    public init(source: Source, time: Double) { (self.source, self.time) = (source, time) }
}

/// The network's calendar: epoch N begins 2022-04-13T12:00Z + N weeks.
public enum EpochCalendar {
    public static let week = 604_800.0
    static let origin = 1_649_851_200.0
    /// Seconds since 1970.
    public static func start(of epoch: Int) -> Double { origin + Double(epoch) * week }
    public static func epoch(at time: Double) -> Int { Int(((time - origin) / week).rounded(.down)) }
    /// Seconds since the last Wednesday 12:00 UTC.
    public static func sinceBoundary(_ time: Double) -> Double { time - start(of: epoch(at: time)) }
}

extension Observation {
    /// Which of the protocol's invariants the numbers break; empty where they hold. Nothing is repaired.
    ///
    /// - Parameter previous: the last sound observation of the same source.
    public func violations(after previous: Observation?) -> [String] {
        var found: [String] = []
        if failure != nil { return ["error body"] }
        if let tick, tick <= 0 { found.append("tick \(tick)") }
        if let epoch, abs(epoch - EpochCalendar.epoch(at: time)) > 1 { found.append("epoch \(epoch) against the date") }
        if let tick, let before = previous?.tick, tick < before - 10 { found.append("tick \(tick) after \(before)") }
        if let quality {
            if !(0...100).contains(quality) { found.append("quality \(quality)") }
            if let ticks = ticksInEpoch, let empty = emptyTicksInEpoch, ticks > 0,
                abs(quality - 100 * Double(ticks - empty) / Double(ticks)) > 0.01
            {
                found.append("quality \(quality) against \(ticks) ticks, \(empty) empty")
            }
        }
        if let ticks = ticksInEpoch, let empty = emptyTicksInEpoch, empty < 0 || ticks < empty {
            found.append("\(empty) empty of \(ticks) ticks")
        }
        if let epoch, let supply, let burned, !Self.balances(epoch: epoch, supply: supply, burned: burned) {
            found.append("burned \(burned) against supply \(supply)")
        }
        if let price, !(price > 0 && price < 1) { found.append("price \(price)") }
        if let price, let marketCap, let supply, price > 0, marketCap.isFinite {
            let expected = price * Double(supply)
            if abs(marketCap - expected) > max(2, expected * 1e-3) {
                found.append("market cap \(marketCap) against price \(price)")
            }
        }
        return found
    }

    private static func balances(epoch: Int, supply: Int, burned: Int) -> Bool {
        let (minted, overflow) = epoch.multipliedReportingOverflow(by: 1_000_000_000_000)
        let (rest, overflow2) = minted.subtractingReportingOverflow(supply)
        return !overflow && !overflow2 && rest == burned
    }
}
