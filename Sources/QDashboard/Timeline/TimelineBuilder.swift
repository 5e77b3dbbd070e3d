import Foundation

/// Makes a timeline of what readers give out, in memory that does not grow with the recording: points beyond `capacity`
/// push out the oldest ones, findings beyond `findingsPerKind` are only counted.
public struct TimelineBuilder: Sendable {
    public struct Limits: Sendable {
        /// Points kept: two weeks of three endpoints a minute.
        public var capacity = 60_480
        public var findingsPerKind = 100
        public var gaps = 1000
        public var sources = 256

        public init() {}
    }

    /// A pause is a gap from this many seconds, and from this many usual intervals.
    static let gapSeconds = 120.0
    static let gapIntervals = 5.0
    /// Tick numbers may run ahead this fast, and by this much at once, before a step counts as a jump. The fastest epochs
    /// have 2.5 ticks a second.
    static let jumpTicksPerSecond = 10.0
    static let jumpTicks = 1000
    /// An archive follows its network within this many ticks.
    static let archiveTicks = 8000
    /// A tick further ahead within an epoch than this many seconds of its pace is believed when the next body goes on from
    /// it; smaller jumps at once.
    static let leapSeconds = 172_800.0
    /// The pace of the fastest epochs, where none is known.
    static let fastestTicksPerSecond = 2.5

    private let limits: Limits
    private(set) var timeline = Timeline()
    /// What became of the last record: nil where it has no place in the timeline.
    private(set) var placed: Placement?
    private var recording = -1
    /// Of the current recording, source by source.
    private var sources: [String: Last] = [:]
    private var epochs: [Int: Snapshot] = [:]
    /// Of the current recording, over all sources.
    private var lastPoll: Date?
    private var leaps: TimeLeaps

    enum Placement {
        case appended(TimelinePoint)
        /// Seen again: the point as it is now.
        case folded(TimelinePoint)
    }

    /// So many records in a row that go back are a new beginning, not bad data.
    static let longestSetback = 120

    private struct Last {
        /// Position of the source's newest point, counted from the first of all points.
        var point: Int
        var snapshot: Snapshot
        var at: Date
        /// The newest answer that was no failure.
        var good: (snapshot: Snapshot, at: Date)?
        var isSound = true
        var setbacks = 0
        /// It has served its quality as percent.
        var servesPercent = false
        var intervals: [Double] = []
        /// Since when it stands at its newest tick, by sound bodies, and ticks a second from one such rise to the next.
        var risen: (tick: Int, epoch: Int?, at: Date)?
        var paces: [Double] = []
        /// A body whose tick leapt ahead, until the next one.
        var leapt: (tick: Int, epoch: Int?, at: Date)?

        /// The epoch's usual pace, of its last polls; nil of fewer than six.
        var pace: Double? { paces.count >= 6 ? RobustStatistics.median(paces) : nil }

        /// Takes note of a sound body.
        mutating func rise(_ snapshot: Snapshot, at moment: Date) {
            guard let tick = snapshot.tick else { return }
            guard let before = risen, before.epoch == snapshot.epoch else {
                risen = (tick, snapshot.epoch, moment)
                paces = []
                return
            }
            guard tick != before.tick else { return }
            let seconds = moment.timeIntervalSince(before.at)
            if tick > before.tick, seconds > 0 {
                if paces.count == 31 { paces.removeFirst() }
                paces.append(Double(tick - before.tick) / seconds)
            }
            risen = (tick, snapshot.epoch, moment)
        }
    }

    /// - Parameter clock: the machine's time; a recording does not end long after it.
    public init(limits: Limits = Limits(), clock: Date = Date()) {
        self.limits = limits
        leaps = TimeLeaps(clock: clock)
    }

    /// Adds the next item of a reader.
    public mutating func add(_ item: RequestReader.Item) {
        switch item {
        case .request(let request): add(request.snapshot, origin: request.origin)
        case .rejected(let record):
            timeline.records += 1
            note(
                record.isTruncation ? .truncated : .unreadableRecord, nil,
                .init(file: record.file, line: record.line), nil, record.reason)
            // It says no time that could be read: that of the record before it.
            if !record.isTruncation, let lastPoll { violation(lastPoll, "") }
        }
    }

    public mutating func add(_ snapshot: Snapshot, origin: AnalysisRequest.Origin? = nil) {
        for one in leaps.begin(origin?.file ?? "") { take(one) }
        guard snapshot.kind != .epochSummary, let date = snapshot.observedAt ?? snapshot.reportedAt else {
            return addTimely(snapshot, origin: origin)
        }
        for one in leaps.add(.init(snapshot: snapshot, origin: origin, date: date)) { take(one) }
    }

    private mutating func take(_ settled: TimeLeaps.Settled) {
        switch settled {
        case .believed(let record): addTimely(record.snapshot, origin: record.origin)
        case .refused(let record): refuse(record)
        }
    }

    /// Counts a record whose time cannot be: it has no place in the timeline, and is bad data at the time of the record
    /// before it.
    mutating func refuse(_ record: TimeLeaps.Record) {
        timeline.records += 1
        timeline.undated += 1
        placed = nil
        let seconds = lastPoll.map { record.date.timeIntervalSince($0) }
        note(
            .timeAhead, lastPoll, record.origin, seconds,
            "a record that says \(Timestamp.text(record.date)), "
                + "\(Invariants.short(seconds ?? 0)) s after the one before it: left out of the timeline")
        if let lastPoll { violation(lastPoll, record.snapshot.endpoint ?? record.snapshot.kind.rawValue) }
    }

    /// Adds a record whose time is taken as it is.
    mutating func addTimely(_ snapshot: Snapshot, origin: AnalysisRequest.Origin?) {
        let file = origin?.file ?? ""
        if recording < 0 || timeline.recordings[recording] != file { begin(file) }
        timeline.records += 1
        let date = snapshot.observedAt ?? snapshot.reportedAt
        placed = nil
        var isSound = true
        for (kind, amount, detail) in Invariants.check(snapshot, at: date) {
            note(kind, date, origin, amount, detail)
            isSound = isSound && !Finding.violations.contains(kind)
        }
        if snapshot.kind == .epochSummary, let epoch = snapshot.epoch {
            epochs[epoch] = snapshot
            return
        }
        guard let date else {
            timeline.undated += 1
            note(.undated, nil, origin, nil, "a record that says no time: left out of the timeline")
            return
        }
        clock(date, origin)
        place(snapshot, date, origin, isSound)
    }

    /// The timeline, its recordings merged by time. The builder must not be used further.
    public mutating func finish() -> Timeline {
        for one in leaps.settle() { take(one) }
        timeline.epochs = epochs.keys.sorted().compactMap { epochs[$0] }
        let order = timeline.points.indices.sorted {
            let (a, b) = (timeline.points[$0], timeline.points[$1])
            if a.at != b.at { return a.at < b.at }
            // By name, so that the order of the files does not matter.
            let (one, other) = (timeline.recordings[a.recording], timeline.recordings[b.recording])
            return one != other ? one < other : $0 < $1
        }
        timeline.points = order.map { timeline.points[$0] }
        timeline.violations.sort { $0.at < $1.at }
        trim(to: limits.capacity)
        if timeline.recordings.count > 1 { compareRecordings() }
        return timeline
    }

    private mutating func begin(_ file: String) {
        timeline.recordings.append(file)
        recording = timeline.recordings.count - 1
        sources = [:]
        lastPoll = nil
    }

    private mutating func clock(_ date: Date, _ origin: AnalysisRequest.Origin?) {
        defer { lastPoll = date }
        guard let lastPoll else { return }
        let step = date.timeIntervalSince(lastPoll)
        // Requests that run side by side are recorded in the order of their end.
        guard step < -5 else { return }
        if timeline.clockSteps.count < limits.gaps { timeline.clockSteps.append(.init(at: date, seconds: step)) }
        note(.clockBackwards, date, origin, step, "the recorder's clock went back \(Invariants.short(-step)) s")
    }

    private mutating func place(
        _ snapshot: Snapshot, _ date: Date, _ origin: AnalysisRequest.Origin?, _ isSound: Bool
    ) {
        let source = snapshot.endpoint ?? snapshot.kind.rawValue
        var bare = snapshot
        bare.observedAt = nil
        // Taken out meanwhile, since its arrays would be copied otherwise.
        var last = sources.removeValue(forKey: source) ?? Last(point: -1, snapshot: bare, at: date)
        let isFirst = last.point < 0
        if !isFirst { interval(from: last.at, to: date, &last, origin) }
        if !isFirst, bare == last.snapshot, last.point >= timeline.dropped {
            let index = last.point - timeline.dropped
            timeline.points[index].polls += 1
            timeline.points[index].lastAt = max(timeline.points[index].lastAt, date)
            timeline.folded += 1
            placed = .folded(timeline.points[index])
        } else {
            failure(snapshot, date, origin)
            last.isSound = isSound
            if let good = last.good, snapshot.failure == nil, !sequence(good, &last, snapshot, date, origin) {
                last.setbacks += 1
                if last.setbacks < Self.longestSetback { last.isSound = false }
            } else if snapshot.failure == nil {
                last.setbacks = 0
            }
            last.point = append(snapshot, date, source, origin, last.isSound)
            placed = timeline.points.last.map { .appended($0) }
            last.snapshot = bare
        }
        // A source that falls from percent to a fraction is wrong; one that has always served fractions is of that kind.
        if !last.isSound || snapshot.qualityWasFraction && last.servesPercent { violation(date, source) }
        if snapshot.failure == nil, last.isSound {
            last.good = (snapshot, date)
            last.rise(snapshot, at: snapshot.reportedAt ?? date)
            if snapshot.epochTickQualityPercent != nil, !snapshot.qualityWasFraction { last.servesPercent = true }
        }
        last.at = date
        if !isFirst || sources.count < limits.sources { sources[source] = last }
    }

    private mutating func violation(_ date: Date, _ source: String) {
        timeline.violations.append(.init(at: date, source: source))
        if timeline.violations.count > 2 * limits.capacity { timeline.violations.removeFirst(limits.capacity) }
    }

    private mutating func failure(_ snapshot: Snapshot, _ date: Date, _ origin: AnalysisRequest.Origin?) {
        guard let failure = snapshot.failure else { return }
        var words = failure.kind.rawValue.replacing("_", with: " ")
        if let code = failure.code { words += " \(code)" }
        if let message = failure.message { words += ": " + Quoting.quoted(message) }
        note(.sourceFailure, date, origin, nil, words)
    }

    private mutating func interval(
        from: Date, to: Date, _ last: inout Last, _ origin: AnalysisRequest.Origin?
    ) {
        let seconds = to.timeIntervalSince(from)
        guard seconds > 0 else { return }
        let usual = last.intervals.count >= 3 ? last.intervals.sorted()[last.intervals.count / 2] : 60
        if seconds > max(Self.gapSeconds, Self.gapIntervals * usual) {
            if timeline.gaps.count < limits.gaps { timeline.gaps.append(.init(from: from, to: to)) }
            note(.gap, to, origin, seconds, "no poll for \(Invariants.short(seconds)) s")
        } else {
            if last.intervals.count == 15 { last.intervals.removeFirst() }
            last.intervals.append(seconds)
        }
    }

    /// A source's answer against its last sound one; false where it cannot be the next.
    private mutating func sequence(
        _ before: (snapshot: Snapshot, at: Date), _ last: inout Last, _ now: Snapshot, _ date: Date,
        _ origin: AnalysisRequest.Origin?
    ) -> Bool {
        let old = before.snapshot
        let leapt = last.leapt
        last.leapt = nil
        if let from = old.epoch, let to = now.epoch, to < from {
            note(.epochBackwards, date, origin, Double(to - from), "epoch \(to) after epoch \(from)")
            return false
        }
        guard let fromTick = old.tick, let toTick = now.tick else { return true }
        let step = toTick - fromTick
        if step < 0 {
            note(.tickBackwards, date, origin, Double(step), "tick \(toTick) after tick \(fromTick)")
            // Nodes behind one address are a few ticks apart.
            return step >= -FactDefinition.staleTicks
        }
        let moment = now.reportedAt ?? date
        let seconds = max(moment.timeIntervalSince(old.reportedAt ?? before.at), 0)
        let excess = Double(step) - Double(Self.jumpTicks) - Self.jumpTicksPerSecond * seconds
        guard old.epoch == now.epoch else {
            if excess > 0 {
                note(
                    .transitionJump, date, origin, Double(step),
                    "\(step) tick numbers further in epoch \(now.epoch ?? 0)")
            }
            return true
        }
        // Without an epoch in the bodies the calendar tells a transition.
        let isBoundary =
            now.epoch == nil
            && EpochCalendar.epoch(at: moment)
                != EpochCalendar.epoch(at: moment.addingTimeInterval(-seconds - Invariants.transitionGrace))
        if excess > 0, !isBoundary, isLeap(toTick, moment, last), !Self.goesOn(from: leapt, toTick, now.epoch, moment) {
            last.leapt = (toTick, now.epoch, moment)
            note(
                .tickAhead, date, origin, Double(step),
                "\(step) tick numbers further within \(Invariants.short(seconds)) s: not believed unless the next body "
                    + "goes on from there")
            return false
        }
        if let a = old.ticksInEpoch, let b = now.ticksInEpoch {
            if b < a {
                note(.countsBackwards, date, origin, Double(b - a), "\(b) ticks in the epoch after \(a)")
                return false
            }
            let leap = step - (b - a)
            if leap > Self.archiveTicks {
                note(
                    .midEpochJump, date, origin, Double(leap),
                    "\(leap) tick numbers left out within epoch \(now.epoch ?? 0)")
                return true
            }
        }
        if excess > 0 {
            note(
                isBoundary ? .transitionJump : .midEpochJump, date, origin, Double(step),
                "\(step) tick numbers further within \(Invariants.short(seconds)) s")
        }
        return true
    }

    /// Whether a tick is ahead of a source's last believed one by more than time and any jump known explain.
    private func isLeap(_ tick: Int, _ moment: Date, _ last: Last) -> Bool {
        guard let risen = last.risen else { return false }
        let epoch = risen.epoch ?? EpochCalendar.epoch(at: moment)
        let pace = last.pace ?? Era.of(epoch)?.medianTicksPerSecond ?? Self.fastestTicksPerSecond
        let passed = max(moment.timeIntervalSince(risen.at), 0)
        return Double(tick - risen.tick) > pace * (Self.leapSeconds + passed)
    }

    /// Whether a body is the next one after a leap.
    private static func goesOn(
        from leapt: (tick: Int, epoch: Int?, at: Date)?, _ tick: Int, _ epoch: Int?, _ moment: Date
    ) -> Bool {
        guard let leapt, leapt.epoch == epoch, tick > leapt.tick else { return false }
        let seconds = max(moment.timeIntervalSince(leapt.at), 0)
        return Double(tick - leapt.tick) <= Double(jumpTicks) + jumpTicksPerSecond * seconds
    }

    private mutating func append(
        _ snapshot: Snapshot, _ date: Date, _ source: String, _ origin: AnalysisRequest.Origin?, _ isSound: Bool
    ) -> Int {
        var point = TimelinePoint(at: date, source: source, recording: recording, origin: origin, snapshot: snapshot)
        point.isSound = isSound
        timeline.points.append(point)
        // Twice the capacity, then half of it goes at once: a shift for each point would cost its square.
        if timeline.points.count >= 2 * max(limits.capacity, 1) { trim(to: limits.capacity) }
        return timeline.dropped + timeline.points.count - 1
    }

    private mutating func trim(to capacity: Int) {
        let surplus = timeline.points.count - max(capacity, 1)
        guard surplus > 0 else { return }
        timeline.points.removeFirst(surplus)
        timeline.dropped += surplus
    }

    /// Recordings of the same time: said, and where they cannot both be right, said too.
    private mutating func compareRecordings() {
        var spans: [Int: (from: Date, to: Date)] = [:]
        for point in timeline.points {
            let span = spans[point.recording]
            spans[point.recording] = (span?.from ?? point.at, max(span?.to ?? point.lastAt, point.lastAt))
        }
        let ordered = spans.sorted { $0.value.from != $1.value.from ? $0.value.from < $1.value.from : $0.key < $1.key }
        for (a, b) in zip(ordered, ordered.dropFirst()) where b.value.from < a.value.to {
            let seconds = min(a.value.to, b.value.to).timeIntervalSince(b.value.from)
            guard seconds > 0 else { continue }
            let names = [a.key, b.key].map { Quoting.quoted(timeline.recordings[$0]) }
            note(
                .overlap, b.value.from, nil, seconds,
                "\(names[0]) and \(names[1]) overlap by \(Invariants.short(seconds)) s")
        }
        // A body that a server made at one second is one body, whoever recorded it.
        var made: [String: (index: Int, reported: Date)] = [:]
        var contradictions: [(TimelinePoint, String)] = []
        for (index, point) in timeline.points.enumerated() where point.snapshot.failure == nil {
            guard let reported = point.snapshot.reportedAt else { continue }
            let key = "\(point.source)\u{0}\(reported.timeIntervalSince1970)"
            if let other = made[key].map({ timeline.points[$0.index] }), other.recording != point.recording {
                var (a, b) = (other.snapshot, point.snapshot)
                (a.observedAt, b.observedAt) = (nil, nil)
                if a != b {
                    contradictions.append((point, "two recordings differ on the body of \(Timestamp.text(reported))"))
                }
            } else {
                made[key] = (index, reported)
            }
        }
        // Other bodies say no time of their own, or another: those seen in the same second must be near each other.
        var seen: [String: Int] = [:]
        for (index, point) in timeline.points.enumerated() where point.snapshot.failure == nil {
            guard let tick = point.snapshot.tick else { continue }
            let second = point.at.timeIntervalSince1970.rounded(.down)
            let key = "\(point.source)\u{0}\(second)"
            guard let other = seen[key].map({ timeline.points[$0] }), other.recording != point.recording else {
                seen[key] = index
                continue
            }
            let (a, b) = (other.snapshot, point.snapshot)
            guard let its = a.tick, a.epoch == b.epoch else { continue }
            // Bodies of the same moment were compared above.
            if let reported = a.reportedAt, reported == b.reportedAt { continue }
            let isLive = a.reportedAt == nil && b.reportedAt == nil
            if abs(tick - its) > (isLive ? FactDefinition.staleTicks : Self.archiveTicks) {
                contradictions.append(
                    (point, "two recordings saw ticks \(its) and \(tick) at \(Timestamp.text(point.at))"))
            }
        }
        for (point, words) in contradictions { note(.contradiction, point.at, point.origin, nil, words) }
    }

    private mutating func note(
        _ kind: Finding.Kind, _ date: Date?, _ origin: AnalysisRequest.Origin?, _ amount: Double?, _ detail: String
    ) {
        timeline.findingCounts[kind, default: 0] += 1
        guard timeline.findingCounts[kind]! <= limits.findingsPerKind else { return }
        timeline.findings.append(Finding(kind, at: date, origin: origin, amount: amount, detail))
    }
}
