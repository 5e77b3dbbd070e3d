import Foundation

/// How the next token is picked.
public struct Sampling: Sendable, Equatable {
    /// 0 takes the likeliest token.
    public var temperature: Float
    /// Keeps the k likeliest tokens; 0 keeps all.
    public var topK: Int
    /// Keeps the likeliest tokens whose probabilities sum up to p; 1 keeps all.
    public var topP: Float
    public var seed: UInt64

    public static let greedy = Sampling(temperature: 0, topK: 0, topP: 1, seed: 0)

    public init(temperature: Float, topK: Int = 0, topP: Float = 1, seed: UInt64 = 0) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
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
    }

    /// The token for `position` from logits [vocabulary], which are left as they are.
    ///
    /// Depends on logits, settings, seed and position alone: neither on the batch nor on what was drawn before.
    func pick(_ logits: UnsafeBufferPointer<Float>, position: Int) -> Int32 {
        if temperature == 0 { return argmax(logits) }
        let inverse = 1 / temperature
        // Ties break by token number, so that the order is total.
        var order = Array(logits.indices)
        order.sort { logits[$0] != logits[$1] ? logits[$0] > logits[$1] : $0 < $1 }
        if topK > 0 { order = Array(order.prefix(topK)) }
        let top = logits[order[0]]
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
        var left = Self.uniform(seed: seed, position: position) * weights.reduce(0, +)
        for (index, weight) in weights.enumerated() {
            left -= weight
            if left < 0 { return Int32(order[index]) }
        }
        return Int32(order[weights.count - 1])
    }

    /// In [0, 1), by SplitMix64 (Steele, Lea and Flood 2014) from seed and position.
    private static func uniform(seed: UInt64, position: Int) -> Double {
        var z = seed &+ UInt64(position + 1) &* 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        z ^= z >> 31
        return Double(z >> 11) * 0x1p-53
    }
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
