import Foundation
import Reporting
import Testing

private struct Goldens: Decodable {
    struct Descriptive: Decodable {
        var name: String
        var values: [Double]
        var mean, median: Double
        var percentiles: [String: Double]
        var mad, deviation: Double?
        var bootstrap: [Double]?
    }
    struct Test: Decodable {
        var name: String
        var first, second: [Double]
        var u, p: Double
    }
    struct Required: Decodable { var tenThousandths, misses, samples: Int }
    struct Wilson: Decodable {
        var successes, trials: Int
        var low, high: Double
    }
    var descriptive: [Descriptive]
    var scipyBootstrap: [Double]
    var mannWhitney: [Test]
    var required: [Required]
    var wilson: [Wilson]

    static let all: Goldens = {
        // A missing or broken golden must stop the tests, not skip them.
        try! JSONDecoder().decode(Goldens.self, from: Data(contentsOf: Fixture.url("statistics.json")))
    }()
}

/// Relative where the golden is not tiny.
private func near(_ a: Double?, _ b: Double?, _ tolerance: Double = 1e-12) -> Bool {
    guard let a, let b else { return a == nil && b == nil }
    return abs(a - b) <= tolerance * max(1e-300, abs(b)) || a == b
}

struct StatisticsTests {
    @Test func describesAsNumPyAndSciPyDo() {
        for golden in Goldens.all.descriptive {
            let x = golden.values
            let sorted = x.sorted()
            #expect(near(Statistics.mean(x), golden.mean), "\(golden.name)")
            #expect(near(Statistics.median(x), golden.median), "\(golden.name)")
            #expect(near(Statistics.medianAbsoluteDeviation(x), golden.mad, 1e-9), "\(golden.name)")
            #expect(near(Statistics.standardDeviation(x), golden.deviation, 1e-9), "\(golden.name)")
            for (name, value) in golden.percentiles {
                #expect(Percentile(name)?.value(ofSorted: sorted) == value, "\(golden.name) \(name)")
            }
        }
    }

    @Test func nothingHasNoStatistics() {
        #expect(Statistics.mean([]) == nil)
        #expect(Statistics.median([]) == nil)
        #expect(Statistics.medianAbsoluteDeviation([1]) == nil)
        #expect(Statistics.standardDeviation([1]) == nil)
        #expect(Percentile.p99.value(ofSorted: []) == nil)
        #expect(Distribution([]) == nil)
        #expect(Distribution([3])?.meanInterval == nil)
    }

    @Test func bootstrapDrawsAsTheScriptDoes() {
        var seen = 0
        for golden in Goldens.all.descriptive {
            guard let expected = golden.bootstrap else { continue }
            let got = Bootstrap(seed: 99, resamples: 200).interval(golden.values) { Statistics.mean($0)! }
            #expect(
                near(got?.low, expected[0]) && near(got?.high, expected[1]), "\(golden.name) \(String(describing: got))"
            )
            seen += 1
        }
        #expect(seen >= 4)
        // SciPy's own, with another generator: the ends agree within a tenth of the width.
        let x = Goldens.all.descriptive.first { $0.name == "normal" }!.values
        let got = Bootstrap(seed: 1, resamples: 5000).interval(x) { Statistics.mean($0)! }!
        let scipy = Goldens.all.scipyBootstrap
        let width = scipy[1] - scipy[0]
        #expect(abs(got.low - scipy[0]) < width / 10 && abs(got.high - scipy[1]) < width / 10)
    }

    @Test func samplesNeededForAPercentile() {
        #expect(Percentile.p90.requiredSamples() == 64)
        #expect(Percentile.p95.requiredSamples() == 130)
        #expect(Percentile.p99.requiredSamples() == 662)
        for golden in Goldens.all.required {
            let got = Percentile(tenThousandths: golden.tenThousandths).requiredSamples(misses: golden.misses)
            #expect(got == golden.samples, "\(golden)")
        }
        #expect(Distribution((0..<661).map(Double.init))?.p99 == nil)
        #expect(Distribution((0..<662).map(Double.init))?.p99 == 655)
    }

    @Test func upperBoundLeavesTheMissesThatTheSamplesAfford() {
        let numbers = (1...662).map(Double.init)
        #expect(Percentile.p99.upperBound(ofSorted: numbers) == 661)  // one miss
        #expect(Percentile.p99.upperBound(ofSorted: Array(numbers.prefix(661))) == nil)
        // With many samples it approaches the percentile from above.
        let many = (1...100_000).map(Double.init)
        let bound = Percentile.p99.upperBound(ofSorted: many)!
        #expect(bound > 99_000 && bound < 99_100)
    }

    @Test func percentileNames() {
        #expect(Percentile("p99")?.description == "p99")
        #expect(Percentile("p99.9")?.description == "p99.9")
        #expect(Percentile("p99.95")?.description == "p99.95")
        #expect(Percentile("p7.05")?.tenThousandths == 705)
        for bad in [
            "", "p", "99", "p100", "p0", "p-1", "p99.", "p99.999", "p٩٩", "p1e1", "P99", "p 9",
            "p999999999999999999999",
        ] {
            #expect(Percentile(bad) == nil, "\(bad)")
        }
        // 0.07·100 is 7.000000000000001 in floating point: the rank must still be 7.
        #expect(Percentile(tenThousandths: 700).value(ofSorted: (1...100).map(Double.init)) == 7)
    }

    @Test func mannWhitneyAsSciPy() {
        for golden in Goldens.all.mannWhitney {
            let got = MannWhitney(golden.first, golden.second)!
            #expect(got.u == golden.u, "\(golden.name)")
            #expect(near(got.p, golden.p, 1e-9), "\(golden.name): \(got.p) against \(golden.p)")
            #expect(MannWhitney(golden.second, golden.first)!.p == got.p, "\(golden.name)")
        }
        #expect(MannWhitney([], [1]) == nil)
        #expect(MannWhitney([1.1, 2.2], [3.3])!.method == .exact)
        #expect(MannWhitney([1.1, 2.2], [2.2])!.method == .asymptotic)
        #expect(near(MannWhitney.smallestP(4, 5), 2.0 / 126, 1e-10))
    }

    @Test func wilsonAsSciPy() {
        for golden in Goldens.all.wilson {
            let got = Proportion.interval(successes: golden.successes, trials: golden.trials)!
            #expect(abs(got.low - golden.low) < 1e-12 && abs(got.high - golden.high) < 1e-12, "\(golden) \(got)")
        }
        #expect(Proportion.interval(successes: 0, trials: 0) == nil)
    }
}

struct RegressionTests {
    private let test = RegressionTest(alpha: 0.01, smallestEffect: 0.05)
    private let base = (0..<60).map { 100 + Double($0 % 7) }
    private func scaled(_ factor: Double) -> [Double] { base.map { $0 * factor } }

    @Test func needsAllThreeConditions() {
        let slow = scaled(1.2)
        #expect(test.compare(baseline: base, candidate: slow, noise: 0.01, confirmation: slow).verdict == .regressed)
        #expect(test.compare(baseline: base, candidate: slow, noise: 0.01, confirmation: nil).verdict == .inconclusive)
        #expect(test.compare(baseline: base, candidate: slow, noise: 0.01, confirmation: base).verdict == .inconclusive)
        // A second run that is faster confirms no slowness.
        #expect(
            test.compare(baseline: base, candidate: slow, noise: 0.01, confirmation: scaled(0.8)).verdict
                == .inconclusive)
        #expect(test.compare(baseline: base, candidate: slow, noise: nil, confirmation: slow).verdict == .inconclusive)
        // Noise larger than the effect.
        #expect(test.compare(baseline: base, candidate: slow, noise: 0.5, confirmation: slow).verdict == .noChange)
        // Significant, but too small to matter.
        let little = test.compare(baseline: base, candidate: scaled(1.04), noise: 0.01, confirmation: scaled(1.04))
        #expect(little.verdict == .noChange && little.p! < 0.01)
        #expect(test.compare(baseline: base, candidate: base, noise: 0.01, confirmation: base).verdict == .noChange)
        #expect(
            test.compare(baseline: base, candidate: scaled(0.8), noise: 0.01, confirmation: scaled(0.8)).verdict
                == .improved)
    }

    @Test func fewSamplesAreInconclusive() {
        let few = test.compare(baseline: [1, 2], candidate: [10, 20], noise: 0.01, confirmation: [10, 20])
        #expect(few.verdict == .inconclusive && few.reason.contains("too few"))
        #expect(test.compare(baseline: [], candidate: [1], noise: 0, confirmation: nil).verdict == .inconclusive)
        #expect(test.compare(baseline: [0, 0], candidate: [1], noise: 0, confirmation: nil).effect == nil)
    }

    @Test func comparisonOfRuns() {
        let base = Fixture.results(noise: 0.01)
        var slow = Fixture.results(scale: 20, noise: 0.01)
        slow.tool.commit = "def"
        var again = slow
        again.startedAt = "2026-11-24T03:00:00Z"
        #expect(Comparison(baseline: base, candidate: slow).verdict == .inconclusive)
        let done = Comparison(baseline: base, candidate: slow, confirmation: again)
        #expect(done.verdict == .regressed)
        #expect(done.text().contains("verdict: regressed"))
        #expect(done.differences.contains { $0.contains("abc → def") })
        // The same file twice is no second run.
        #expect(Comparison(baseline: base, candidate: slow, confirmation: slow).verdict == .inconclusive)
        var other = slow
        other.machine.cpu = "Another"
        let apart = Comparison(baseline: base, candidate: other, confirmation: again)
        #expect(apart.verdict == .inconclusive && apart.obstacles.contains { $0.contains("processor") })
        #expect(Comparison(baseline: base, candidate: base).verdict == .noChange)
    }
}
