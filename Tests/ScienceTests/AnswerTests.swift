import Foundation
import Science
import Testing

@Suite struct AnswerTests {
    /// In the midst of each injected incident of a segment, long enough under way, the answer names its kind.
    @Test func anomalyOfEachKind() throws {
        let segment = try generator().segment(epoch: 200, split: .train)
        #expect(!segment.incidents.isEmpty)
        for incident in segment.incidents {
            let now = max(incident.end, incident.onset + 600)
            let answer = AnomalyAnswer(observations: segment.observations.filter { $0.time <= now })
            #expect(answer.kind == incident.kind, "\(incident)")
        }
        let quiet = segment.observations.filter { $0.time < EpochCalendar.start(of: 200) + 3000 }
        let answer = AnomalyAnswer(observations: quiet)
        #expect(!answer.anomaly || segment.incidents.contains { $0.kind == answer.kind })
    }

    @Test func prediction() throws {
        let segment = try generator().segment(epoch: 200, split: .train)
        let answer = try #require(PredictionAnswer(observations: segment.observations))
        #expect(answer.quantities.count == 4)
        for quantity in answer.quantities {
            #expect(quantity.low95 <= quantity.low80 && quantity.low80 <= quantity.value)
            #expect(quantity.value <= quantity.high80 && quantity.high80 <= quantity.high95)
        }
        #expect(abs(answer.secondsToEpochEnd - 5 * 86_400) < 120)
        let again = try JSONDecoder().decode(PredictionAnswer.self, from: JSONEncoder().encode(answer))
        #expect(again == answer)
    }

    @Test func nothingSeen() {
        #expect(PredictionAnswer(observations: []) == nil)
        #expect(!AnomalyAnswer(observations: []).anomaly)
        #expect(RiskAnswer(anomaly: AnomalyAnswer(observations: [])).risk == .low)
    }
}
