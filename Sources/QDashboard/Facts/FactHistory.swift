import Foundation

/// The facts of each moment of a recording, while it is read: what the records so far show, as if it had ended there.
///
/// A recording that goes back in time by more than a little (another file, another day) begins a new history. A record
/// whose time leaps ahead counts when the next one bears it out.
public struct FactHistory: Sendable {
    private let limits: TimelineBuilder.Limits
    private var builder: TimelineBuilder
    private var series = FactSeries()
    private var detector = DetectorHistory()
    private var leaps: TimeLeaps
    private var now: Date?
    private var file: String?
    /// The first recording whose facts start anew because it begins before the last one ended; nil where none does.
    public private(set) var startedAnew: String?

    /// Whether facts keep what forecasts at any horizon are made of: some hundred kilobytes a moment at the most.
    private let looksAhead: Bool

    /// - Parameter clock: the machine's time; a recording does not end long after it.
    public init(limits: TimelineBuilder.Limits = .init(), looksAhead: Bool = true, clock: Date = Date()) {
        self.limits = limits
        self.looksAhead = looksAhead
        builder = TimelineBuilder(limits: limits, clock: clock)
        leaps = TimeLeaps(clock: clock)
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
        for one in leaps.begin(origin.file) { take(one) }
        guard snapshot.kind != .epochSummary, let date = snapshot.observedAt ?? snapshot.reportedAt else {
            file = origin.file
            builder.addTimely(snapshot, origin: origin)
            return false
        }
        for one in leaps.add(.init(snapshot: snapshot, origin: origin, date: date)) { take(one) }
        return leaps.isPlausible
    }

    private mutating func take(_ settled: TimeLeaps.Settled) {
        switch settled {
        case .believed(let record): addTimely(record)
        case .refused(let record): builder.refuse(record)
        }
    }

    private mutating func addTimely(_ record: TimeLeaps.Record) {
        let (date, name) = (record.date, record.origin?.file)
        if let now, date < now - (file == name ? 6 * 3600 : 300) {
            startedAnew = startedAnew ?? name
            builder = TimelineBuilder(limits: limits)
            series = FactSeries()
            detector = DetectorHistory()
            self.now = nil
        }
        file = name
        builder.addTimely(record.snapshot, origin: record.origin)
        now = max(date, now ?? date)
        detector.add(record.snapshot, at: date)
        switch builder.placed {
        case .appended(let point): series.append(point)
        case .folded(let point): series.extend(point)
        case nil: break
        }
    }

    /// All facts of the last moment; none before the first record.
    public var facts: Facts {
        if leaps.held != nil {
            // As if the recording ended here.
            var ended = self
            for one in ended.leaps.settle() { ended.take(one) }
            return ended.facts
        }
        guard let now else { return Facts() }
        var facts = Facts(FactContext(builder.timeline, series, now: now))
        detector.add(to: &facts)
        if looksAhead { facts.outlook = Outlook(now: now.timeIntervalSince1970, grids: series.grids) }
        return facts
    }
}
