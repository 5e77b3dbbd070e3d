import Foundation

/// Whether confidence means what it says.
public enum Calibration {
    /// A bar of the reliability diagram.
    public struct Bin: Sendable, Equatable {
        public let count: Int
        public let meanConfidence: Double
        public let accuracy: Double
    }

    /// Equal-width bins (low, high]; empty ones are left out (C. Guo et al., 2017).
    public static func bins(confidence: [Double], correct: [Bool], count: Int = 10) -> [Bin] {
        precondition(confidence.count == correct.count && count > 0)
        var groups = [[Int]](repeating: [], count: count)
        for (i, value) in confidence.enumerated() {
            groups[min(count - 1, max(0, Int((value * Double(count)).rounded(.up)) - 1))].append(i)
        }
        return groups.filter { !$0.isEmpty }.map { group in
            Bin(
                count: group.count, meanConfidence: group.reduce(0) { $0 + confidence[$1] } / Double(group.count),
                accuracy: Double(group.count { correct[$0] }) / Double(group.count))
        }
    }

    /// Expected calibration error. Nil for no samples.
    public static func error(confidence: [Double], correct: [Bool], bins count: Int = 10) -> Double? {
        guard !confidence.isEmpty else { return nil }
        return bins(confidence: confidence, correct: correct, count: count).reduce(0) {
            $0 + Double($1.count) / Double(confidence.count) * abs($1.accuracy - $1.meanConfidence)
        }
    }

    /// Brier score over all labels, 0–2 (G. W. Brier, 1950). Nil for no samples.
    public static func brier(probabilities: [[Double]], truth: [Int]) -> Double? {
        guard !truth.isEmpty else { return nil }
        let sum = zip(probabilities, truth).reduce(0.0) { sum, sample in
            sum + sample.0.enumerated().reduce(0) { $0 + pow($1.element - ($1.offset == sample.1 ? 1 : 0), 2) }
        }
        return sum / Double(truth.count)
    }

    /// softmax(log p / T).
    public static func tempered(_ probabilities: [Double], temperature: Double) -> [Double] {
        let logs = probabilities.map { log(max($0, 1e-300)) / temperature }
        let top = logs.max() ?? 0
        let weights = logs.map { exp($0 - top) }
        let sum = weights.reduce(0, +)
        return weights.map { $0 / sum }
    }

    /// The temperature of least negative log likelihood (C. Guo et al., 2017), 0.05 to 20, by golden section over log T;
    /// fit it on the calibration split only. Nil for no samples.
    public static func temperature(probabilities: [[Double]], truth: [Int]) -> Double? {
        guard !truth.isEmpty else { return nil }
        func loss(_ logT: Double) -> Double {
            zip(probabilities, truth).reduce(0) {
                $0 - log(max(tempered($1.0, temperature: exp(logT))[$1.1], 1e-300))
            }
        }
        var (low, high) = (log(0.05), log(20.0))
        let ratio = (5.0.squareRoot() - 1) / 2
        while high - low > 1e-9 {
            let (a, b) = (high - ratio * (high - low), low + ratio * (high - low))
            if loss(a) < loss(b) { high = b } else { low = a }
        }
        return exp((low + high) / 2)
    }
}
