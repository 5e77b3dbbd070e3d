import Foundation

/// How the next token is picked. The warpers and their order are those of Hugging Face transformers: repetition
/// penalty, temperature, top-k, top-p, min-p.
public struct Sampling: Sendable, Equatable, Codable {
    /// 0 takes the likeliest token.
    public var temperature: Float
    /// Keeps the k likeliest tokens; 0 keeps all.
    public var topK: Int
    /// Keeps the likeliest tokens whose probabilities sum up to p; 1 keeps all.
    public var topP: Float
    /// Keeps the tokens at least this fraction as likely as the likeliest one; 0 keeps all.
    public var minP: Float
    /// Divides the positive logits of tokens that the sequence holds already, and multiplies the negative ones; 1 leaves
    /// them alone (Keskar et al. 2019, CTRL).
    public var repetitionPenalty: Float
    public var seed: UInt64

    public static let greedy = Sampling(temperature: 0)

    public init(
        temperature: Float, topK: Int = 0, topP: Float = 1, minP: Float = 0, repetitionPenalty: Float = 1,
        seed: UInt64 = 0
    ) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
        self.seed = seed
    }

    /// - Throws: `EngineError.invalidOption` where a value is out of its range.
    public func validate() throws {
        func check(_ valid: Bool, _ name: String, _ expected: String, _ got: String) throws {
            guard valid else { throw EngineError.invalidOption(name: name, expected: expected, got: got) }
        }
        try check(temperature >= 0 && temperature.isFinite, "--temperature", "a number ≥ 0", "\(temperature)")
        try check(topK >= 0, "--top-k", "a whole number ≥ 0", "\(topK)")
        try check(topP > 0 && topP <= 1, "--top-p", "above 0 and at most 1", "\(topP)")
        try check(minP >= 0 && minP <= 1, "--min-p", "0…1", "\(minP)")
        try check(
            repetitionPenalty > 0 && repetitionPenalty.isFinite, "--repetition-penalty", "a number above 0",
            "\(repetitionPenalty)")
    }

    /// The token for `position` from finite logits [vocabulary], which are left as they are; nil where `mask` allows
    /// none.
    ///
    /// Depends on logits, settings, seed, position, `seen` and `mask` alone: neither on the batch nor on what was drawn
    /// before.
    /// - Parameter seen: the sequence's tokens, each once; read only where there is a penalty on repeating them.
    func pick(
        _ logits: UnsafeBufferPointer<Float>, position: Int, seen: [Int32] = [], mask: TokenMask? = nil
    ) -> Int32? {
        penalizing(logits, seen) { logits in
            if temperature == 0 { return mask.map { $0.max { logits[Int($0)] } } ?? argmax(logits) }
            let (tokens, weights) = weights(logits, mask)
            var left = Self.uniform(seed: seed, position: position) * weights.reduce(0, +)
            for (token, weight) in zip(tokens, weights) {
                left -= weight
                if left < 0 { return Int32(token) }
            }
            return tokens.last.map(Int32.init)
        }
    }

    /// What is drawn from at a temperature above 0: the tokens that are left, likeliest first, with their probabilities.
    package func distribution(_ logits: [Float], seen: [Int32] = []) -> [(token: Int32, probability: Double)] {
        logits.withUnsafeBufferPointer {
            penalizing($0, seen) { logits in
                let (tokens, weights) = weights(logits, nil)
                let total = weights.reduce(0, +)
                return zip(tokens, weights).map { (Int32($0), $1 / total) }
            }
        }
    }

    private func penalizing<R>(
        _ logits: UnsafeBufferPointer<Float>, _ seen: [Int32], _ body: (UnsafeBufferPointer<Float>) -> R
    ) -> R {
        guard repetitionPenalty != 1, !seen.isEmpty else { return body(logits) }
        var penalized = Array(logits)
        for token in seen {
            let logit = penalized[Int(token)]
            penalized[Int(token)] = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty
        }
        return penalized.withUnsafeBufferPointer(body)
    }

    /// The tokens that may be drawn, likeliest first, and their weights: 1 for the first.
    private func weights(_ logits: UnsafeBufferPointer<Float>, _ mask: TokenMask?) -> (tokens: [Int], weights: [Double])
    {
        var order = candidates(logits, mask)
        guard let first = order.first else { return ([], []) }
        let inverse = 1 / temperature
        let top = logits[first]
        var weights = order.map { exp(Double((logits[$0] - top) * inverse)) }
        if topP < 1 {
            let total = weights.reduce(0, +)
            var sum = 0.0
            var kept = 0
            while kept < weights.count, sum < Double(topP) * total {
                sum += weights[kept]
                kept += 1
            }
            weights.removeLast(weights.count - kept)
        }
        if minP > 0 { weights = Array(weights.prefix { $0 >= Double(minP) }) }
        order.removeLast(order.count - weights.count)
        return (order, weights)
    }

    /// The tokens that may be drawn, likeliest first; ties go by token number, so that the order is total.
    private func candidates(_ logits: UnsafeBufferPointer<Float>, _ mask: TokenMask?) -> [Int] {
        func precedes(_ a: Int, _ b: Int) -> Bool { logits[a] != logits[b] ? logits[a] > logits[b] : a < b }
        var order = mask.map { mask in logits.indices.filter { mask.contains(Int32($0)) } } ?? Array(logits.indices)
        if minP > 0, topP == 1, let top = order.map({ logits[$0] }).max() {
            // A little more than min-p keeps, so that the sort has little to do; the exact cut follows. Top-p counts
            // the tail too.
            let floor = top + temperature * Foundation.log(minP) * 1.001 - 0.001
            order.removeAll { logits[$0] < floor }
        }
        guard topK > 0, topK < order.count else { return order.sorted(by: precedes) }
        // What cannot be among the k is dropped unseen: the list stays sorted and short.
        var best: [Int] = []
        best.reserveCapacity(2 * topK)
        var cut: Int?
        for index in order where cut.map({ precedes(index, $0) }) ?? true {
            best.append(index)
            if best.count == 2 * topK {
                best.sort(by: precedes)
                best.removeLast(topK)
                cut = best[topK - 1]
            }
        }
        return Array(best.sorted(by: precedes).prefix(topK))
    }

    /// In [0, 1), from seed and position.
    private static func uniform(seed: UInt64, position: Int) -> Double {
        Double(SplitMix64.number(UInt64(position), seed: seed) >> 11) * 0x1p-53
    }
}

/// A token with its probability, as the model gave it: before penalties, temperature and cuts.
public struct TokenProbability: Sendable, Equatable, Codable {
    public let token: Int32
    /// Natural logarithm.
    public let logProbability: Double

    public init(token: Int32, logProbability: Double) {
        self.token = token
        self.logProbability = logProbability
    }
}

/// A picked token, and what else was likely in its place, likeliest first.
public struct PickedToken: Sendable, Equatable, Codable {
    public let token: Int32
    /// Natural logarithm; nil where probabilities were not asked for.
    public let logProbability: Double?
    public let alternatives: [TokenProbability]

    init(token: Int32, logProbability: Double?, alternatives: [TokenProbability]) {
        self.token = token
        self.logProbability = logProbability
        self.alternatives = alternatives
    }

    init(unweighed token: Int32) {
        self.token = token
        logProbability = nil
        alternatives = []
    }

    init(_ token: Int32, alternatives count: Int, _ logits: UnsafeBufferPointer<Float>) {
        let normaliser = logSumExp(logits)
        func probability(_ token: Int) -> TokenProbability {
            TokenProbability(token: Int32(token), logProbability: Double(logits[token]) - normaliser)
        }
        self.token = token
        logProbability = probability(Int(token)).logProbability
        alternatives = likeliest(count, logits).map(probability)
    }
}

/// The `count` indices of the greatest values, greatest first, ties by index.
func likeliest(_ count: Int, _ values: UnsafeBufferPointer<Float>) -> [Int] {
    var best: [Int] = []
    for index in values.indices where count > 0 {
        if best.count == count, values[index] <= values[best[count - 1]] { continue }
        let place = best.firstIndex { values[$0] < values[index] } ?? best.count
        best.insert(index, at: place)
        if best.count > count { best.removeLast() }
    }
    return best
}

/// The first index of the greatest value.
func argmax(_ values: UnsafeBufferPointer<Float>) -> Int32 {
    let base = UnsafeRawPointer(values.baseAddress!)
    var greatest = SIMD16<Float>(repeating: -.infinity)
    let whole = values.count / 16 * 16
    for index in stride(from: 0, to: whole, by: 16) {
        let lanes = base.loadUnaligned(fromByteOffset: index * 4, as: SIMD16<Float>.self)
        greatest.replace(with: lanes, where: lanes .> greatest)
    }
    var top = greatest.max()
    for index in whole..<values.count where values[index] > top { top = values[index] }
    return Int32(values.firstIndex(of: top) ?? 0)
}

/// Whether no value is infinite or NaN.
func allFinite(_ values: UnsafeBufferPointer<Float>) -> Bool {
    let base = UnsafeRawPointer(values.baseAddress!)
    // x·0 is 0 for every number, and NaN for what is none.
    var sum = SIMD16<Float>(repeating: 0)
    let whole = values.count / 16 * 16
    for index in stride(from: 0, to: whole, by: 16) {
        sum += base.loadUnaligned(fromByteOffset: index * 4, as: SIMD16<Float>.self) * 0
    }
    return sum.sum() == 0 && values[whole...].allSatisfy(\.isFinite)
}

/// log Σ exp(values), in double precision, in order.
func logSumExp(_ values: UnsafeBufferPointer<Float>) -> Double {
    let top = Double(values[Int(argmax(values))])
    var sum = 0.0
    for value in values { sum += exp(Double(value) - top) }
    return top + log(sum)
}
