import Foundation

/// The Mann–Whitney U test (H. B. Mann, D. R. Whitney, 1947): do values of one sample tend to be larger than the other's?
/// It asks for no distribution, so latency's long tail does it no harm.
public struct MannWhitney: Sendable, Equatable {
    /// U of the first sample: the pairs in which its value is the larger one, ties counted half.
    public let u: Double
    /// Two-sided.
    public let p: Double
    public enum Method: String, Sendable { case exact, asymptotic }
    public let method: Method
    /// u / (n₁·n₂): the chance that a value of the first sample exceeds one of the second. 0.5 is no difference.
    public let superiority: Double

    /// Exact where there are no ties and the smaller sample has at most 8 values and the product of the sizes at most
    /// 20 000; otherwise by the normal approximation with tie correction and continuity correction. (`scipy.stats.mannwhitneyu`
    /// with `method='auto'` chooses alike but for the last limit.)
    ///
    /// Nil where a sample is empty.
    public init?(_ first: [Double], _ second: [Double]) {
        guard !first.isEmpty, !second.isEmpty else { return nil }
        precondition((first + second).allSatisfy { !$0.isNaN })
        let n1 = first.count
        let n2 = second.count
        let n = n1 + n2
        let pooled = (first.map { ($0, true) } + second.map { ($0, false) }).sorted { $0.0 < $1.0 }
        // Tied values share the mean of their ranks.
        var rankSum = 0.0
        var tieTerm = 0.0
        var start = 0
        while start < n {
            var end = start + 1
            while end < n && pooled[end].0 == pooled[start].0 { end += 1 }
            let rank = Double(start + end + 1) / 2
            for i in start..<end where pooled[i].1 { rankSum += rank }
            let tied = Double(end - start)
            tieTerm += tied * tied * tied - tied
            start = end
        }
        let product = Double(n1) * Double(n2)
        let u1 = rankSum - Double(n1) * Double(n1 + 1) / 2
        u = u1
        superiority = u1 / product
        let larger = max(u1, product - u1)

        if tieTerm == 0, min(n1, n2) <= 8, product <= 20_000 {
            method = .exact
            p = min(1, 2 * Self.exactSurvival(Int(larger.rounded()), n1, n2))
            return
        }
        method = .asymptotic
        let total = Double(n)
        let variance = product / 12 * ((total + 1) - tieTerm / (total * (total - 1)))
        // All values equal: no evidence of any difference.
        guard variance > 0 else {
            p = 1
            return
        }
        let z = (larger - product / 2 - 0.5) / variance.squareRoot()
        p = min(1, 2 * Normal.survival(z))
    }

    /// The smallest two-sided p that samples of these sizes can give: when even that exceeds α, no result is significant.
    public static func smallestP(_ n1: Int, _ n2: Int) -> Double {
        guard n1 > 0, n2 > 0 else { return 1 }
        // 2 / C(n1+n2, n1)
        let logChoose = lgamma(Double(n1 + n2 + 1)) - lgamma(Double(n1 + 1)) - lgamma(Double(n2 + 1))
        return min(1, 2 * exp(-logChoose))
    }

    /// P(U ≥ u) without ties. The number of arrangements with a given U follows f(u; m, n) = f(u−n; m−1, n) + f(u; m, n−1):
    /// built up as products of Gaussian binomials, one factor (1 − q^(n+i))/(1 − q^i) after the other.
    private static func exactSurvival(_ u: Int, _ n1: Int, _ n2: Int) -> Double {
        let m = min(n1, n2)
        let n = max(n1, n2)
        let top = m * n
        var counts = [Double](repeating: 0, count: top + 1)
        counts[0] = 1
        for i in 1...m {
            for j in stride(from: top, through: n + i, by: -1) { counts[j] -= counts[j - n - i] }
            if i <= top { for j in i...top { counts[j] += counts[j - i] } }
        }
        // By symmetry P(U ≥ u) = P(U ≤ m·n − u), and the low counts follow from low counts only: small and exact.
        return counts[...Swift.max(0, top - u)].reduce(0, +) / counts.reduce(0, +)
    }
}
