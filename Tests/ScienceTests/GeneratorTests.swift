import Foundation
import Science
import Testing

let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

func generator(seed: UInt64 = 1, days: Double = 2) throws -> Generator {
    let anchors = try EpochAnchor.read(repository.appending(path: "Datasets/recorded/epochs_104_231.jsonl"))
    return Generator(anchors: anchors, settings: SyntheticSettings(seed: seed, days: days))
}

@Suite struct GeneratorTests {
    @Test func sameSeedSameSegment() throws {
        let a = try generator(days: 0.5).segment(epoch: 176, split: .test)
        let b = try generator(days: 0.5).segment(epoch: 176, split: .test)
        let c = try generator(seed: 2, days: 0.5).segment(epoch: 176, split: .test)
        #expect(a.observations == b.observations && a.incidents == b.incidents)
        #expect(a.observations != c.observations)
    }

    /// No two segments touch the same epoch, so no split sees another's.
    @Test func splitsShareNoEpoch() throws {
        let plan = try generator().plan
        var owner: [Int: Segment.Split] = [:]
        for (epoch, split) in plan {
            for seen in [epoch - 1, epoch] {
                #expect(owner[seen] == nil, "epoch \(seen)")
                owner[seen] = split
            }
        }
        #expect(Set(plan.map(\.split)) == Set(Segment.Split.allCases))
    }

    /// Outside of bad data, stale sources and error bodies the invariants hold.
    @Test func normalBodiesKeepTheInvariants() throws {
        let segment = try generator(days: 1).segment(epoch: 200, split: .train)
        var previous: [Observation.Source: Observation] = [:]
        for seen in segment.observations where seen.failure == nil {
            let spoiled = segment.incidents.contains {
                ($0.kind == .badData || $0.kind == .staleSource) && $0.onset - 70 <= seen.time
                    && seen.time <= $0.end + 70
            }
            guard !spoiled else { continue }
            #expect(seen.violations(after: previous[seen.source]) == [])
            previous[seen.source] = seen
        }
    }

    @Test func anchorsThatCannotBeRead() throws {
        #expect(throws: ScienceError.self) { try EpochAnchor.read(URL(fileURLWithPath: "/nonexistent")) }
    }
}
