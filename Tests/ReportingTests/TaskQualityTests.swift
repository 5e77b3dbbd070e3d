import Foundation
import Reporting
import Testing

/// Answers against labels, in the file and in the reports.
struct TaskQualityTests {
    private func quality(_ name: String = "tiny") -> TaskQuality {
        func choice(_ confusion: [[Int]]) -> TaskQuality.Choice {
            TaskQuality.Choice(
                task: "anomaly", name: "kind", count: 10, labels: ["none", "stall"], confusion: confusion,
                accuracy: .init(0.8, Interval(low: 0.5, high: 0.95, confidence: 0.95)), macroF1: .init(0.79),
                ece: .init(0.04), brier: .init(0.3), bins: [.init(count: 10, confidence: 0.84, accuracy: 0.8)],
                languages: ["en": .init(0.75), "zh": .init(0.85)])
        }
        func answers(_ name: String, _ scheme: String, _ confusion: [[Int]]) -> TaskQuality.Answers {
            TaskQuality.Answers(
                model: name, digest: "d", scheme: scheme, choices: [choice(confusion)],
                grounding: [
                    .init(
                        task: "anomaly", texts: 10, numbers: 40, rate: .init(0.975), freeRate: .init(0.5),
                        groundedTexts: 9, regenerated: 3,
                        asked: nil, askedCount: 0)
                ], accuracy: .init(0.8), labelled: 10)
        }
        return TaskQuality(
            models: [answers(name, "int8", [[5, 1], [1, 3]]), answers("tiny-4", "int4", [[4, 2], [0, 4]])],
            baselines: [
                .init(task: "anomaly", name: "kind", majority: .init(0.6), detector: .init(0.9), detectorCount: 10)
            ],
            forecasts: [.init(name: "forecastQuality6h", count: 9, mase: .init(0.71), coverage: .init(0.8))],
            labelledRequests: 10, requests: 12)
    }

    private func results(_ quality: TaskQuality) throws -> BenchmarkResults {
        var results = Fixture.results(count: 12, targets: try KPIFile.read(Fixture.kpi))
        results.tasks = quality
        results.quality += quality.measures
        return results
    }

    @Test func readsBackAndIsJudged() throws {
        let results = try results(quality())
        #expect(try BenchmarkResults(json: results.json(), place: "r") == results)
        let verdicts = KPIEvaluation(results).results
        #expect(verdicts.first { $0.target.measure == "label-accuracy" }?.verdict == .fail)
        #expect(verdicts.first { $0.target.measure == "label-accuracy" }?.isAgreement == nil)
        #expect(verdicts.first { $0.target.measure == "grounding" }?.measured == 0.975)
        // Files from before have none.
        #expect(try BenchmarkResults(json: Fixture.results(count: 2).json(), place: "r").tasks == nil)
    }

    @Test func impossibleFiguresAreRefused() throws {
        func word(_ change: (inout TaskQuality) -> Void) throws -> String? {
            var quality = quality()
            change(&quality)
            let results = try results(quality)
            return failure { _ = try results.json() }
        }
        #expect(try word { $0.models[0].choices[0].confusion = [[5, 1], [1, 2]] }?.contains("confusion") == true)
        #expect(try word { $0.models[0].choices[0].confusion = [[5, 5]] }?.contains("confusion") == true)
        #expect(try word { $0.models[0].choices[0].accuracy = .init(1.2) }?.contains("accuracy") == true)
        #expect(try word { $0.models[0].choices[0].ece = .init(.nan) }?.contains("ece") == true)
        #expect(try word { $0.forecasts[0].mase = .init(-1) }?.contains("mase") == true)
        #expect(try word { _ in } == nil)
    }

    @Test func reportsShowAllOfIt() throws {
        let hostile = "</script><b>|"
        let results = try results(quality(hostile))
        let evaluation = KPIEvaluation(results)
        let page = try HTMLReport.html(results, evaluation, chartLibrary: "/* Chart.js v3.9.1 */")
        for text in [
            "reliability-0", "anomaly · kind", "majority", "detector alone", "tiny-4, int4", "forecastQuality6h",
            "80.0 %<span class=\"spread\">50.0 % – 95.0 %</span>", "97.5 %", "Numbers in the texts",
        ] { #expect(page.contains(text), "\(text)") }
        #expect(!page.contains("<b>|") && page.components(separatedBy: "</script").count == 4)
        let markdown = MarkdownReport.markdown(results, evaluation)
        for text in ["## Answers against labels", "| majority | 60.0 %", "## Forecasts", "| none | 5 | 1 |"] {
            #expect(markdown.contains(text), "\(text)")
        }
    }
}
