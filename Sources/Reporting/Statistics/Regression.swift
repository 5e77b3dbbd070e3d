import Foundation

/// Whether a candidate is worse than a baseline in one measure where less is better (a latency).
///
/// A regression must meet three conditions: it is **significant** (Mann–Whitney p < α), it **matters** (the medians differ
/// by more than both the smallest effect of interest and the machine's own noise, measured in the same run), and it is
/// **confirmed** by a second run that meets the first two in the same direction. Improvements are held to the same rule.
public struct RegressionTest: Sendable {
    public enum Verdict: String, Sendable, Codable {
        case regressed, improved
        case noChange = "no change"
        case inconclusive
    }

    public struct Outcome: Sendable, Equatable {
        public var verdict: Verdict
        /// (candidate's median − baseline's) / baseline's; nil where it does not exist.
        public var effect: Double?
        public var p: Double?
        /// The effect that had to be exceeded: max(smallest effect, noise).
        public var threshold: Double
        /// The second run's effect and p, where there was one.
        public var confirmationEffect: Double?
        public var confirmationP: Double?
        /// Why, in a sentence.
        public var reason: String
    }

    public var alpha: Double
    /// Relative: 0.05 is 5 %.
    public var smallestEffect: Double

    public init(alpha: Double = 0.01, smallestEffect: Double = 0.05) {
        precondition(alpha > 0 && alpha < 1 && smallestEffect >= 0)
        self.alpha = alpha
        self.smallestEffect = smallestEffect
    }

    /// - Parameters:
    ///   - noise: the machine's relative noise measured in the runs; nil where it was not measured, and then nothing is
    ///     called a change.
    ///   - confirmation: the samples of a second run of the candidate; nil where there was none.
    public func compare(
        baseline: [Double], candidate: [Double], noise: Double?, confirmation: [Double]?
    ) -> Outcome {
        let threshold = max(smallestEffect, noise ?? 0)
        guard let first = step(baseline, candidate, threshold) else {
            return Outcome(
                verdict: .inconclusive, threshold: threshold, reason: "no samples on one side, or a median of zero")
        }
        var outcome = Outcome(
            verdict: .inconclusive, effect: first.effect, p: first.p, threshold: threshold, reason: "")
        if MannWhitney.smallestP(baseline.count, candidate.count) >= alpha {
            outcome.reason = "too few samples (\(baseline.count) and \(candidate.count)) to tell at α = \(alpha)"
            return outcome
        }
        guard first.matters else {
            outcome.verdict = .noChange
            outcome.reason =
                first.significant
                ? "significant, but below the effect that matters" : "below the effect that matters"
            return outcome
        }
        guard first.significant else {
            outcome.reason = "the effect is large enough to matter, but not significant: take more samples"
            return outcome
        }
        guard noise != nil else {
            outcome.reason = "the machine's noise was not measured, so the effect cannot be told from it"
            return outcome
        }
        guard let confirmation else {
            outcome.reason = "significant and large enough, but not confirmed: run the candidate again"
            return outcome
        }
        let second = step(baseline, confirmation, threshold)
        outcome.confirmationEffect = second?.effect
        outcome.confirmationP = second?.p
        guard let second, second.significant, second.matters, (second.effect > 0) == (first.effect > 0) else {
            outcome.reason = "the second run does not confirm it"
            return outcome
        }
        outcome.verdict = first.effect > 0 ? .regressed : .improved
        outcome.reason = "significant, large enough, and confirmed by a second run"
        return outcome
    }

    private struct Step {
        var effect: Double
        var p: Double
        var significant: Bool
        var matters: Bool
    }

    private func step(_ baseline: [Double], _ candidate: [Double], _ threshold: Double) -> Step? {
        guard let before = Statistics.median(baseline), let after = Statistics.median(candidate), before > 0,
            let test = MannWhitney(baseline, candidate)
        else { return nil }
        let effect = (after - before) / before
        return Step(effect: effect, p: test.p, significant: test.p < alpha, matters: abs(effect) > threshold)
    }
}
