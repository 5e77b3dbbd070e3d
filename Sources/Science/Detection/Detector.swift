import Foundation

/// Finds incidents in a stream of polls, by robust statistics over what was seen so far in the epoch.
///
/// One pass; memory is bound by the windows (hours of polls).
public struct Detector: Sendable {
    public let thresholds: Thresholds
    private var alarms: [Incident] = []
    private var open: [IncidentKind: Incident] = [:]

    private var lastLive: Observation?
    private var lastStatistics: Observation?
    private var liveMoved: (time: Double, tick: Int)?
    private var statisticsMoved: (time: Double, tick: Int)?
    private var recentBad: [Observation.Source: [Bool]] = [:]
    /// Ticks per second between two live polls, of this epoch.
    private var paces: [Double] = []
    private var cumulative: [(time: Double, ticks: Int, empty: Int)] = []
    private var emptyHistory: [Double] = []
    private var prices: [(time: Double, log: Double)] = []
    private var quietUntil = 0.0

    public init(thresholds: Thresholds = Thresholds()) { self.thresholds = thresholds }

    /// Alarms of a whole recording, by onset.
    public static func alarms(in observations: [Observation], thresholds: Thresholds = Thresholds()) -> [Incident] {
        var detector = Detector(thresholds: thresholds)
        for seen in observations { detector.add(seen) }
        return detector.finish()
    }

    /// Ends open alarms and gives all, by onset.
    public mutating func finish() -> [Incident] {
        alarms += open.values
        open = [:]
        alarms.sort { ($0.onset, $0.kind.rawValue) < ($1.onset, $1.kind.rawValue) }
        return alarms
    }

    /// The gravest alarm that is open, or ended since then; of equals, the latest.
    public func gravest(since time: Double) -> Incident? {
        let order = Severity.allCases
        return (alarms.suffix(64) + open.values).filter { $0.end >= time }.max { a, b in
            (order.firstIndex(of: a.severity)!, a.onset, a.kind.rawValue)
                < (order.firstIndex(of: b.severity)!, b.onset, b.kind.rawValue)
        }
    }

    /// A record of this source that could not be read.
    public mutating func addUnreadable(_ source: Observation.Source, at time: Double) {
        noteBad(Observation(source: source, time: time), ["a record that cannot be read"])
    }

    public mutating func add(_ seen: Observation) {
        // Error bodies of a poll or two are everyday life, and hold no numbers.
        guard seen.failure == nil else { return }
        let previous = seen.source == .live ? lastLive : lastStatistics
        let violations = seen.violations(after: previous)
        noteBad(seen, violations)
        guard violations.isEmpty else { return }
        switch seen.source {
        case .live: addLive(seen)
        case .statistics: addStatistics(seen)
        }
    }

    private mutating func raise(_ kind: IncidentKind, onset: Double, at time: Double, magnitude: Double, _ why: String)
    {
        if var alarm = open[kind] {
            alarm.end = time
            alarm.magnitude = abs(magnitude) > abs(alarm.magnitude) ? magnitude : alarm.magnitude
            alarm.severity = Severity(kind, alarm.magnitude)
            open[kind] = alarm
        } else {
            open[kind] = Incident(
                kind: kind, severity: Severity(kind, magnitude), onset: onset, end: time, magnitude: magnitude,
                evidence: [why])
        }
    }

    private mutating func close(_ kind: IncidentKind, at time: Double) {
        guard var alarm = open.removeValue(forKey: kind) else { return }
        alarm.end = max(alarm.end, min(time, alarm.end + 120))
        alarms.append(alarm)
    }

    // MARK: Bad data

    private mutating func noteBad(_ seen: Observation, _ violations: [String]) {
        var recent = recentBad[seen.source] ?? []
        recent.append(!violations.isEmpty)
        if recent.count > 6 { recent.removeFirst() }
        recentBad[seen.source] = recent
        let bad = recent.count { $0 }
        if !violations.isEmpty, bad >= thresholds.badBodies {
            let count = (open[.badData]?.magnitude ?? Double(bad - 1)) + 1
            raise(.badData, onset: seen.time - 60 * Double(bad - 1), at: seen.time, magnitude: count, violations[0])
        } else if let alarm = open[.badData], seen.time - alarm.end > 360 {
            close(.badData, at: alarm.end)
        }
    }

    // MARK: Ticks

    private var usualPace: Double? { paces.count >= 10 ? Robust.median(paces.suffix(360)) : nil }

    private mutating func addLive(_ seen: Observation) {
        guard let tick = seen.tick, let epoch = seen.epoch else { return }
        defer { lastLive = seen }
        guard let before = lastLive, let moved = liveMoved, before.epoch == epoch else {
            liveMoved = (seen.time, tick)
            paces = []
            for kind in [IncidentKind.stall, .staleSource, .slowTicks] { close(kind, at: seen.time) }
            return
        }
        let sinceMove = seen.time - moved.time
        let pace = usualPace ?? 0.2
        if tick == moved.tick {
            standing(seen, since: moved.time, pace: pace)
            return
        }
        let wasStanding = moved.time < before.time - 1
        let skipped = Double(tick - moved.tick) / pace - sinceMove * 1.5
        let boundary = EpochCalendar.sinceBoundary(seen.time) < thresholds.transitionGrace
        let jump = paces.count >= 10 && !boundary && skipped > thresholds.jumpSeconds
        if jump {
            raise(
                .midEpochJump, onset: before.time, at: seen.time, magnitude: skipped,
                "\(tick - moved.tick) ticks in \(Int(sinceMove)) s")
            close(.midEpochJump, at: seen.time)
        }
        let idle = Double(seen.sinceLastTick ?? 0)
        close(.stall, at: seen.time)
        if sourceIsStale == .live || sourceIsStale == nil { close(.staleSource, at: seen.time) }
        if !jump, !wasStanding, idle < max(20, 6 / pace), sinceMove > 0 {
            paces.append(Double(tick - moved.tick) / sinceMove)
            if paces.count > 480 { paces.removeFirst() }
            judgePace(seen)
        }
        liveMoved = (seen.time, tick)
    }

    private var sourceIsStale: Observation.Source?

    private mutating func standing(_ seen: Observation, since: Double, pace: Double) {
        let idle = max(seen.time - since, Double(seen.sinceLastTick ?? 0))
        guard idle > max(thresholds.idleSeconds, thresholds.idleTicks / pace) else { return }
        let ahead = Double((lastStatistics?.tick ?? 0) - (seen.tick ?? 0))
        if lastStatistics?.epoch == seen.epoch,
            ahead > max(thresholds.staleTicks, thresholds.staleSeconds * pace * 0.6)
                || (open[.staleSource] != nil && sourceIsStale == .live)
        {
            open[.stall] = nil
            sourceIsStale = .live
            raise(.staleSource, onset: since, at: seen.time, magnitude: idle, "\(Int(ahead)) ticks behind the archive")
            return
        }
        // Until the archive has had three scrapes to run ahead, standing still is either.
        guard idle > 170, EpochCalendar.sinceBoundary(since) > 600 || idle > thresholds.transitionGrace,
            EpochCalendar.sinceBoundary(seen.time) > thresholds.transitionGrace
        else { return }
        raise(
            .stall, onset: since, at: seen.time, magnitude: idle, "no tick after \(seen.tick ?? 0) for \(Int(idle)) s")
    }

    private mutating func judgePace(_ seen: Observation) {
        let window = thresholds.paceWindow
        guard paces.count >= window + 30, let now = Robust.median(paces.suffix(window)),
            let usual = Robust.median(paces.dropLast(open[.slowTicks] == nil ? window : 0)), now > 0
        else { return }
        let reference = slowReference ?? usual
        let ratio = reference / now
        if ratio > thresholds.slowRatio {
            slowReference = reference
            raise(
                .slowTicks, onset: seen.time - Double(window / 2) * 60, at: seen.time, magnitude: ratio,
                "ticks come \((ratio * 10).rounded() / 10) times slower than usual")
        } else if ratio < 1 + (thresholds.slowRatio - 1) * 0.6 {
            if open[.slowTicks] != nil { close(.slowTicks, at: seen.time) }
            slowReference = nil
        }
    }

    private var slowReference: Double?

    // MARK: Archive

    private mutating func addStatistics(_ seen: Observation) {
        defer { lastStatistics = seen }
        if lastStatistics?.epoch != seen.epoch {
            (cumulative, emptyHistory, statisticsMoved) = ([], [], nil)
            close(.qualityDrop, at: seen.time)
        }
        if let tick = seen.tick {
            if statisticsMoved?.tick != tick {
                if sourceIsStale == .statistics, open[.staleSource] != nil {
                    close(.staleSource, at: seen.time)
                    sourceIsStale = nil
                }
                statisticsMoved = (seen.time, tick)
            } else if let moved = statisticsMoved, let live = lastLive, live.epoch == seen.epoch,
                let liveTick = live.tick, seen.time - live.time < 90, liveMoved?.tick == liveTick,
                seen.time - moved.time > 240, seen.reportedAt.map({ seen.time - $0 > 240 }) ?? true
            {
                sourceIsStale = .statistics
                raise(
                    .staleSource, onset: moved.time, at: seen.time, magnitude: seen.time - moved.time,
                    "the archive stands at \(tick), the node at \(liveTick)")
            }
        }
        judgeQuality(seen)
        judgePrice(seen)
    }

    private mutating func judgeQuality(_ seen: Observation) {
        guard let ticks = seen.ticksInEpoch, let empty = seen.emptyTicksInEpoch else { return }
        if cumulative.last?.ticks != ticks { cumulative.append((seen.time, ticks, empty)) }
        while cumulative.count > 2, seen.time - cumulative[1].time > thresholds.emptyWindow { cumulative.removeFirst() }
        guard let first = cumulative.first, ticks - first.ticks >= 60, seen.time - first.time > 300 else { return }
        let count = Double(ticks - first.ticks)
        let share = Double(empty - first.empty) / count
        let usual = emptyHistory.count >= 30 ? Robust.median(emptyHistory.suffix(360))! : nil
        guard let usual else {
            emptyHistory.append(share)
            return
        }
        let expected = max(usual, 0.005)
        let score = (share - expected) / (expected * (1 - expected) * 1.5 / count).squareRoot()
        let rise = (share - usual) * 100
        if score > thresholds.emptyScore, rise > thresholds.emptyRise {
            raise(
                .qualityDrop, onset: seen.time - 300, at: seen.time, magnitude: share * 100,
                "\((share * 1000).rounded() / 10) % of ticks empty, usual \((usual * 1000).rounded() / 10) %")
        } else if rise < thresholds.emptyRise * 0.5 {
            close(.qualityDrop, at: seen.time)
        }
        if open[.qualityDrop] == nil {
            emptyHistory.append(share)
            if emptyHistory.count > 480 { emptyHistory.removeFirst() }
        }
    }

    private mutating func judgePrice(_ seen: Observation) {
        guard let price = seen.price, price > 0 else { return }
        if let last = prices.last, last.log == log(price) {
            if seen.time - last.time < 600 { return }
        }
        prices.append((seen.time, log(price)))
        if prices.count > 100 { prices.removeFirst() }
        let window = prices.filter { seen.time - $0.time <= thresholds.priceWindow }
        let steps = zip(prices, prices.dropFirst()).map { $1.log - $0.log }
        guard steps.count >= 12, let spread = Robust.spread(steps), seen.time > quietUntil else { return }
        let change = window.map { log(price) - $0.log }.max { abs($0) < abs($1) } ?? 0
        let sigma = spread * (thresholds.priceWindow / 300).squareRoot()
        if abs(exp(change) - 1) > thresholds.priceChange, abs(change) > thresholds.priceScore * sigma {
            raise(
                .priceShock, onset: prices.dropLast().last?.time ?? seen.time, at: seen.time,
                magnitude: exp(change) - 1, "price \(exp(change) > 1 ? "up" : "down") to \(price)")
            close(.priceShock, at: seen.time)
            quietUntil = seen.time + thresholds.priceWindow + 300
        }
    }
}

extension Severity {
    /// By the size of what was measured, in the kind's unit.
    public init(_ kind: IncidentKind, _ magnitude: Double) {
        let (moderate, severe): (Double, Double) =
            switch kind {
            case .stall: (600, 1800)
            case .slowTicks: (2.2, 3)
            case .qualityDrop: (18, 35)
            case .midEpochJump: (1200, 7200)
            case .staleSource: (1800, 7200)
            case .badData: (10, 30)
            case .priceShock: (0.18, 0.3)
            }
        let size = abs(magnitude)
        self = size >= severe ? .severe : size >= moderate ? .moderate : .minor
    }
}
