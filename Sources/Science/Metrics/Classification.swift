import Foundation

/// How well labels were told. Rows of the confusion are the truth, columns what was said, in the labels' order.
public struct Classification: Sendable, Equatable {
    public let labels: [String]
    public let confusion: [[Int]]

    /// Labels that are not among `labels` are a programmer's error.
    public init(labels: [String], truth: [String], said: [String]) {
        precondition(truth.count == said.count)
        let index = Dictionary(uniqueKeysWithValues: labels.enumerated().map { ($1, $0) })
        var confusion = [[Int]](repeating: [Int](repeating: 0, count: labels.count), count: labels.count)
        for (truth, said) in zip(truth, said) { confusion[index[truth]!][index[said]!] += 1 }
        self.labels = labels
        self.confusion = confusion
    }

    public var count: Int { confusion.reduce(0) { $0 + $1.reduce(0, +) } }

    /// Nil for no samples.
    public var accuracy: Double? {
        count == 0 ? nil : Double(labels.indices.reduce(0) { $0 + confusion[$1][$1] }) / Double(count)
    }

    /// Mean F1 over the labels that occur in the truth or were said (as scikit-learn has it, with 0 for 0/0).
    public var macroF1: Double? {
        let scores = labels.indices.compactMap { i -> Double? in
            let truth = confusion[i].reduce(0, +)
            let said = confusion.reduce(0) { $0 + $1[i] }
            return truth + said == 0 ? nil : 2 * Double(confusion[i][i]) / Double(truth + said)
        }
        return scores.isEmpty ? nil : scores.reduce(0, +) / Double(scores.count)
    }

    /// What always saying the most frequent label would score.
    public var majorityAccuracy: Double? {
        count == 0 ? nil : Double(confusion.map { $0.reduce(0, +) }.max()!) / Double(count)
    }
}
