/// Stretches of epochs in which the network kept one pace: what is normal in one is slow in another.
public struct Era: Sendable, Equatable {
    public let epochs: ClosedRange<Int>
    /// Median of the epochs' mean rates, in ticks a second, downtime included.
    public let medianTicksPerSecond: Double
    /// Median distance from that median.
    public let deviation: Double

    /// Computed from Datasets/recorded/epochs_104_231.jsonl; a test computes it again. The last one is open: epochs after
    /// it are measured against it until the table is extended.
    public static let all = [
        Era(epochs: 104...146, medianTicksPerSecond: 0.1974, deviation: 0.0294),
        Era(epochs: 147...167, medianTicksPerSecond: 0.7262, deviation: 0.0925),
        Era(epochs: 168...170, medianTicksPerSecond: 0.9718, deviation: 0.0019),
        Era(epochs: 171...178, medianTicksPerSecond: 0.4610, deviation: 0.0575),
        Era(epochs: 179...196, medianTicksPerSecond: 0.8818, deviation: 0.0392),
        Era(epochs: 197...213, medianTicksPerSecond: 0.8643, deviation: 0.2568),
        Era(epochs: 214...226, medianTicksPerSecond: 2.4570, deviation: 0.3562),
        Era(epochs: 227...65_535, medianTicksPerSecond: 1.9111, deviation: 0.1885),
    ]

    /// Nil before epoch 104, of which nothing is known.
    public static func of(_ epoch: Int) -> Era? { all.first { $0.epochs.contains(epoch) } }

    /// As `RobustStatistics.z`, with a spread of at least 5 % of the median: some eras are three epochs long.
    public func z(ticksPerSecond rate: Double) -> Double {
        (rate - medianTicksPerSecond) / max(1.4826 * deviation, 0.05 * medianTicksPerSecond)
    }
}
