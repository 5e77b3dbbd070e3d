/// A small, fast generator with the same sequence everywhere (G. L. Steele, D. Lea, C. H. Flood, 2014). Not for secrets.
public struct SplitMix64: RandomNumberGenerator, Sendable {
    private static let step: UInt64 = 0x9E37_79B9_7F4A_7C15
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= Self.step
        return Self.mixed(state)
    }

    /// The number at `position` (from 0) of the sequence of `seed`.
    public static func number(_ position: UInt64, seed: UInt64) -> UInt64 { mixed(seed &+ (position &+ 1) &* step) }

    /// In 0..<bound: the high half of the product. The bias, below bound/2^64, is no matter here, and the sequence does not
    /// depend on the standard library's method.
    public mutating func next(below bound: UInt64) -> UInt64 { next().multipliedFullWidth(by: bound).high }

    private static func mixed(_ state: UInt64) -> UInt64 {
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
