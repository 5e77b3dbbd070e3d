import Foundation

/// Numbers that are the same in every run.
struct SeededValues {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func uniform() -> Float {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Float(state >> 40) / Float(1 << 24)
    }

    /// Roughly normal, of variance 1: the sum of twelve uniform numbers.
    mutating func normal() -> Float { (0..<12).reduce(-6) { sum, _ in sum + uniform() } }

    mutating func normals(_ count: Int) -> [Float] { (0..<count).map { _ in normal() } }
}
