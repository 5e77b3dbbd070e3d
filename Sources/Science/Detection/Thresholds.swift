/// What the detector calls abnormal. Fixed on the synthetic train split only.
public struct Thresholds: Sendable, Codable, Equatable {
    /// Seconds without a new tick (and at least `idleTicks` usual ticks) before an alarm.
    public var idleSeconds = 110.0
    public var idleTicks = 14.0
    /// Seconds after Wednesday 12:00 UTC in which standing still is the transition.
    public var transitionGrace = 2700.0
    /// Ticks (and seconds' worth of them) that one source must be behind the other to be stale rather than stopped.
    public var staleTicks = 120.0
    public var staleSeconds = 150.0
    /// Times slower than the median of the hours before.
    public var slowRatio = 1.45
    /// Minutes whose median is the present pace.
    public var paceWindow = 11
    /// Robust z-score and rise in points of the un-cumulated share of empty ticks.
    public var emptyScore = 7.0
    public var emptyRise = 4.0
    /// Seconds of un-cumulated quality.
    public var emptyWindow = 1200.0
    /// Seconds' worth of tick numbers skipped at once.
    public var jumpSeconds = 270.0
    /// Relative price change within `priceWindow` seconds, and in standard deviations of such windows.
    public var priceChange = 0.08
    public var priceScore = 6.0
    public var priceWindow = 1500.0
    /// Bad bodies among the last six of a source; errors in a row are everyday life.
    public var badBodies = 3

    public init() {}
}
