/// compressed-tensors' packing of signed q into 32-bit words: u = q + 2^(bits−1) as unsigned, element 0 in the least
/// significant bits, the tail of a row padded with raw 0.
public enum Packing {
    /// Packs one row of quants [columns] into `scheme.words(columns)` words.
    public static func pack(
        _ quants: UnsafeBufferPointer<Int8>, bits: Int, into words: UnsafeMutableBufferPointer<UInt32>
    ) {
        let perWord = 32 / bits
        let full = quants.count / perWord
        precondition(words.count == (quants.count + perWord - 1) / perWord, "a word for every \(perWord) values")
        let source = UnsafeRawPointer(quants.baseAddress)
        if bits == 4 {
            for i in 0..<full { words[i] = nibbles(source!.loadUnaligned(fromByteOffset: 8 * i, as: UInt64.self)) }
        } else {
            for i in 0..<full {
                let four = UInt32(littleEndian: source!.loadUnaligned(fromByteOffset: 4 * i, as: UInt32.self))
                words[i] = (four ^ 0x8080_8080).littleEndian
            }
        }
        if full < words.count {
            var word: UInt32 = 0
            for i in full * perWord..<quants.count {
                word |= unsigned(quants[i], bits) << UInt32(bits * (i % perWord))
            }
            words[full] = word.littleEndian
        }
    }

    /// Eight bytes, each a signed 4-bit number, to one word. Flipping the sign bit of a nibble adds 8 to it.
    @inline(__always)
    private static func nibbles(_ bytes: UInt64) -> UInt32 {
        var v = (UInt64(littleEndian: bytes) ^ 0x0808_0808_0808_0808) & 0x0F0F_0F0F_0F0F_0F0F
        v = (v | v >> 4) & 0x00FF_00FF_00FF_00FF
        v = (v | v >> 8) & 0x0000_FFFF_0000_FFFF
        v |= v >> 16
        return UInt32(truncatingIfNeeded: v).littleEndian
    }

    @inline(__always)
    private static func unsigned(_ value: Int8, _ bits: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: Int32(value) + (1 << (bits - 1))) & ((1 << UInt32(bits)) - 1)
    }

    /// Unpacks the first `quants.count` values of one row, from words at any address.
    public static func unpack(_ words: UnsafeRawBufferPointer, bits: Int, into quants: UnsafeMutableBufferPointer<Int8>)
    {
        precondition(words.count * 8 >= quants.count * bits, "words for every value")
        if bits == 8 {
            for i in 0..<quants.count { quants[i] = Int8(bitPattern: words[i] ^ 0x80) }
            return
        }
        for i in 0..<quants.count {
            let nibble = (words[i / 2] >> UInt8(4 * (i & 1))) & 0x0F
            quants[i] = Int8(nibble) - 8
        }
    }

    /// Packs zero points [rows, groups] along the rows: row r, group c stands in word [r / perWord, c].
    public static func packZeroPoints(_ zeroPoints: [Int8], rows: Int, groups: Int, bits: Int) -> [UInt32] {
        precondition(zeroPoints.count == rows * groups, "a zero point for every group")
        let perWord = 32 / bits
        var words = [UInt32](repeating: 0, count: (rows + perWord - 1) / perWord * groups)
        for row in 0..<rows {
            for group in 0..<groups {
                let value = unsigned(zeroPoints[row * groups + group], bits) << UInt32(bits * (row % perWord))
                words[row / perWord * groups + group] |= value
            }
        }
        return words.map(\.littleEndian)
    }

    /// The inverse of `packZeroPoints`: signed zero points [rows, groups].
    public static func unpackZeroPoints(_ words: [UInt32], rows: Int, groups: Int, bits: Int) -> [Int8] {
        let perWord = 32 / bits
        precondition(words.count == (rows + perWord - 1) / perWord * groups, "a word for every \(perWord) rows")
        let mask: UInt32 = (1 << UInt32(bits)) - 1
        var zeroPoints = [Int8](repeating: 0, count: rows * groups)
        for row in 0..<rows {
            for group in 0..<groups {
                let word = UInt32(littleEndian: words[row / perWord * groups + group])
                let value = Int32((word >> UInt32(bits * (row % perWord))) & mask) - (1 << (bits - 1))
                zeroPoints[row * groups + group] = Int8(value)
            }
        }
        return zeroPoints
    }
}
