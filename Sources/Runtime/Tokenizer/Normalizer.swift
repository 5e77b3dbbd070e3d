/// What is done to text before it is cut.
enum Normalizer: Sendable {
    case none
    /// Canonical composition (UAX 15).
    case nfc

    /// The normalized text, or nil where it is the text as it is.
    func normalized(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        guard case .nfc = self, Self.mayChange(text) else { return nil }
        return CanonicalComposition.nfc(text)
    }

    /// False only where normalization certainly changes nothing: below U+0300 everything is composed, and the Chinese,
    /// Japanese and Korean blocks named here hold nothing that composes.
    private static func mayChange(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        var index = 0
        while index < text.count {
            let lead = text[index]
            if lead < 0x80 {
                index += 1
            } else if lead < 0xCC {
                index += 2
            } else if (0xE4...0xE9).contains(lead) {
                // U+4000 … U+9FFF
                index += 3
            } else if lead == 0xE3, text[index + 1] == 0x80, text[index + 2] < 0xAA {
                // U+3000 … U+3029, CJK punctuation
                index += 3
            } else if lead == 0xEF, text[index + 1] == 0xBC || text[index + 1] == 0xBD {
                // U+FF00 … U+FF7F, full-width forms
                index += 3
            } else {
                return true
            }
        }
        return false
    }
}

/// NFC by tables of our own: the tokens of a text must not depend on the Unicode version of a system library, and
/// Foundation's on Linux composes U+10041 with U+0301 to "Á" (it looks at 16 bits).
enum CanonicalComposition {
    private struct Tables {
        /// One step: a character's first part, and its second or 0.
        var parts: [UInt32: (UInt32, UInt32)] = [:]
        var composed: [UInt64: UInt32] = [:]

        init() {
            for entry in UnicodeTables.decompositions.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
                let sign = entry.firstIndex { $0 == "=" || $0 == "!" }!
                let whole = UInt32(entry[..<sign], radix: 16)!
                let halves = entry[entry.index(after: sign)...].split(separator: "+").map { UInt32($0, radix: 16)! }
                parts[whole] = (halves[0], halves.count > 1 ? halves[1] : 0)
                if entry[sign] == "=" { composed[UInt64(halves[0]) << 32 | UInt64(halves[1])] = whole }
            }
        }
    }

    private static let tables = Tables()

    // Hangul is arithmetic (Unicode 3.12).
    private static let (sBase, lBase, vBase, tBase): (UInt32, UInt32, UInt32, UInt32) = (0xAC00, 0x1100, 0x1161, 0x11A7)
    private static let (lCount, vCount, tCount): (UInt32, UInt32, UInt32) = (19, 21, 28)

    static func nfc(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        var scalars: [UInt32] = []
        var classes: [UInt8] = []
        scalars.reserveCapacity(text.count)
        classes.reserveCapacity(text.count)
        let tables = tables
        var index = 0
        while index < text.count {
            let (scalar, length) = decodeScalar(text, at: index)
            decompose(scalar.value, tables, &scalars, &classes)
            index += length
        }
        reorder(&scalars, classes: &classes)
        compose(&scalars, classes: classes, tables)
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        for value in scalars { output.append(contentsOf: UTF8.encode(Unicode.Scalar(value)!)!) }
        return output
    }

    private static func decompose(
        _ value: UInt32, _ tables: Tables, _ scalars: inout [UInt32], _ classes: inout [UInt8]
    ) {
        if value >= 0xC0 {
            if case let syllable = value &- sBase, syllable < lCount * vCount * tCount {
                scalars.append(lBase + syllable / (vCount * tCount))
                scalars.append(vBase + syllable % (vCount * tCount) / tCount)
                if syllable % tCount > 0 { scalars.append(tBase + syllable % tCount) }
                while classes.count < scalars.count { classes.append(0) }
                return
            }
            if let (first, second) = tables.parts[value] {
                decompose(first, tables, &scalars, &classes)
                if second != 0 { decompose(second, tables, &scalars, &classes) }
                return
            }
        }
        scalars.append(value)
        classes.append(combiningClass(value))
    }

    /// 0 for characters newer than Unicode 9.0, whose tables Hugging Face's tokenizers has: to it they are unassigned, and
    /// nothing is reordered across them.
    private static func combiningClass(_ value: UInt32) -> UInt8 {
        guard value >= 0x300, !(0x3400..<0xA000).contains(value) else { return 0 }
        let properties = Unicode.Scalar(value)!.properties
        let combiningClass = properties.canonicalCombiningClass.rawValue
        guard combiningClass > 0, let age = properties.age, age.major <= 9 else { return 0 }
        return combiningClass
    }

    /// Sorts each run of combining marks by class, equal ones staying as they are.
    private static func reorder(_ scalars: inout [UInt32], classes: inout [UInt8]) {
        var start = 0
        while start < scalars.count {
            guard classes[start] > 0 else {
                start += 1
                continue
            }
            var end = start + 1
            var sorted = true
            while end < scalars.count, classes[end] > 0 {
                if classes[end] < classes[end - 1] { sorted = false }
                end += 1
            }
            if !sorted {
                // Sorted with the place as second key, so that a run of a million marks takes no million squared.
                let order = (start..<end).sorted { (classes[$0], $0) < (classes[$1], $1) }
                scalars.replaceSubrange(start..<end, with: order.map { scalars[$0] })
                classes.replaceSubrange(start..<end, with: order.map { classes[$0] })
            }
            start = end
        }
    }

    private static func compose(_ scalars: inout [UInt32], classes: [UInt8], _ tables: Tables) {
        var written = 0
        /// Where the starter is that marks may join; −1 before the first.
        var starter = -1
        /// Class of the last character kept after the starter; −1 right after it.
        var lastClass = -1
        for index in 0..<scalars.count {
            let value = scalars[index]
            let combiningClass = Int(classes[index])
            if starter >= 0, lastClass < combiningClass || lastClass == -1,
                let whole = composition(scalars[starter], value, tables)
            {
                scalars[starter] = whole
                continue
            }
            if combiningClass == 0 {
                starter = written
                lastClass = -1
            } else {
                lastClass = combiningClass
            }
            scalars[written] = value
            written += 1
        }
        scalars.removeSubrange(written...)
    }

    private static func composition(_ first: UInt32, _ second: UInt32, _ tables: Tables) -> UInt32? {
        if case let l = first &- lBase, l < lCount, case let v = second &- vBase, v < vCount {
            return sBase + (l * vCount + v) * tCount
        }
        if case let s = first &- sBase, s < lCount * vCount * tCount, s % tCount == 0,
            case let t = second &- tBase, t > 0, t < tCount
        {
            return first + t
        }
        return tables.composed[UInt64(first) << 32 | UInt64(second)]
    }
}
