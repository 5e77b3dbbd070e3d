import Benchmark
import Foundation
import QDashboard
import Reporting
import Testing

@Suite struct TaskScoringTests {
    private static func answer(
        _ id: String, _ said: String, _ probabilities: [Double], language: String = "en", numbers: Int = 2,
        loose: Int = 0, detector: String? = nil
    ) -> TaskAnswer {
        var facts = Facts()
        if let detector {
            facts["detectorKind"] = .word(detector == "none" ? "none" : "stall")
            facts["detectorSeverity"] = .word(detector)
        }
        return TaskAnswer(
            id: id, task: "analysis", language: language,
            choices: [
                .init(
                    name: "sentiment", values: ["positive", "neutral", "negative"], probabilities: probabilities,
                    said: said)
            ], text: "Tick 1,234 at 97.3 %.",
            grounding: GroundingRecord(
                numbers: numbers, ungrounded: Array(repeating: "9", count: loose),
                first: loose > 0 ? .init(numbers: 4, ungrounded: 3) : nil),
            facts: facts)
    }

    private static let labels = TaskLabels([
        "a": .init(choices: ["sentiment": "positive"]),
        "b": .init(choices: ["sentiment": "negative"]),
        "c": .init(choices: ["sentiment": "negative"]), "d": .init(choices: ["sentiment": "positive"]),
    ])

    /// Figures worked out by hand; the measures themselves are held against scikit-learn elsewhere.
    @Test func figures() throws {
        let answers = [
            Self.answer("a", "positive", [0.8, 0.1, 0.1], detector: "none"),
            Self.answer("b", "negative", [0.2, 0.2, 0.6], detector: "minor"),
            Self.answer("c", "positive", [0.9, 0.1, 0], language: "zh"),
            Self.answer("d", "positive", [0.5, 0.3, 0.2], language: "zh", numbers: 0),
            Self.answer("e", "neutral", [0.3, 0.4, 0.3], loose: 1),
        ]
        let quality = TaskScoring.quality(
            [(("m", nil, "BF16"), answers)], labels: Self.labels, requests: answers.map { ($0.id, $0.facts) })
        #expect(quality.labelledRequests == 4 && quality.requests == 5)
        let choice = try #require(quality.models[0].choices.first)
        #expect(choice.count == 4 && choice.confusion == [[2, 0, 0], [0, 0, 0], [1, 0, 1]])
        #expect(choice.accuracy.value == 0.75)
        // F1: positive 4/5, negative 2/3; neutral neither occurs nor is said.
        let macroF1: Double = (0.8 + 2.0 / 3) / 2
        #expect(abs(choice.macroF1!.value - macroF1) < 1e-12)
        // ECE: |1−.8|, |1−.6|, |0−.9|, |1−.5|, a quarter each.
        let ece: Double = (0.2 + 0.4 + 0.9 + 0.5) / 4
        #expect(abs(choice.ece!.value - ece) < 1e-12)
        #expect(choice.languages["zh"]?.value == 0.5 && choice.languages["en"]?.value == 1)
        let interval = try #require(choice.accuracy.interval)
        #expect(interval.low < 0.75 && interval.high > 0.75)
        let base = try #require(quality.baselines.first)
        #expect(base.majority.value == 0.5 && base.detector?.value == 0.5 && base.detectorCount == 2)
        let grounding = try #require(quality.models[0].grounding.first)
        #expect(grounding.texts == 5 && grounding.numbers == 8 && grounding.groundedTexts == 4)
        #expect(grounding.rate?.value == 1 - 1.0 / 8 && grounding.regenerated == 1)
        #expect(grounding.freeRate?.value == 1 - 3.0 / 10)
        #expect(quality.measures.map(\.name) == ["label-accuracy", "grounding"])
        #expect(quality.measures[0].value == 0.75 && quality.measures[0].count == 4)
        // The same answers, the same intervals.
        let again = TaskScoring.quality(
            [(("m", nil, "BF16"), answers)], labels: Self.labels, requests: answers.map { ($0.id, $0.facts) })
        #expect(again == quality)
    }

    @Test func withoutLabels() {
        let quality = TaskScoring.quality(
            [(("m", nil, "BF16"), [Self.answer("a", "positive", [1, 0, 0])])], labels: TaskLabels(),
            requests: [("a", Facts())])
        #expect(quality.models[0].choices.isEmpty && quality.models[0].accuracy == nil)
        #expect(quality.measures.map(\.name) == ["grounding"])
    }

    @Test func forecasts() throws {
        func facts(_ forecast: Double, _ low: Double, _ high: Double, now: Double) -> Facts {
            var facts = Facts()
            facts["epochTickQualityPercent"] = .decimal(now)
            facts["forecastQuality6h"] = .decimal(forecast)
            facts["forecastQuality6hLow80"] = .decimal(low)
            facts["forecastQuality6hHigh80"] = .decimal(high)
            return facts
        }
        let labels = TaskLabels([
            "a": .init(changes: ["forecastQuality6h": 10]), "b": .init(changes: ["forecastQuality6h": 30]),
        ])
        let requests = [("a", facts(108, 105, 112, now: 100)), ("b", facts(220, 215, 225, now: 200))]
        let forecast = try #require(ForecastScoring.forecasts(requests, labels).first)
        // Errors 2 and 10 against 10 and 30.
        #expect(forecast.name == "forecastQuality6h" && forecast.count == 2)
        #expect(abs(forecast.mase!.value - 12.0 / 40) < 1e-12 && forecast.coverage?.value == 0.5)
    }

    @Test func askedFacts() {
        var facts = Facts()
        facts["tick"] = .integer(31_473_834)
        facts["secondsToEpochEnd"] = .decimal(7200)
        facts["priceDirection"] = .word("rising")
        func states(_ text: String, _ name: String) -> Bool {
            TaskScoring.states(
                TaskAnswer(
                    id: "x", task: "ask", language: "en", choices: [], text: text, grounding: nil, facts: facts), name)
        }
        #expect(states("It is 31,473,834.", "tick") && states("約 3147 萬", "tick"))
        #expect(states("It ends in 2 hours.", "secondsToEpochEnd") && states("The price is rising.", "priceDirection"))
        #expect(!states("It is 31,473,835.", "tick") && !states("I do not know.", "tick") && !states("5", "unknown"))
    }

    @Test func labelFiles() throws {
        func read(_ text: String) throws -> TaskLabels {
            let folder = FileManager.default.temporaryDirectory.appending(path: "labels-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            try Data(text.utf8).write(to: folder.appending(path: "requests.labels.jsonl"))
            return try TaskLabels(folder: folder.path)
        }
        let labels = try read(
            #"{"id":"a","labels":{"sentiment":"negative","severity":null},"kind":"stall","quality_change_6h":-0.5}"#
                + "\n\n" + #"{"kind":"stall","onset":"2026-01-01T00:00:00Z"}"# + "\n"
                + #"{"id":"b","labels":{"asked":["tick","healthScore"]},"quality_change_6h":null}"# + "\n")
        // The incident's own kind beside the labels is no label of the request.
        #expect(labels.byID["a"] == .init(choices: ["sentiment": "negative"], changes: ["forecastQuality6h": -0.5]))
        #expect(labels.byID["b"] == .init(asked: ["tick", "healthScore"]))
        for (text, word) in [
            ("{", "no JSON"), (#"{"sentiment":"positive"}"#, "no id"),
            (#"{"id":"a"}"# + "\n" + #"{"id":"a"}"#, "second time"), (#"{"id":"a","kind":5}"#, "kind is an integer"),
            (#"{"id":"a","labels":{"asked":[]}}"#, "asked"),
            (#"{"id":"a","quality_change_6h":"5"}"#, "quality_change_6h"),
        ] {
            #expect { try read(text) } throws: { "\($0)".contains(word) && "\($0)".contains(".labels.jsonl, line ") }
        }
    }
}
