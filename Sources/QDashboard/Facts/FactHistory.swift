import Foundation

/// The facts of each moment of a recording, while it is read: what the records so far show, as if it had ended there.
///
/// A recording that goes back in time by more than a little (another file, another day) begins a new history.
public struct FactHistory: Sendable {
    private let limits: TimelineBuilder.Limits
    private var builder: TimelineBuilder
    private var series = FactSeries()
    private var detector = DetectorHistory()
    private var now: Date?
    private var file: String?

    public init(limits: TimelineBuilder.Limits = .init()) {
        self.limits = limits
        builder = TimelineBuilder(limits: limits)
    }

    /// Adds the next record. Returns whether it has a place in the timeline, so that `facts` are those of its moment.
    @discardableResult
    public mutating func add(_ item: RequestReader.Item) -> Bool {
        if case .request(let request) = item { return add(request.snapshot, origin: request.origin) }
        builder.add(item)
        if case .rejected(let record) = item, !record.isTruncation { detector.addUnreadable() }
        return false
    }

    @discardableResult
    public mutating func add(_ snapshot: Snapshot, origin: AnalysisRequest.Origin) -> Bool {
        let date = snapshot.kind == .epochSummary ? nil : snapshot.observedAt ?? snapshot.reportedAt
        if let date, let now, date < now - (file == origin.file ? 6 * 3600 : 300) {
            builder = TimelineBuilder(limits: limits)
            series = FactSeries()
            detector = DetectorHistory()
            self.now = nil
        }
        file = origin.file
        builder.add(snapshot, origin: origin)
        guard let date else { return false }
        now = max(date, now ?? date)
        detector.add(snapshot, at: date)
        switch builder.placed {
        case .appended(let point): series.append(point)
        case .folded(let point): series.extend(point)
        case nil: break
        }
        return true
    }

    /// All facts of the last moment; none before the first record.
    public var facts: Facts {
        guard let now else { return Facts() }
        var facts = Facts(FactContext(builder.timeline, series, now: now))
        detector.add(to: &facts)
        return facts
    }
}
