import Foundation
import Runtime

/// Something that a recording shows and that should not be, or that a reader of it must know. Findings never change the
/// data: what was recorded stays as it was.
public struct Finding: Sendable, Equatable {
    public enum Kind: String, Sendable, CaseIterable {
        // The numbers of one body against each other.
        /// `epochTickQuality` is not 100·(ticks − empty)/ticks.
        case qualityMismatch = "quality_mismatch"
        /// A quality of at most 1 without the counts that would tell a fraction from a percentage.
        case qualityUnitUnknown = "quality_unit_unknown"
        /// A quality served as a fraction, which the counts prove; read as percent.
        case qualityFraction = "quality_fraction"
        case moreEmptyThanTicks = "more_empty_than_ticks"
        /// `burnedQus` is not epoch·10¹² − circulatingSupply.
        case burnedMismatch = "burned_mismatch"
        /// `marketCap` is not price·circulatingSupply.
        case marketCapMismatch = "market_cap_mismatch"
        /// Supply beyond the cap of 200·10¹² qus.
        case supplyAboveCap = "supply_above_cap"
        case tickBeforeEpoch = "tick_before_epoch"
        // A body against the calendar.
        case epochInFuture = "epoch_in_future"
        case epochPast = "epoch_past"
        /// A record's time is far ahead of the records around it: its numbers are left out.
        case timeAhead = "time_ahead"
        // A body against the one before it from the same source.
        case tickBackwards = "tick_backwards"
        /// Further ahead within an epoch than any jump known, and not yet borne out by the next body.
        case tickAhead = "tick_ahead"
        case epochBackwards = "epoch_backwards"
        case countsBackwards = "counts_backwards"
        /// Tick numbers left out at the beginning of an epoch: normal.
        case transitionJump = "transition_jump"
        /// Tick numbers left out within an epoch.
        case midEpochJump = "mid_epoch_jump"
        // The recording itself.
        case clockBackwards = "clock_backwards"
        case gap
        case undated
        case sourceFailure = "source_failure"
        case unreadableRecord = "unreadable_record"
        case truncated
        // Recordings against each other.
        case overlap
        case contradiction

        public var severity: Severity {
            switch self {
            case .qualityFraction, .transitionJump, .gap, .undated, .overlap: .note
            case .qualityUnitUnknown, .clockBackwards, .sourceFailure, .tickBackwards: .warning
            default: .error
            }
        }
    }

    /// Kinds that say that a record's numbers cannot be trusted.
    static let violations: Set<Kind> = [
        .qualityMismatch, .qualityUnitUnknown, .moreEmptyThanTicks, .burnedMismatch, .marketCapMismatch,
        .supplyAboveCap, .tickBeforeEpoch, .epochInFuture, .epochPast, .timeAhead, .tickAhead,
    ]

    public enum Severity: String, Sendable, CaseIterable, Comparable {
        /// Known and normal.
        case note
        /// Data is missing or doubtful.
        case warning
        /// Data is wrong, or something happened.
        case error

        public static func < (a: Severity, b: Severity) -> Bool {
            allCases.firstIndex(of: a)! < allCases.firstIndex(of: b)!
        }
    }

    public var kind: Kind
    /// When, by the recording's clock.
    public var at: Date?
    public var origin: AnalysisRequest.Origin?
    /// In words, with the numbers; text from outside is quoted and short.
    public var detail: String
    /// The size of it where it has one: ticks jumped, seconds of a gap or a clock step, percent points of quality.
    public var amount: Double?

    public var severity: Severity { kind.severity }

    public init(
        _ kind: Kind, at: Date? = nil, origin: AnalysisRequest.Origin? = nil, amount: Double? = nil, _ detail: String
    ) {
        (self.kind, self.at, self.origin, self.amount, self.detail) = (kind, at, origin, amount, detail)
    }

    public var json: JSONValue {
        var members: [(String, JSONValue)] = [
            ("kind", .string(kind.rawValue)), ("severity", .string(severity.rawValue)), ("detail", .string(detail)),
        ]
        if let at { members.append(("at", .string(Timestamp.text(at)))) }
        if let amount, amount.isFinite { members.append(("amount", .number(amount))) }
        if let origin { members += [("file", .string(origin.file)), ("line", .integer(origin.line))] }
        return object(members)
    }
}
