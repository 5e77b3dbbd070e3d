import Foundation

/// Finds the numbers of a text in English or Chinese, and checks them against facts.
public enum NumberGrounding {
    /// Numbers with grouping (592,711), decimals, exponents (4.48e-07), percent (97.3 %, 97.3％), full-width digits,
    /// Chinese numerals with a place (五十九萬, 三百), and scale words: 百 千 萬/万 億/亿 兆, thousand, million, billion,
    /// trillion (k, M, B are units too often). Digits that are part of a word (int8), and English number words, are none.
    public static func numbers(in text: String) -> [StatedNumber] {
        var scalars: [Unicode.Scalar] = []
        for scalar in text.unicodeScalars {
            // Full-width forms to ASCII, but for the comma, which parts sentences and no thousands.
            let plain =
                (0xFF01...0xFF5E).contains(scalar.value) && scalar != "，"
                ? Unicode.Scalar(scalar.value - 0xFEE0)! : scalar
            scalars.append(plain == "−" ? "-" : plain)
        }
        var found: [StatedNumber] = []
        var i = 0
        while i < scalars.count {
            if let numeral = ChineseNumeral(scalars, at: i) {
                var end = i + numeral.length
                let isPercent = Self.isPercent(scalars, &end)
                found.append(
                    StatedNumber(
                        text: Self.text(scalars[i..<end]), value: numeral.value, tolerance: numeral.unit / 2,
                        isPercent: isPercent, isScaled: numeral.unit >= 1000,
                        secondsOfUnit: secondsOfUnit(scalars, at: end)))
                i = end
                continue
            }
            guard isDigit(scalars[i]), i == 0 || !continuesWord(scalars[i - 1]) else {
                i += 1
                continue
            }
            let begin = i > 0 && scalars[i - 1] == "-" && (i == 1 || !isDigit(scalars[i - 2])) ? i - 1 : i
            var digits = begin < i ? "-" : ""
            var decimals = 0
            var hasGroups = false
            while i < scalars.count {
                if isDigit(scalars[i]) {
                    digits.unicodeScalars.append(scalars[i])
                } else if scalars[i] == ",", hasGroups || i - begin <= (digits.first == "-" ? 4 : 3),
                    i + 3 < scalars.count, (1...3).allSatisfy({ isDigit(scalars[i + $0]) }),
                    i + 4 >= scalars.count || !isDigit(scalars[i + 4])
                {
                    hasGroups = true
                } else {
                    break
                }
                i += 1
            }
            if i + 1 < scalars.count, scalars[i] == ".", isDigit(scalars[i + 1]) {
                digits += "."
                i += 1
                while i < scalars.count, isDigit(scalars[i]) {
                    digits.unicodeScalars.append(scalars[i])
                    decimals += 1
                    i += 1
                }
            }
            var exponent = 0
            if i + 1 < scalars.count, scalars[i] == "e" || scalars[i] == "E" {
                var j = i + 1
                var power = ""
                if scalars[j] == "-" || scalars[j] == "+" {
                    power.unicodeScalars.append(scalars[j])
                    j += 1
                }
                let first = j
                while j < scalars.count, isDigit(scalars[j]), j - first < 4 {
                    power.unicodeScalars.append(scalars[j])
                    j += 1
                }
                if j > first, let value = Int(power) { (exponent, i) = (value, j) }
            }
            guard let mantissa = Double(digits) else { continue }
            var after = i
            while after < scalars.count, scalars[after] == " " || scalars[after] == "\u{A0}" { after += 1 }
            var scale = 1.0
            if let (word, factor) = scales.first(where: { starts(scalars, at: after, with: $0.word) }) {
                scale = factor
                i = after + word.unicodeScalars.count
            }
            let isPercent = Self.isPercent(scalars, &i)
            let unit = pow(10, Double(exponent - decimals)) * scale
            found.append(
                StatedNumber(
                    text: Self.text(scalars[begin..<i]), value: mantissa * pow(10, Double(exponent)) * scale,
                    tolerance: unit / 2, isPercent: isPercent, isScaled: scale > 1,
                    secondsOfUnit: secondsOfUnit(scalars, at: i)))
        }
        return found
    }

    /// The numbers that no fact bears out; see `GroundingFact.bears`.
    public static func ungrounded(in text: String, facts: [GroundingFact]) -> [StatedNumber] {
        numbers(in: text).filter { number in !facts.contains { $0.bears(number) } }
    }

    public static func ungrounded(in text: String, facts: [Double]) -> [StatedNumber] {
        ungrounded(in: text, facts: facts.map { GroundingFact(name: "", value: $0) })
    }

    /// Share of the text's numbers that facts bear out; nil where it states none.
    public static func rate(of text: String, facts: [Double]) -> Double? {
        let count = numbers(in: text).count
        return count == 0 ? nil : 1 - Double(ungrounded(in: text, facts: facts).count) / Double(count)
    }

    /// Words that multiply the number before them.
    public static var scaleWords: [String] { scales.map(\.word) }

    static let scales: [(word: String, factor: Double)] = [
        ("百萬", 1e6), ("百万", 1e6), ("千萬", 1e7), ("千万", 1e7), ("萬億", 1e12), ("万亿", 1e12), ("百", 1e2), ("千", 1e3),
        ("萬", 1e4), ("万", 1e4), ("億", 1e8), ("亿", 1e8), ("兆", 1e12), ("thousand", 1e3), ("million", 1e6),
        ("billion", 1e9), ("trillion", 1e12),
    ]

    private static let timeUnits: [(word: String, seconds: Double)] = [
        ("second", 1), ("秒", 1), ("minute", 60), ("分", 60), ("hour", 3600), ("小時", 3600), ("小时", 3600),
        ("day", 86_400), ("天", 86_400),
    ]

    private static func secondsOfUnit(_ scalars: [Unicode.Scalar], at index: Int) -> Double? {
        var index = index
        while index < scalars.count, scalars[index] == " " || scalars[index] == "\u{A0}" { index += 1 }
        return timeUnits.first { starts(scalars, at: index, with: $0.word) }?.seconds
    }

    /// A percent sign, perhaps behind spaces; goes past it.
    private static func isPercent(_ scalars: [Unicode.Scalar], _ index: inout Int) -> Bool {
        var after = index
        while after < scalars.count, scalars[after] == " " || scalars[after] == "\u{A0}" { after += 1 }
        guard after < scalars.count, scalars[after] == "%" else { return false }
        index = after + 1
        return true
    }

    private static func text(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: scalars)
        return String(text)
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool { ("0"..."9").contains(scalar) }

    private static func continuesWord(_ scalar: Unicode.Scalar) -> Bool {
        ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || scalar == "_" || scalar == "."
    }

    private static func starts(_ scalars: [Unicode.Scalar], at index: Int, with word: String) -> Bool {
        let word = Array(word.unicodeScalars)
        guard index + word.count <= scalars.count else { return false }
        return (0..<word.count).allSatisfy { scalars[index + $0] == word[$0] }
    }
}
