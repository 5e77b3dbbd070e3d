/// How one linear layer's weights W [out, in] are quantized: signed integers of `bits` bits, one scale (and, asymmetric,
/// one zero point) for every `groupSize` columns of a row, or for the whole row.
public struct QuantizationScheme: Sendable, Equatable, Hashable {
    /// 4 or 8.
    public let bits: Int
    /// Symmetric: the zero point is 0 and is not stored.
    public let symmetric: Bool
    /// Columns that share a scale; nil: the whole row does ("channel").
    public let groupSize: Int?

    public init(bits: Int, symmetric: Bool = true, groupSize: Int? = nil) {
        precondition(bits == 4 || bits == 8, "4 or 8 bits, got \(bits)")
        precondition(groupSize.map { $0 > 0 } ?? true, "a group has columns")
        self.bits = bits
        self.symmetric = symmetric
        self.groupSize = groupSize
    }

    /// −2^(bits−1): −8 or −128.
    public var minimum: Int { -(1 << (bits - 1)) }
    /// 2^(bits−1) − 1: 7 or 127.
    public var maximum: Int { (1 << (bits - 1)) - 1 }
    /// Values in one 32-bit word: 8 or 4.
    public var valuesPerWord: Int { 32 / bits }

    /// Groups in a row of `columns` columns.
    public func groups(columns: Int) -> Int { groupSize.map { (columns + $0 - 1) / $0 } ?? 1 }
    /// 32-bit words in a packed row (or, of zero points, in a packed column) of `count` values.
    public func words(_ count: Int) -> Int { (count + valuesPerWord - 1) / valuesPerWord }
    /// Whether every group of a row of `columns` columns is full.
    public func divides(columns: Int) -> Bool { groupSize.map { columns % $0 == 0 } ?? true }

    /// For tables: "int4 g64", "int8 channel asymmetric".
    public var label: String {
        "int\(bits) \(groupSize.map { "g\($0)" } ?? "channel")" + (symmetric ? "" : " asymmetric")
    }
}
