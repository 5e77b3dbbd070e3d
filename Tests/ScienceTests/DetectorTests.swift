import Foundation
import Science
import Testing

@Suite struct DetectorTests {
    static func score(_ split: Segment.Split) throws -> DetectionScore {
        var score = DetectionScore()
        for segment in try generator().segments(split) {
            score.add(segment, alarms: Detector.alarms(in: segment.observations))
        }
        return score
    }

    static func show(_ name: String, _ score: DetectionScore) {
        print(
            "detector on \(name): precision \(score.precision ?? 0), recall \(score.recall ?? 0),",
            "on transitions \(score.transitionAlarms)")
        for kind in IncidentKind.allCases {
            print(
                " ", kind.rawValue, "found", score.found[kind] ?? 0, "missed", score.missed[kind] ?? 0, "true",
                score.trueAlarms[kind] ?? 0, "false", score.falseAlarms[kind] ?? 0)
        }
        if ProcessInfo.processInfo.environment["SHOW"] != nil {
            for miss in score.misses {
                print("  miss", miss.epoch, miss.incident, miss.incident.onset - EpochCalendar.start(of: miss.epoch))
            }
            for alarm in score.falses {
                print("  false", alarm.epoch, alarm.alarm, alarm.alarm.onset - EpochCalendar.start(of: alarm.epoch))
            }
        }
    }

    @Test(arguments: [Segment.Split.train, .test])
    func findsWhatWasInjected(split: Segment.Split) throws {
        let score = try Self.score(split)
        Self.show(split.rawValue, score)
        #expect(try #require(score.precision) >= 0.95)
        #expect(try #require(score.recall) >= 0.95)
        #expect(score.transitionAlarms == 0)
    }
}
