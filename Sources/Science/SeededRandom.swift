import Foundation

/// Random numbers with a fixed sequence (SplitMix64; G. L. Steele, D. Lea, C. H. Flood, 2014).
public struct SeededRandom: Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    /// A sequence of its own for each thing that is drawn, so that one more draw here moves nothing there.
    public init(seed: UInt64, stream: UInt64) {
        state = seed &+ stream &* 0xD134_2543_DE82_EF95
        state = next()
    }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// In 0..<1.
    public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }
    public mutating func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * uniform() }
    /// Uniform on a logarithmic scale.
    public mutating func logUniform(_ low: Double, _ high: Double) -> Double { exp(uniform(log(low), log(high))) }
    /// In 0..<bound.
    public mutating func below(_ bound: Int) -> Int {
        Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }
    public mutating func chance(_ probability: Double) -> Bool { uniform() < probability }

    /// Standard normal (G. E. P. Box, M. E. Muller, 1958).
    public mutating func normal() -> Double {
        sqrt(-2 * log(1 - uniform())) * cos(2 * .pi * uniform())
    }

    public mutating func shuffle<T>(_ values: inout [T]) {
        for i in stride(from: values.count - 1, to: 0, by: -1) { values.swapAt(i, below(i + 1)) }
    }
}
