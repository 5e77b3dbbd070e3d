/// What can go wrong with the network or with what is seen of it.
public enum IncidentKind: String, Sendable, CaseIterable, Codable {
    case stall
    case slowTicks = "slow_ticks"
    case qualityDrop = "quality_drop"
    case midEpochJump = "mid_epoch_jump"
    case staleSource = "stale_source"
    case badData = "bad_data"
    case priceShock = "price_shock"
}

public enum Severity: String, Sendable, CaseIterable, Codable { case minor, moderate, severe }

/// An incident in time: injected by the generator (the truth), or found by the detector (an alarm).
public struct Incident: Sendable, Equatable {
    public var kind: IncidentKind
    public var severity: Severity
    /// Seconds since 1970.
    public var onset: Double
    /// Seconds since 1970.
    public var end: Double
    /// In the kind's unit: seconds without a tick (stall, stale source), times slower (slow ticks), percent of ticks empty
    /// (quality drop), seconds' worth of tick numbers skipped (jump), bad bodies (bad data), relative change (price).
    public var magnitude: Double
    public var evidence: [String]

    public init(
        kind: IncidentKind, severity: Severity, onset: Double, end: Double, magnitude: Double, evidence: [String] = []
    ) {
        self.kind = kind
        self.severity = severity
        self.onset = onset
        self.end = end
        self.magnitude = magnitude
        self.evidence = evidence
    }
}
