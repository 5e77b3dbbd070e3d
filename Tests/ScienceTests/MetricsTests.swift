import Foundation
import Science
import Testing

/// Against scikit-learn, numpy and scipy (Tests/Fixtures/science/make_metrics.py).
@Suite struct MetricsTests {
    struct Golden: Decodable {
        var labels: [String]
        var probabilities: [[Double]]
        var truth, said: [Int]
        var accuracy, macroF1, ece, brier, temperature, maseOne, maseThree: Double
        var confusion: [[Int]]
        var series, actual, forecast: [Double]
    }

    let golden: Golden

    init() throws {
        golden = try JSONDecoder().decode(
            Golden.self, from: Data(contentsOf: repository.appending(path: "Tests/Fixtures/science/metrics.json")))
    }

    @Test func classification() throws {
        let score = Classification(
            labels: golden.labels, truth: golden.truth.map { golden.labels[$0] },
            said: golden.said.map { golden.labels[$0] })
        #expect(score.confusion == golden.confusion)
        #expect(abs(try #require(score.accuracy) - golden.accuracy) < 1e-12)
        #expect(abs(try #require(score.macroF1) - golden.macroF1) < 1e-12)
    }

    @Test func calibration() throws {
        let confidence = golden.probabilities.map { $0.max()! }
        let correct = zip(golden.truth, golden.said).map { $0 == $1 }
        #expect(abs(try #require(Calibration.error(confidence: confidence, correct: correct)) - golden.ece) < 1e-12)
        let brier = try #require(Calibration.brier(probabilities: golden.probabilities, truth: golden.truth))
        #expect(abs(brier - golden.brier) < 1e-12)
        let temperature = try #require(
            Calibration.temperature(probabilities: golden.probabilities, truth: golden.truth))
        // The loss is flat at its least: half the digits of a double are what a search can see.
        #expect(abs(temperature - golden.temperature) < 1e-6 * golden.temperature)
    }

    @Test func forecasts() throws {
        let (actual, forecast, series) = (golden.actual, golden.forecast, golden.series)
        let one = try #require(ForecastScore.mase(actual: actual, forecast: forecast, training: series))
        let three = try #require(ForecastScore.mase(actual: actual, forecast: forecast, training: series, horizon: 3))
        #expect(abs(one - golden.maseOne) < 1e-12 && abs(three - golden.maseThree) < 1e-12)
        #expect(ForecastScore.mase(actual: [1], forecast: [1], training: [2, 2]) == nil)
        let interval = Forecast.Interval(low: 0, high: 1)
        #expect(
            ForecastScore.coverage(actual: [0, 0.5, 1, 2], intervals: .init(repeating: interval, count: 4)) == 0.75)
    }

    /// Nothing measured is nil, never 0.
    @Test func nothing() {
        #expect(Classification(labels: ["a"], truth: [], said: []).accuracy == nil)
        #expect(Calibration.error(confidence: [], correct: []) == nil)
        #expect(ForecastScore.bootstrap(count: 1) { _ in 1 } == nil)
    }

    @Test func bootstrapOfAMean() throws {
        let samples = (0..<400).map { Double($0 % 2) }
        let interval = try #require(
            ForecastScore.bootstrap(count: 400) { $0.reduce(0) { $0 + samples[$1] } / Double($0.count) })
        // The normal approximation: 0.5 ± 1.96 · 0.5/√400.
        #expect(abs(interval.low - 0.451) < 0.006 && abs(interval.high - 0.549) < 0.006)
    }
}
