import Foundation
import Runtime

/// What a generator of data draws, from a fixed sequence.
public struct SeededRandom: Sendable {
    private var source: SplitMix64

    public init(seed: UInt64) { source = SplitMix64(seed: seed) }

    /// A sequence of its own for each thing that is drawn, so that one more draw here moves nothing there.
    public init(seed: UInt64, stream: UInt64) {
        source = SplitMix64(seed: seed &+ stream &* 0xD134_2543_DE82_EF95)
        source = SplitMix64(seed: source.next())
    }

    public mutating func next() -> UInt64 { source.next() }

    /// In 0..<1.
    public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }
    public mutating func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * uniform() }
    /// Uniform on a logarithmic scale.
    public mutating func logUniform(_ low: Double, _ high: Double) -> Double { exp(uniform(log(low), log(high))) }
    /// In 0..<bound.
    public mutating func below(_ bound: Int) -> Int {
        Int(source.next(below: UInt64(bound)))
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
