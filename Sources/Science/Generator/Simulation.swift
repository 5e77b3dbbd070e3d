import Foundation

/// The network and its recorder through one segment, in steps of five seconds.
struct Simulation {
    private let anchor: EpochAnchor
    private let settings: SyntheticSettings
    private let schedule: Schedule
    private let start: Double
    private var random: SeededRandom

    private var time: Double
    private var epoch: Int
    private var secondsPerTick: Double
    private var tick: Int
    private var initialTick: Int
    private var ticksInEpoch: Int
    private var emptyTicks: Int
    private var fraction = 0.0
    private var lastTickAt: Double
    /// Logarithms of pace and of the share of empty ticks, and of the price: mean-reverting, and a random walk.
    private var paceSlow = 0.0
    private var paceFast = 0.0
    private var emptyDrift = 0.0
    private let emptyBase: Double
    private var logPrice: Double
    private let weeklyVolatility: Double
    private var shownPrice: Double
    private var burned: Int
    private var addresses: Int
    private var jumped = Set<Int>()

    init(anchor: EpochAnchor, before: EpochAnchor, settings: SyntheticSettings, money: Money) {
        self.anchor = anchor
        self.settings = settings
        random = SeededRandom(seed: settings.seed, stream: UInt64(anchor.epoch))
        schedule = Schedule(anchor: anchor, settings: settings, random: &random)
        start = EpochCalendar.start(of: anchor.epoch)
        time = start - settings.leadHours * 3600
        epoch = anchor.epoch - 1
        secondsPerTick = before.secondsPerTick ?? anchor.secondsPerTick ?? 1
        let lead = Int(settings.leadHours * 3600 / secondsPerTick * 1.2)
        tick = before.lastTick - lead
        initialTick = before.initialTick
        ticksInEpoch = max(1000, before.ticks - lead)
        emptyBase = random.uniform(0.014, 0.027)
        emptyTicks = Int(Double(ticksInEpoch) * emptyBase)
        lastTickAt = time
        logPrice = log(money.price)
        weeklyVolatility = random.uniform(0.06, 0.2)
        shownPrice = money.price
        burned = money.burned
        addresses = money.addresses
    }

    mutating func run(split: Segment.Split) -> Segment {
        var observations: [Observation] = []
        var qualities: [(time: Double, epoch: Int, percent: Double)] = []
        let end = start + settings.days * 86_400
        var nextPoll = time
        var scraped = statistics()
        var nextScrape = time
        var frozen: [Int: Observation] = [:]
        while time < end {
            step(5)
            if time >= nextScrape {
                scraped = statistics()
                nextScrape += 60
            }
            guard time >= nextPoll else { continue }
            nextPoll += settings.pollSeconds + random.uniform(-1, 1)
            let live = self.live()
            qualities.append((time, epoch, 100 * Double(ticksInEpoch - emptyTicks) / Double(ticksInEpoch)))
            var pair = [live, scraped]
            pair[1].time = time + 0.4
            spoil(&pair, frozen: &frozen)
            if let fault = schedule.negatives.first(where: {
                $0.start <= time && time < $0.end && $0.kind.isPollingFault
            }) {
                if fault.kind == .missingPolls { continue }
                for i in pair.indices { pair[i] = Self.error(pair[i], behind: 100 + random.below(9000)) }
            }
            observations += pair
        }
        return Segment(
            epoch: anchor.epoch, split: split, observations: observations, incidents: schedule.incidents,
            negatives: schedule.negatives, qualities: qualities)
    }

    // MARK: The network

    private func active(_ kind: IncidentKind) -> (index: Int, incident: Incident)? {
        for (index, incident) in schedule.incidents.enumerated()
        where incident.kind == kind && incident.onset <= time && time < incident.end { return (index, incident) }
        return nil
    }

    private mutating func step(_ seconds: Double) {
        time += seconds
        if epoch < anchor.epoch, time >= start + schedule.downtime { beginEpoch() }
        paceSlow += -paceSlow * seconds / 7200 + 0.04 * sqrt(2 * seconds / 7200) * random.normal()
        paceFast += -paceFast * seconds / 60 + 0.06 * sqrt(2 * seconds / 60) * random.normal()
        emptyDrift += -emptyDrift * seconds / 10_800 + 0.2 * sqrt(2 * seconds / 10_800) * random.normal()
        movePrice(seconds)
        for (index, incident) in schedule.incidents.enumerated()
        where incident.kind == .midEpochJump && incident.onset <= time && jumped.insert(index).inserted {
            tick += Int(incident.magnitude / secondsPerTick)
            initialTick = tick
        }
        if random.chance(seconds / 10_000) { addresses += random.below(220) - 30 }
        if random.chance(seconds / 3000) { burned += 1_000_000 * (1 + random.below(900)) }
        guard active(.stall) == nil, !(time >= start && epoch < anchor.epoch) else { return }
        let slower = active(.slowTicks)?.incident.magnitude ?? 1
        fraction += seconds / (secondsPerTick * slower) * exp(paceSlow + paceFast)
        let new = Int(fraction)
        fraction -= Double(new)
        guard new > 0 else { return }
        let fade = epoch == anchor.epoch ? schedule.slowStart * exp(-(time - start) / 43_200) : 0
        let drop = (active(.qualityDrop)?.incident.magnitude ?? 0) / 100
        let empty = min(0.95, max(emptyBase * exp(emptyDrift) + fade, drop))
        for _ in 0..<new where random.chance(empty) { emptyTicks += 1 }
        tick += new
        ticksInEpoch += new
        lastTickAt = time - fraction * secondsPerTick * slower
    }

    private mutating func beginEpoch() {
        epoch = anchor.epoch
        secondsPerTick = (anchor.secondsPerTick ?? secondsPerTick) * 0.99
        tick = anchor.seamless ? tick + 1 : max(anchor.initialTick, tick + 1)
        initialTick = tick
        ticksInEpoch = 1
        emptyTicks = 0
        lastTickAt = time
    }

    private mutating func movePrice(_ seconds: Double) {
        let sigma = weeklyVolatility * sqrt(seconds / EpochCalendar.week)
        logPrice += sigma * random.normal() * (random.chance(0.01) ? 3 : 1)
        if let shock = active(.priceShock)?.incident {
            logPrice += log(1 + shock.magnitude) * min(1, seconds / max(seconds, shock.end - shock.onset))
        }
        // The price source is asked every five minutes.
        if Int(time / 300) != Int((time - seconds) / 300) { shownPrice = Double(Float(exp(logPrice))) }
    }

    // MARK: What is served

    private func live() -> Observation {
        var seen = Observation(source: .live, time: time)
        seen.tick = tick
        seen.epoch = epoch
        seen.initialTick = initialTick
        seen.sinceLastTick = min(65_535, max(0, Int(time - lastTickAt)))
        return seen
    }

    private func statistics() -> Observation {
        var seen = Observation(source: .statistics, time: time)
        seen.reportedAt = time.rounded(.down)
        seen.tick = tick
        seen.epoch = epoch
        seen.ticksInEpoch = ticksInEpoch
        seen.emptyTicksInEpoch = emptyTicks
        seen.quality = Double(ticksInEpoch - emptyTicks) / Double(ticksInEpoch) * 100
        seen.price = shownPrice
        let supply = epoch * 1_000_000_000_000 - burned
        seen.supply = supply
        seen.burned = burned
        seen.marketCap = (shownPrice * Double(supply)).rounded(.down)
        seen.activeAddresses = addresses
        return seen
    }

    private mutating func spoil(_ pair: inout [Observation], frozen: inout [Int: Observation]) {
        if let (index, incident) = active(.staleSource) {
            // One source stands, the other goes on; which one, and whether its duration grows, hangs on the incident.
            let which = Int(incident.onset) % 3 == 0 ? 1 : 0
            let held = frozen[index] ?? pair[which]
            frozen[index] = held
            let now = pair[which].time
            pair[which] = held
            pair[which].time = now
            if which == 0, Int(incident.onset) % 3 == 1 {
                pair[0].sinceLastTick = min(65_535, (held.sinceLastTick ?? 0) + Int(now - held.time))
            }
        }
        if let (_, incident) = active(.badData) {
            switch Int(incident.onset) % 6 {
            case 0:
                pair[1].quality = pair[1].quality.map { $0 / 100 }
                pair[1].price = 0
                pair[1].marketCap = 0
            case 1: pair[1].quality = -pair[1].quality!
            case 2: pair[1].price = 1e30
            case 3: pair[0].tick! -= 50_000 + random.below(50_000)
            case 4: for i in pair.indices { pair[i].epoch! += 50 }
            default: pair[1].burned! += 7_000_000_000
            }
        }
    }

    private static func error(_ seen: Observation, behind ticks: Int) -> Observation {
        var failed = Observation(source: seen.source, time: seen.time)
        failed.failure = "processor is behind node by \(ticks) ticks"
        return failed
    }
}

extension Segment.HardNegative.Kind {
    var isPollingFault: Bool { self == .missingPolls || self == .errorBodies }
}
