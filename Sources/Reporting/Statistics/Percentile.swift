import Foundation

/// A percentile by **nearest rank**: of n sorted samples, the one at rank ⌈p·n⌉ (counted from 1), so the smallest sample
/// that at least the fraction p of all samples does not exceed. It is always a value that was measured, never a blend of
/// two (NumPy's `inverted_cdf`, R's type 1).
///
/// A percentile is **claimed** only from enough samples: with fewer, too few lie beyond it to know it. See
/// `requiredSamples(confidence:misses:)`.
public struct Percentile: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The fraction in units of 1/10 000. An integer, because 0.07·100 is not 7 in floating point, and ⌈p·n⌉ would slip.
    public let tenThousandths: Int

    /// - Parameter tenThousandths: 1…9999.
    public init(tenThousandths: Int) {
        precondition((1...9999).contains(tenThousandths), "a percentile lies between 0 and 100")
        self.tenThousandths = tenThousandths
    }

    /// Reads `p50`, `p99`, `p99.9`; nil for anything else.
    public init?(_ name: String) {
        guard name.hasPrefix("p") else { return nil }
        let parts = name.dropFirst().split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), parts.allSatisfy({ $0.allSatisfy { ("0"..."9").contains($0) } }),
            let whole = Int(parts[0]), parts[0].count <= 2
        else { return nil }
        var fraction = 0
        if parts.count == 2 {
            guard (1...2).contains(parts[1].count), let digits = Int(parts[1]) else { return nil }
            fraction = parts[1].count == 1 ? digits * 10 : digits
        }
        let value = whole * 100 + fraction
        guard value >= 1 else { return nil }
        tenThousandths = value
    }

    public static let p50 = Percentile(tenThousandths: 5000)
    public static let p90 = Percentile(tenThousandths: 9000)
    public static let p95 = Percentile(tenThousandths: 9500)
    public static let p99 = Percentile(tenThousandths: 9900)

    public var fraction: Double { Double(tenThousandths) / 10_000 }

    /// `p99`, `p99.9`.
    public var description: String {
        let whole = tenThousandths / 100
        let rest = tenThousandths % 100
        if rest == 0 { return "p\(whole)" }
        return rest % 10 == 0 ? "p\(whole).\(rest / 10)" : "p\(whole).\(rest < 10 ? "0" : "")\(rest)"
    }

    public static func < (a: Percentile, b: Percentile) -> Bool { a.tenThousandths < b.tenThousandths }

    /// The nearest-rank percentile, whether or not it may be claimed; nil without samples.
    ///
    /// - Parameter sorted: in ascending order.
    public func value(ofSorted sorted: [Double]) -> Double? {
        guard !sorted.isEmpty else { return nil }
        let (product, overflow) = sorted.count.multipliedReportingOverflow(by: tenThousandths)
        precondition(!overflow)
        let rank = (product + 9_999) / 10_000
        return sorted[max(rank, 1) - 1]
    }

    /// The fewest samples from which this percentile may be claimed: the smallest n for which seeing at most `misses`
    /// samples beyond a bound would be a surprise, P(Binomial(n, 1 − p) ≤ misses) ≤ 1 − confidence, if the bound were
    /// below the true percentile. MLPerf's early stopping, with its 99 % and one miss: 64 for p90, 130 for p95, 662 for p99.
    public func requiredSamples(confidence: Double = 0.99, misses: Int = 1) -> Int {
        precondition(confidence > 0 && confidence < 1 && misses >= 0)
        let tail = Double(10_000 - tenThousandths) / 10_000
        // The probability falls with n: double until it is low enough, then bisect.
        var high = misses + 1
        while Binomial.cumulative(misses, trials: high, probability: tail) > 1 - confidence { high *= 2 }
        var low = misses  // P = 1 here
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if Binomial.cumulative(misses, trials: middle, probability: tail) > 1 - confidence {
                low = middle
            } else {
                high = middle
            }
        }
        return high
    }

    /// A bound that the true percentile lies below with the given confidence: the order statistic that leaves as many
    /// samples above it as the sample count can afford, at least one. Nil where n < `requiredSamples`.
    public func upperBound(ofSorted sorted: [Double], confidence: Double = 0.99) -> Double? {
        let n = sorted.count
        guard n >= requiredSamples(confidence: confidence, misses: 1) else { return nil }
        let tail = Double(10_000 - tenThousandths) / 10_000
        // The largest number of misses m with P(X ≤ m) ≤ 1 − confidence.
        var low = 1
        var high = n
        while high - low > 1 {
            let middle = (low + high) / 2
            if Binomial.cumulative(middle, trials: n, probability: tail) <= 1 - confidence {
                low = middle
            } else {
                high = middle
            }
        }
        // Were the true percentile above the sample that leaves m above it, at most m samples would lie beyond the
        // percentile: as improbable as that.
        return sorted[n - 1 - low]
    }
}

enum Binomial {
    /// P(X ≤ k) for X ~ Binomial(n, p), summed in logarithms so that large n does not underflow.
    static func cumulative(_ k: Int, trials n: Int, probability p: Double) -> Double {
        if k < 0 { return 0 }
        if k >= n { return 1 }
        if p <= 0 { return 1 }
        if p >= 1 { return 0 }
        // The term of i follows from that of i−1: t(i) = t(i−1) · (n−i+1)/i · p/(1−p).
        let ratio = log(p) - log1p(-p)
        var term = Double(n) * log1p(-p)
        var terms = [term]
        terms.reserveCapacity(k + 1)
        for i in stride(from: 1, through: k, by: 1) {
            term += log(Double(n - i + 1)) - log(Double(i)) + ratio
            terms.append(term)
        }
        let top = terms.max()!
        let sum = terms.reduce(0) { $0 + exp($1 - top) }
        return min(1, exp(top) * sum)
    }
}
