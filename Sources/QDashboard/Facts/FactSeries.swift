import Foundation

/// What one point says, in plain numbers: what the facts' windows are cut from. Times in seconds since 1970.
struct FactSample: Sendable {
    var at: Double
    var measuredAt: Double
    var lastAt: Double
    /// Which of the sources.
    var source: Int
    var epoch, tick, secondsSinceLastTick, ticksInEpoch, emptyTicks, activeAddresses, supply, burned: Int?
    var quality, last10000Quality, price: Double?
}

/// A timeline as columns, grown point by point, so that the facts of tens of thousands of moments cost no more than their
/// windows. Points that break an invariant, and failures, are polls only.
struct FactSeries: Sendable {
    /// In order of `at`.
    private(set) var samples: [FactSample] = []
    /// Rises only: the newest tick over all sources, each with the moment when it was first seen.
    private(set) var rises: [(at: Double, tick: Int, epoch: Int?)] = []
    private(set) var polls: [(lastAt: Double, count: Int, failed: Bool)] = []
    /// Source by source: its newest tick, since when it stands there, and when it last answered.
    private(set) var stands: [(tick: Int, since: Double, seen: Double)?] = []
    private(set) var grids = ForecastGrids()

    private var sources: [String: Int] = [:]
    /// Of each source: its newest sample and its newest poll.
    private var newest: [(sample: Int?, poll: Int?)] = []
    private var trimAt = 2 * 60_480

    init() {}

    init(_ points: [TimelinePoint]) {
        for point in points { append(point) }
    }

    mutating func append(_ point: TimelinePoint) {
        let source = sources[point.source] ?? sources.count
        if source == sources.count {
            sources[point.source] = source
            stands.append(nil)
            newest.append((nil, nil))
        }
        polls.append((point.lastAt.timeIntervalSince1970, point.polls, point.snapshot.failure != nil))
        newest[source] = (nil, polls.count - 1)
        guard point.snapshot.failure == nil, point.isSound else { return }
        let snapshot = point.snapshot
        let sample = FactSample(
            at: max(point.at.timeIntervalSince1970, samples.last?.at ?? -.infinity),
            measuredAt: point.measuredAt.timeIntervalSince1970, lastAt: point.lastAt.timeIntervalSince1970,
            source: source, epoch: snapshot.epoch, tick: snapshot.tick,
            secondsSinceLastTick: snapshot.secondsSinceLastTick, ticksInEpoch: snapshot.ticksInEpoch,
            emptyTicks: snapshot.emptyTicksInEpoch, activeAddresses: snapshot.activeAddresses,
            supply: snapshot.circulatingSupplyQus, burned: snapshot.burnedQus,
            quality: snapshot.epochTickQualityPercent, last10000Quality: snapshot.last10000TickQualityPercent,
            price: snapshot.priceUSD)
        samples.append(sample)
        newest[source].sample = samples.count - 1
        rise(sample)
        grids.add(sample)
        trim()
    }

    /// The newest answer of a source was seen again.
    mutating func extend(_ point: TimelinePoint) {
        guard let source = sources[point.source] else { return }
        let (sample, poll) = newest[source]
        let seen = point.lastAt.timeIntervalSince1970
        if let poll {
            polls[poll].lastAt = seen
            polls[poll].count = point.polls
        }
        guard let sample else { return }
        samples[sample].lastAt = seen
        stands[source]?.seen = seen
        grids.pass(seen)
    }

    private mutating func rise(_ sample: FactSample) {
        guard let tick = sample.tick else { return }
        // A tick from an epoch that has not begun cannot be the newest one: one such record must not hide all after it.
        if let epoch = sample.epoch,
            epoch > EpochCalendar.epoch(at: Date(timeIntervalSince1970: sample.at + Invariants.clockTolerance))
        {
            return
        }
        if let stand = stands[sample.source], stand.tick == tick {
            stands[sample.source]?.seen = sample.lastAt
        } else {
            stands[sample.source] = (tick, sample.at, sample.lastAt)
        }
        if let last = rises.last, tick <= last.tick { return }
        rises.append((sample.at, tick, sample.epoch))
    }

    /// Gives up what is older than any fact looks at; now and then only, since it moves all that stays.
    private mutating func trim() {
        guard samples.count + polls.count + rises.count > 3 * trimAt, let now = samples.last?.at else { return }
        let from = now - FactContext.span
        let oldSamples = samples.prefix { $0.at < from }.count
        let oldPolls = polls.prefix { $0.lastAt < from }.count
        samples.removeFirst(oldSamples)
        polls.removeFirst(oldPolls)
        rises.removeFirst(min(rises.prefix { $0.at < from }.count, max(rises.count - 1, 0)))
        for source in newest.indices {
            newest[source].sample = newest[source].sample.flatMap { $0 < oldSamples ? nil : $0 - oldSamples }
            newest[source].poll = newest[source].poll.flatMap { $0 < oldPolls ? nil : $0 - oldPolls }
        }
        trimAt = max(2 * 60_480, samples.count)
    }
}

/// Evenly spaced series that forecasts are made from: the last value at or before each instant.
struct ForecastGrids: Sendable {
    static let step = 300.0

    /// Of the current epoch.
    private(set) var tick = Grid()
    private(set) var ticksInEpoch = Grid()
    private(set) var emptyTicks = Grid()
    /// Over epochs.
    private(set) var price = Grid()
    /// As last served.
    private(set) var epoch: Int?

    mutating func add(_ sample: FactSample) {
        if let its = sample.epoch, its != epoch {
            // An archive lags at a transition: what it still says of the epoch before is over.
            if let epoch, its < epoch { return }
            epoch = its
            (tick, ticksInEpoch, emptyTicks) = (Grid(), Grid(), Grid())
        }
        if let value = sample.tick, Double(value) >= tick.last ?? 0 { tick.add(sample.at, Double(value)) }
        if let ticks = sample.ticksInEpoch, let empty = sample.emptyTicks {
            ticksInEpoch.add(sample.at, Double(ticks))
            emptyTicks.add(sample.at, Double(empty))
        }
        if let value = sample.price, value > 0 { price.add(sample.at, value) }
    }

    /// Time passes, and all stays as it was.
    mutating func pass(_ time: Double) {
        tick.pass(time)
        ticksInEpoch.pass(time)
        emptyTicks.pass(time)
        price.pass(time)
    }

    struct Grid: Sendable {
        private(set) var values: [Double] = []
        private(set) var last: Double?
        private var next: Double?

        mutating func add(_ time: Double, _ value: Double) {
            if next == nil { next = time }
            pass(time)
            last = value
        }

        mutating func pass(_ time: Double) {
            guard let instant = next, let last, time > instant else { return }
            // Over a day without a word the series is another one.
            guard time - instant < 86_400 else {
                (values, next) = ([], time)
                return
            }
            var at = instant
            while time > at {
                values.append(last)
                at += ForecastGrids.step
            }
            next = at
            if values.count > 8064 { values.removeFirst(4032) }
        }

        /// The value at `time`, which no sample may be after, and those of each step before it, on lines between the
        /// grid's: the oldest first. Empty where nothing was heard for an hour.
        func steps(endingAt time: Double) -> [Double] {
            guard let next, time < next + 3600 else { return [] }
            var grid = self
            grid.pass(time)
            guard let newest = grid.last, let end = grid.next else { return [] }
            // How much of the step that is under way has passed.
            let part = 1 - (end - time) / ForecastGrids.step
            return zip(grid.values, grid.values.dropFirst()).map { $0 + part * ($1 - $0) } + [newest]
        }
    }
}
