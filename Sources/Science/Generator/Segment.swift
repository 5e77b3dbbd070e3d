/// A run of synthetic polls around the start of one epoch, with the truth of what was put into it.
public struct Segment: Sendable {
    public enum Split: String, Sendable, CaseIterable { case train, calibration, test }
    /// What looks odd and is normal.
    public struct HardNegative: Sendable, Equatable {
        public enum Kind: String, Sendable {
            case transition
            case slowStart = "slow_start"
            case missingPolls = "missing_polls"
            case errorBodies = "error_bodies"
        }
        public var kind: Kind
        /// Seconds since 1970.
        public var start: Double
        /// Seconds since 1970.
        public var end: Double
    }

    public var epoch: Int
    public var split: Split
    /// In the order in which they were seen.
    public var observations: [Observation]
    /// The truth: what was injected.
    public var incidents: [Incident]
    public var negatives: [HardNegative]
    /// The cumulated quality as it truly was at each poll, answered or not.
    public var qualities: [(time: Double, epoch: Int, percent: Double)] = []

    /// The true quality at a moment, from the poll before it; nil outside of the segment.
    public func quality(at time: Double) -> (epoch: Int, percent: Double)? {
        var (low, high) = (0, qualities.count)
        while low < high {
            let middle = (low + high) / 2
            if qualities[middle].time <= time { low = middle + 1 } else { high = middle }
        }
        guard low > 0, low < qualities.count else { return nil }
        return (qualities[low - 1].epoch, qualities[low - 1].percent)
    }
}

/// What a synthetic set is made of.
public struct SyntheticSettings: Sendable {
    public var seed: UInt64
    /// Days of each epoch after its start.
    public var days: Double
    /// Hours of the epoch before, so that the transition is seen.
    public var leadHours = 3.0
    /// Seconds between polls.
    public var pollSeconds = 60.0

    public init(seed: UInt64, days: Double = 2) { (self.seed, self.days) = (seed, days) }
}
