import Foundation

/// How far a candidate's prediction of one token is from the reference's.
public struct TokenDivergence: Sendable, Equatable {
    /// KL(reference ‖ candidate) in nats over the whole vocabulary.
    public let divergence: Double
    public let sameTop: Bool
    /// The probability of the text's own next token, candidate's less reference's.
    public let deltaP: Double
    /// −ln p of the text's own next token.
    public let referenceLoss, candidateLoss: Double

    package init(
        divergence: Double, sameTop: Bool, deltaP: Double, referenceLoss: Double, candidateLoss: Double
    ) {
        self.divergence = divergence
        self.sameTop = sameTop
        self.deltaP = deltaP
        self.referenceLoss = referenceLoss
        self.candidateLoss = candidateLoss
    }

    /// From logits [vocabulary] of both; nil where one of them is not finite. Sums are in double.
    package init?(reference: UnsafeBufferPointer<Float>, candidate: UnsafeBufferPointer<Float>, next: Int) {
        precondition(reference.count == candidate.count && reference.indices.contains(next))
        let referenceNormaliser = logSumExp(reference)
        let candidateNormaliser = logSumExp(candidate)
        guard referenceNormaliser.isFinite, candidateNormaliser.isFinite else { return nil }
        var sum = 0.0
        for index in reference.indices {
            let p = Double(reference[index]) - referenceNormaliser
            let q = Double(candidate[index]) - candidateNormaliser
            sum += exp(p) * (p - q)
        }
        guard sum.isFinite else { return nil }
        divergence = max(0, sum)  // the sum of equal distributions may round below zero
        sameTop = argmax(reference) == argmax(candidate)
        referenceLoss = referenceNormaliser - Double(reference[next])
        candidateLoss = candidateNormaliser - Double(candidate[next])
        deltaP = exp(-candidateLoss) - exp(-referenceLoss)
    }
}

/// A figure and its standard error; nil where none can be given, as for a maximum.
public struct Estimate: Sendable, Equatable {
    public let value: Double
    public let standardError: Double?

    public init(_ value: Double, _ standardError: Double? = nil) {
        self.value = value
        self.standardError = standardError
    }
}

/// The figures of a comparison over all tokens.
///
/// Neighbouring tokens are not independent, so every standard error comes from a block bootstrap (Künsch 1989): runs of
/// 32 tokens, drawn 200 times with a fixed seed, and the spread of the figure over the draws.
public struct DivergenceSummary: Sendable, Equatable {
    public let tokens: Int
    /// Nats.
    public let mean, median, p99, maximum: Estimate
    /// Share of tokens, 0…1.
    public let sameTop: Estimate
    /// Root of the mean square of Δp.
    public let deltaP: Estimate
    public let referencePerplexity, candidatePerplexity: Estimate
    /// ln(candidate's perplexity / reference's), paired by token.
    public let logRatio: Estimate

    /// - Parameter tokens: in the text's order; at least one.
    public init(_ tokens: [TokenDivergence]) {
        precondition(!tokens.isEmpty)
        self.tokens = tokens.count
        let samples = Bootstrap(count: tokens.count).draws()
        func estimate(_ figure: ([Int]?) -> Double) -> Estimate {
            let values = samples.map { figure($0) }
            guard values.count > 1 else { return Estimate(figure(nil)) }
            let mean = values.reduce(0, +) / Double(values.count)
            let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
            return Estimate(figure(nil), (squares / Double(values.count - 1)).squareRoot())
        }
        func mean(_ indices: [Int]?, _ value: (TokenDivergence) -> Double) -> Double {
            guard let indices else { return tokens.reduce(0) { $0 + value($1) } / Double(tokens.count) }
            return indices.reduce(0) { $0 + value(tokens[$1]) } / Double(indices.count)
        }
        func quantile(_ indices: [Int]?, _ share: Double) -> Double {
            let sorted = (indices.map { $0.map { tokens[$0] } } ?? tokens).map(\.divergence).sorted()
            let place = share * Double(sorted.count - 1)
            let below = Int(place)
            let above = min(below + 1, sorted.count - 1)
            return sorted[below] + (sorted[above] - sorted[below]) * (place - Double(below))
        }
        self.mean = estimate { mean($0, \.divergence) }
        median = estimate { quantile($0, 0.5) }
        p99 = estimate { quantile($0, 0.99) }
        maximum = Estimate(quantile(nil, 1))
        sameTop = estimate { mean($0) { $0.sameTop ? 1 : 0 } }
        deltaP = estimate { mean($0) { $0.deltaP * $0.deltaP }.squareRoot() }
        referencePerplexity = estimate { exp(mean($0, \.referenceLoss)) }
        candidatePerplexity = estimate { exp(mean($0, \.candidateLoss)) }
        logRatio = estimate { mean($0) { $0.candidateLoss - $0.referenceLoss } }
    }
}

/// Draws of runs of neighbouring tokens, with replacement.
private struct Bootstrap {
    let count: Int
    private let run = 32
    private let times = 200

    init(count: Int) { self.count = count }

    /// Indices of `times` resamples; none where the text has too few runs to draw from.
    func draws() -> [[Int]] {
        let runs = count / run
        guard runs >= 4 else { return [] }
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        return (0..<times).map { _ in
            (0..<runs).flatMap { _ -> Range<Int> in
                // xorshift64 (Marsaglia 2003)
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                let begin = Int(state % UInt64(count - run + 1))
                return begin..<begin + run
            }
        }
    }
}
