import Foundation
import QDashboard
import Runtime
import Testing

private let thursday = EpochCalendar.start(of: 232).addingTimeInterval(86_400)

/// The newest tick of a steady network: half a tick a second, with a little noise.
private func tick(_ minute: Int) -> Int { 81_000_000 + 30 * minute + minute % 7 }

/// Polls each minute of a steady network, of which one tick in fifty is empty.
private func steady(_ minutes: Range<Int>, from start: Date = thursday) -> [Snapshot] {
    minutes.map { minute in
        var snapshot = Snapshot(kind: .latestStats)
        (snapshot.observedAt, snapshot.epoch, snapshot.tick) = (start + Double(60 * minute), 232, tick(minute))
        snapshot.ticksInEpoch = 43_200 + 30 * minute + minute % 7
        snapshot.emptyTicksInEpoch = snapshot.ticksInEpoch! / 50
        snapshot.priceUSD = 1e-6 * (1 + 0.001 * sin(Double(minute) / 50))
        return snapshot
    }
}

/// What is ahead after these polls.
private func lookAhead(_ polls: [Snapshot], _ seconds: Double...) throws -> JSONValue {
    var history = FactHistory()
    for (line, poll) in polls.enumerated() { history.add(poll, origin: .init(file: "a", line: line + 1)) }
    let horizons = try #require(Horizons(seconds))
    return try #require(history.facts.ahead(horizons))
}

@Suite struct HorizonTests {
    static let quantities = ["tick", "ticksInEpoch", "qualityPercent", "priceUSD"]

    @Test func aSteadyDay() throws {
        let ahead = try lookAhead(steady(0..<1441), 86_400, 3600, 21_600)
        #expect(ahead["secondsToEpochEnd"]?.double == 432_000.0)
        #expect(ahead["epochEndsAt"]?.string == Timestamp.text(EpochCalendar.start(of: 233)))
        let entries = try #require(ahead["horizons"]?.array)
        #expect(entries.map { $0["seconds"]?.int } == [3600, 21_600, 86_400])
        for (entry, (minutes, tolerance)) in zip(entries, [(60, 60), (360, 200), (1440, 600)] as [(Int, Double)]) {
            let then = thursday + Double(60 * (1440 + minutes))
            #expect(entry["at"]?.string == Timestamp.text(then) && entry["epochEndsBefore"]?.bool == false)
            for name in Self.quantities {
                let forecast = try #require(entry[name])
                let value = try #require(forecast["value"]?.double)
                func bounds(_ key: String) -> [Double] { (forecast[key]?.array ?? []).compactMap { $0.double } }
                let (narrow, wide) = (bounds("interval80"), bounds("interval95"))
                try #require(narrow.count == 2 && wide.count == 2)
                #expect(wide[0] <= narrow[0] && narrow[1] <= wide[1], "\(name) in \(minutes) min: \(forecast)")
                #expect(narrow[0] <= value && value <= narrow[1], "\(name) in \(minutes) min: \(forecast)")
                #expect(forecast["method"]?.string != nil)
            }
            let expected = Double(tick(1440 + minutes))
            let newest = try #require(entry["tick"]?["value"]?.int)
            #expect(abs(Double(newest) - expected) <= tolerance, "\(newest), not \(expected)")
            let counted = try #require(entry["ticksInEpoch"]?["value"]?.int)
            #expect(abs(Double(counted) - (expected - 81_000_000 + 43_200)) <= tolerance)
            let quality = try #require(entry["qualityPercent"]?["value"]?.double)
            #expect(abs(quality - 98) < 0.1 && entry["qualityPercent"]?["method"]?.string == "mixture")
            let price = try #require(entry["priceUSD"]?["value"]?.double)
            #expect(abs(price / 1e-6 - 1) < 0.01)
        }
    }

    /// The forecast begins now, and not at the last of the five-minute steps.
    @Test(arguments: [1441, 1442, 1443, 1444, 1445])
    func fromNow(count: Int) throws {
        let entry = try #require(try lookAhead(steady(0..<count), 3600)["horizons"]?.array?.first)
        let newest = try #require(entry["tick"]?["value"]?.int)
        #expect(abs(newest - tick(count - 1 + 60)) <= 60, "\(newest), not \(tick(count - 1 + 60))")
    }

    /// Past its end an epoch has no ticks and no quality, and the next one's numbers begin anywhere.
    @Test func pastTheEpochsEnd() throws {
        // The day that ends an hour and a half before the epoch does.
        let start = EpochCalendar.start(of: 233) - 5400 - 86_400
        let ahead = try lookAhead(steady(0..<1441, from: start), 3600, 5400, 604_800)
        #expect(ahead["secondsToEpochEnd"]?.double == 5400)
        let entries = try #require(ahead["horizons"]?.array)
        #expect(entries.map { $0["epochEndsBefore"]?.bool } == [false, true, true])
        for name in Self.quantities {
            for (entry, isGiven) in zip(entries, [true, name == "priceUSD", name == "priceUSD"]) {
                #expect((entry[name]?["value"]?.double != nil) == isGiven, "\(name)")
                #expect(entry[name]?.isNull == !isGiven, "\(name)")
            }
        }
    }

    /// While a transition lasts the old epoch is still served: it has ended all the same.
    @Test func anEpochThatIsOver() throws {
        let start = EpochCalendar.start(of: 233) + 600 - 86_400
        let entry = try #require(try lookAhead(steady(0..<1441, from: start), 3600)["horizons"]?.array?.first)
        #expect(entry["epochEndsBefore"]?.bool == false)
        #expect(entry["tick"]?.isNull == true && entry["qualityPercent"]?.isNull == true)
        #expect(entry["priceUSD"]?["value"]?.double != nil)
    }

    /// What a source that fell silent would have said is not made up.
    @Test func aSilentSource() throws {
        let live = (1441..<1520).map { minute in
            var poll = Snapshot(kind: .tickInfo)
            (poll.observedAt, poll.epoch, poll.tick) = (thursday + Double(60 * minute), 232, tick(minute))
            return poll
        }
        let entry = try #require(try lookAhead(steady(0..<1441) + live, 3600)["horizons"]?.array?.first)
        let newest = try #require(entry["tick"]?["value"]?.int)
        #expect(abs(newest - tick(1519 + 60)) <= 60)
        for name in Self.quantities.dropFirst() { #expect(entry[name]?.isNull == true, "\(name)") }
    }

    @Test func tooLittleSeen() throws {
        let entry = try #require(try lookAhead(steady(0..<60), 3600)["horizons"]?.array?.first)
        for name in Self.quantities { #expect(entry[name]?.isNull == true, "\(name)") }
    }

    /// A recording was read for the one, and the other brings what was computed elsewhere.
    @Test func onlyOfRecordings() throws {
        let horizons = try #require(Horizons([3600]))
        let own = try TaskRequestTests.request(#","task":"prediction","facts":{"tick":5,"forecastTick1h":3600}"#)
        #expect(own.facts != nil && own.facts?.ahead(horizons)?.object == nil)
        #expect(Facts(timeline(steady(0..<60))).ahead(horizons)?.object == nil)
        // What is ahead is no fact.
        var history = FactHistory()
        for poll in steady(0..<60) { history.add(poll, origin: .init(file: "a", line: 1)) }
        var merged = Facts()
        merged.merge(history.facts)
        #expect(merged == history.facts && merged.ahead(horizons)?.object == nil)
    }

    @Test(
        arguments: [
            [], [0], [299], [301], [-300], [450], [604_801], [605_100], [.nan], [.infinity], [300, 600, 300],
        ] as [[Double]])
    func noHorizons(seconds: [Double]) { #expect(Horizons(seconds) == nil) }

    @Test func nearestFirst() { #expect(Horizons([604_800, 300, 3600])?.seconds == [300, 3600, 604_800]) }
}
