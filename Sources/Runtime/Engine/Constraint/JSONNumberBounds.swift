/// Decimal numbers within bounds, told by their beginnings: [-]digits[.digits], without exponent and leading zeros.
package struct JSONNumberBounds: Sendable, Hashable, Codable {
    static let mostDigits = 15, mostDecimals = 6

    var minimum, maximum: Double?
    var isInteger: Bool

    package init(minimum: Double?, maximum: Double?, isInteger: Bool) {
        self.minimum = minimum
        self.maximum = maximum
        self.isInteger = isInteger
    }

    private var least: Double { minimum ?? -.infinity }
    private var most: Double { maximum ?? .infinity }

    /// A number's beginning, taken apart.
    private struct Prefix {
        var isNegative = false
        var digits = 0
        /// Digits behind the point; nil where there is none.
        var decimals: Int?
        /// All digits as one whole number: at most 21 of them.
        private var significand: UInt128 = 0

        init?(_ text: [UInt8]) {
            var startsWithZero = false
            for (index, byte) in text.enumerated() {
                switch byte {
                case UInt8(ascii: "-") where index == 0: isNegative = true
                case UInt8(ascii: ".") where digits > 0 && decimals == nil: decimals = 0
                case 48...57:
                    if digits == 0 { startsWithZero = byte == 48 }
                    if let count = decimals { decimals = count + 1 } else { digits += 1 }
                    significand = significand * 10 + UInt128(byte - 48)
                default: return nil
                }
                guard digits <= mostDigits, decimals ?? 0 <= mostDecimals else { return nil }
            }
            if digits > 1, startsWithZero { return nil }
        }

        /// Without its sign; correctly rounded up to 15 digits, and off by one unit in the last place beyond.
        var magnitude: Double {
            var power = 1.0
            for _ in 0..<(decimals ?? 0) { power *= 10 }
            return Double(significand) / power
        }
    }

    /// Whether `text` is a whole number of these.
    package func isComplete(_ text: [UInt8]) -> Bool {
        guard let prefix = Prefix(text), prefix.digits > 0, prefix.decimals != 0 else { return false }
        if prefix.decimals != nil, isInteger { return false }
        let value = prefix.isNegative ? -prefix.magnitude : prefix.magnitude
        return value >= least && value <= most
    }

    /// Whether one of these numbers begins with `text`.
    package func isViable(_ text: [UInt8]) -> Bool {
        guard let prefix = Prefix(text), !isInteger || prefix.decimals == nil else { return false }
        func meets(_ low: Double, _ high: Double) -> Bool {
            prefix.isNegative ? -high <= most && -low >= least : low <= most && high >= least
        }
        if text.isEmpty { return least <= most }
        if prefix.digits == 0 { return meets(0, .infinity) }
        let value = prefix.magnitude
        if let decimals = prefix.decimals {
            guard decimals < Self.mostDecimals else { return meets(value, value) }
            var step = 1.0
            for _ in 0..<decimals { step /= 10 }
            return meets(value, value + step.nextDown)
        }
        if value == 0 { return isInteger ? !prefix.isNegative && meets(0, 0) : meets(0, 1.0.nextDown) }
        var low = value
        var high = isInteger ? value : (value + 1).nextDown
        for _ in prefix.digits...Self.mostDigits {
            if meets(low, high) { return true }
            low *= 10
            high = (value + 1) * (low / value) - (isInteger ? 1 : 0)
        }
        return false
    }

    /// Bytes that a beginning may still lack at most beyond those that the shortest number has: a digit too small asks
    /// for as many as the bound nearest to zero has, and one more.
    var longestDetour: Int { (shortest(from: [])?.count ?? 0) + 2 + (isInteger ? 0 : Self.mostDecimals + 1) }

    /// The shortest, then smallest, bytes that complete `text`; nil where nothing does.
    package func shortest(from text: [UInt8]) -> [UInt8]? {
        let bytes: [UInt8] = Array("0123456789.-".utf8)
        var level = [text]
        while !level.isEmpty {
            if let complete = level.first(where: isComplete) { return Array(complete.dropFirst(text.count)) }
            // All beginnings of a length that lead somewhere; a few of them are enough to find one that ends.
            level = Array(level.flatMap { start in bytes.map { start + [$0] } }.filter(isViable).prefix(64))
        }
        return nil
    }
}
