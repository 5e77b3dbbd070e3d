import Foundation

/// Plain statistics over finite samples. All are nil where they do not exist: nothing has a mean without samples, and one
/// sample has no spread.
public enum Statistics {
    /// The arithmetic mean, by compensated (Neumaier) summation.
    public static func mean(_ samples: [Double]) -> Double? {
        guard !samples.isEmpty else { return nil }
        var sum = 0.0
        var lost = 0.0
        for x in samples {
            let next = sum + x
            lost += abs(sum) >= abs(x) ? (sum - next) + x : (x - next) + sum
            sum = next
        }
        return (sum + lost) / Double(samples.count)
    }

    /// The middle sample, or the mean of the two middle ones. (`p50`, by nearest rank, is the lower of those two.)
    public static func median(_ samples: [Double]) -> Double? { median(ofSorted: samples.sorted()) }

    static func median(ofSorted sorted: [Double]) -> Double? {
        guard !sorted.isEmpty else { return nil }
        let middle = sorted.count / 2
        if sorted.count % 2 == 1 { return sorted[middle] }
        return sorted[middle - 1] + (sorted[middle] - sorted[middle - 1]) / 2
    }

    /// The median absolute deviation from the median, unscaled (a normal distribution's σ is about 1.4826 times it).
    /// Nil for fewer than two samples.
    public static func medianAbsoluteDeviation(_ samples: [Double]) -> Double? {
        guard samples.count > 1, let middle = median(samples) else { return nil }
        return median(samples.map { abs($0 - middle) })
    }

    /// The sample standard deviation, with n − 1. Nil for fewer than two samples.
    public static func standardDeviation(_ samples: [Double]) -> Double? {
        guard samples.count > 1, let average = mean(samples) else { return nil }
        let squares = mean(samples.map { ($0 - average) * ($0 - average) })!
        return (squares * Double(samples.count) / Double(samples.count - 1)).squareRoot()
    }
}

/// A range that holds the true value with the stated confidence.
public struct Interval: Sendable, Codable, Equatable {
    public var low: Double
    public var high: Double
    /// 0…1, e.g. 0.95.
    public var confidence: Double

    public init(low: Double, high: Double, confidence: Double) {
        self.low = low
        self.high = high
        self.confidence = confidence
    }
}

/// A share of successes, with its uncertainty.
public enum Proportion {
    /// Wilson's score interval (E. B. Wilson, 1927). Unlike the textbook one it is sensible near 0 and 1, and for small n.
    /// Nil for no trials.
    public static func interval(successes: Int, trials: Int, confidence: Double = 0.95) -> Interval? {
        guard trials > 0, (0...trials).contains(successes) else { return nil }
        let z = Normal.quantile(0.5 + confidence / 2)
        let n = Double(trials)
        let share = Double(successes) / n
        let centre = (share + z * z / (2 * n)) / (1 + z * z / n)
        let half = z * (share * (1 - share) / n + z * z / (4 * n * n)).squareRoot() / (1 + z * z / n)
        return Interval(
            low: successes == 0 ? 0 : max(0, centre - half),
            high: successes == trials ? 1 : min(1, centre + half), confidence: confidence)
    }
}

enum Normal {
    /// P(Z > z).
    static func survival(_ z: Double) -> Double { 0.5 * erfc(z / 2.0.squareRoot()) }

    /// The z with P(Z ≤ z) = p, by bisection on erfc: exact to the last few bits, and called seldom.
    static func quantile(_ p: Double) -> Double {
        precondition(p > 0 && p < 1)
        var low = -40.0
        var high = 40.0
        for _ in 0..<120 {
            let middle = (low + high) / 2
            if survival(middle) > 1 - p { low = middle } else { high = middle }
        }
        return (low + high) / 2
    }
}

/// What a set of measurements says, ready to print. Percentiles that the sample count does not support are nil.
public struct Distribution: Sendable, Codable, Equatable {
    public var count: Int
    public var min: Double
    public var max: Double
    public var mean: Double
    /// 95 %, by bootstrap; nil for fewer than two samples.
    public var meanInterval: Interval?
    public var median: Double
    public var medianInterval: Interval?
    public var medianAbsoluteDeviation: Double?
    public var standardDeviation: Double?
    /// Nearest rank; nil where fewer samples than `Percentile.requiredSamples()`.
    public var p50: Double?
    public var p90: Double?
    public var p95: Double?
    public var p99: Double?

    /// Nil without samples. `seed` drives the bootstrap only.
    public init?(_ samples: [Double], seed: UInt64 = 0x5142) {
        guard !samples.isEmpty, let mean = Statistics.mean(samples) else { return nil }
        let sorted = samples.sorted()
        count = sorted.count
        min = sorted.first!
        max = sorted.last!
        self.mean = mean
        median = Statistics.median(ofSorted: sorted)!
        medianAbsoluteDeviation = Statistics.medianAbsoluteDeviation(sorted)
        standardDeviation = Statistics.standardDeviation(sorted)
        let bootstrap = Bootstrap(seed: seed)
        meanInterval = bootstrap.interval(sorted) { Statistics.mean($0)! }
        medianInterval = bootstrap.interval(sorted) { Statistics.median($0)! }
        func claimed(_ percentile: Percentile) -> Double? {
            sorted.count >= percentile.requiredSamples() ? percentile.value(ofSorted: sorted) : nil
        }
        p50 = claimed(.p50)
        p90 = claimed(.p90)
        p95 = claimed(.p95)
        p99 = claimed(.p99)
    }
}
