import Foundation

/// One answer of one source, with all identical polls after it folded in.
public struct TimelinePoint: Sendable, Equatable {
    /// When it was first seen: the recorder's clock, else the server's.
    public var at: Date
    /// When it was last seen unchanged.
    public var lastAt: Date
    /// How often, at least 1.
    public var polls: Int
    /// The endpoint that answered, else the kind of body.
    public var source: String
    /// Which of `Timeline.recordings` it comes from.
    public var recording: Int
    public var origin: AnalysisRequest.Origin?
    public var snapshot: Snapshot
    /// It breaks no invariant, be it alone or after the answer before it.
    public var isSound = true

    /// When the numbers were measured: the server's own time where it gives one.
    public var measuredAt: Date { snapshot.reportedAt ?? at }

    public init(
        at: Date, lastAt: Date? = nil, polls: Int = 1, source: String? = nil, recording: Int = 0,
        origin: AnalysisRequest.Origin? = nil, snapshot: Snapshot
    ) {
        self.at = at
        self.lastAt = lastAt ?? at
        self.polls = polls
        self.source = source ?? snapshot.endpoint ?? snapshot.kind.rawValue
        self.recording = recording
        self.origin = origin
        self.snapshot = snapshot
    }
}

/// What recordings say about the network, in order of time. Made by `TimelineBuilder`, or from points directly.
public struct Timeline: Sendable, Equatable {
    /// A stretch without a poll, longer than the recording's habit.
    public struct Gap: Sendable, Equatable {
        public var from: Date
        public var to: Date
        public init(from: Date, to: Date) { (self.from, self.to) = (from, to) }
    }

    /// The recorder's clock went back.
    public struct ClockStep: Sendable, Equatable {
        public var at: Date
        /// Negative.
        public var seconds: Double
        public init(at: Date, seconds: Double) { (self.at, self.seconds) = (at, seconds) }
    }

    /// A record that breaks an invariant.
    public struct Violation: Sendable, Equatable {
        public var at: Date
        /// Empty for a record that could not be read.
        public var source: String
    }

    /// Ordered by `at`. The newest ones only, where a recording has more than the builder was told to keep.
    public var points: [TimelinePoint]
    /// Whole epochs, known as a series only (`epoch_summary`), in order of their epoch.
    public var epochs: [Snapshot] = []
    /// In the order in which they were found, the first ones of each kind; `findingCounts` has all.
    public var findings: [Finding] = []
    public var findingCounts: [Finding.Kind: Int] = [:]
    public var gaps: [Gap] = []
    public var clockSteps: [ClockStep] = []
    /// Each record that breaks an invariant, folded ones too, newest last (by time once the timeline is made, before that
    /// in the order of reading); the newest ones only.
    public var violations: [Violation] = []
    /// The files, as they were named.
    public var recordings: [String] = []
    /// Records read, folded, without a date that can be believed, and points given up for the sake of memory.
    public var records = 0
    public var folded = 0
    public var undated = 0
    public var dropped = 0

    public init(points: [TimelinePoint] = []) { self.points = points }

    public var start: Date? { points.first?.at }
    /// The last moment at which anything was seen.
    public var end: Date? { points.lazy.map(\.lastAt).max() }

    /// The points seen by `date`, as if the recording had ended then. Findings, gaps and clock steps likewise.
    public func upTo(_ date: Date) -> Timeline {
        var part = self
        part.points = points.prefix(firstIndex(after: date)).map { point in
            var point = point
            point.lastAt = min(point.lastAt, date)
            return point
        }
        part.findings.removeAll { $0.at.map { $0 > date } ?? false }
        part.findingCounts = Dictionary(grouping: part.findings, by: \.kind).mapValues(\.count)
        part.violations.removeAll { $0.at > date }
        part.gaps.removeAll { $0.to > date }
        part.clockSteps.removeAll { $0.at > date }
        return part
    }

    /// The index of the first point after `date` (binary search).
    public func firstIndex(after date: Date) -> Int {
        var (low, high) = (0, points.count)
        while low < high {
            let middle = (low + high) / 2
            if points[middle].at <= date { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
