import Foundation
import Science
import Testing

/// The network's own incidents. Epoch, tick and pace are real; the minutes around a stuck tick were never recorded, so
/// they are laid evenly at the epoch's real pace, and a stall of unknown length is taken for ten minutes.
@Suite struct RealIncidentTests {
    static let incidents = (try? RealIncident.read(repository.appending(path: "Datasets/incidents.jsonl"))) ?? []

    @Test func allAreThere() { #expect(Self.incidents.count == 12) }

    @Test(arguments: incidents)
    func found(real: RealIncident) throws {
        let anchors = try generator().anchors
        switch real.kind {
        case .stall, .staleSource:
            let polls = try #require(real.polls(anchors))
            let alarms = Detector.alarms(in: polls.observations)
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
}
