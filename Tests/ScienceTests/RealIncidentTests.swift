import Foundation
import Science
import Testing

/// The network's own incidents. Epoch, tick and pace are real; the minutes around a stuck tick were never recorded, so
/// they are laid evenly at the epoch's real pace, and a stall of unknown length is taken for ten minutes.
@Suite struct RealIncidentTests {
    struct Real: Decodable, Sendable {
        var kind: IncidentKind
        var epoch: Int
        var tick: Int?
        var seconds: Double?
    }

    static let incidents: [Real] = {
        let file = repository.appending(path: "Datasets/incidents.jsonl")
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").compactMap { try? JSONDecoder().decode(Real.self, from: Data($0.utf8)) }
    }()

    @Test func allAreThere() { #expect(Self.incidents.count == 12) }

    @Test(arguments: incidents)
    func found(real: Real) throws {
        let anchors = try generator().anchors
        switch real.kind {
        case .stall, .staleSource:
            let polls = Self.polls(real, anchors)
            let alarms = Detector.alarms(in: polls)
            #expect(alarms.map(\.kind) == [real.kind], "\(alarms)")
        default:
            let found = EpochReview.incidents(in: anchors)
            #expect(found.contains { $0.epoch == real.epoch && $0.incident.kind == real.kind })
        }
    }

    /// The table holds four more epochs with two runs of tick numbers than the notes name, two more slow weeks (172, 213)
    /// and one more week of a great price move (173, +38 %).
    @Test func weeklyTableAsAWhole() throws {
        let found = EpochReview.incidents(in: try generator().anchors)
        func epochs(_ kind: IncidentKind) -> [Int] { found.filter { $0.incident.kind == kind }.map(\.epoch) }

        #expect(epochs(.midEpochJump) == [109, 111, 128, 131, 132, 168, 217, 218])
        #expect(epochs(.slowTicks) == [172, 176, 213])
        #expect(epochs(.priceShock) == [173, 195, 206])
    }

    static func polls(_ real: Real, _ anchors: [EpochAnchor]) -> [Observation] {
        let anchor = anchors.first { $0.epoch == real.epoch } ?? anchors[anchors.count - 2]
        let pace = anchor.secondsPerTick ?? 0.5
        let stuck = real.tick ?? 83_500_000
        let initial = real.tick == nil ? stuck - 600_000 : anchor.initialTick
        let begin = EpochCalendar.start(of: real.epoch)
        // Evenly through the week; the stall begins when the tick's turn has come.
        let onset = begin + Double(stuck - initial) * pace
        let length = real.seconds ?? 600
        let from = max(begin, onset - 3 * 3600)
        return stride(from: from, to: onset + length + 3600, by: 60).flatMap { time -> [Observation] in
            let stale = real.kind == .staleSource
            func tick(_ stands: Bool) -> Int {
                let ran = stands ? min(time, onset) + max(0, time - onset - length) : time
                let caughtUp = stale && stands && time > onset + length ? length : 0
                return initial + Int((ran + caughtUp - begin) / pace)
            }
            var live = Observation(source: .live, time: time)
            (live.tick, live.epoch, live.initialTick) = (tick(true), real.epoch, initial)
            live.sinceLastTick = onset < time && time < onset + length ? min(65_535, Int(time - onset)) : 0
            var archive = Observation(source: .statistics, time: time + 0.4)
            (archive.tick, archive.epoch, archive.reportedAt) = (tick(!stale), real.epoch, time)
            return [live, archive]
        }
    }
}
