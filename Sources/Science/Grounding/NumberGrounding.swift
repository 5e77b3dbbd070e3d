import Foundation

/// A number as a text states it.
public struct StatedNumber: Sendable, Equatable {
    /// As it stands in the text.
    public let text: String
    public let value: Double
    /// Half a unit of the last digit said: "59.2萬" is 592 000 ± 500.
    public let tolerance: Double
    public let isPercent: Bool
}

/// Finds the numbers of a text in English or Chinese, and checks them against facts.
public enum NumberGrounding {
    /// Numbers with grouping (592,711), decimals, exponents (4.48e-07), percent (97.3 %, 97.3％), full-width digits, and
    /// scale words: 百 千 萬/万 億/亿 兆, thousand, million, billion, trillion (k, M, B are units too often). Digits that are
    /// part of a word (int8) are none.
    public static func numbers(in text: String) -> [StatedNumber] {
        var scalars: [Unicode.Scalar] = []
        for scalar in text.unicodeScalars {
            // Full-width forms to ASCII.
            let plain =
                (0xFF01...0xFF5E).contains(scalar.value) ? Unicode.Scalar(scalar.value - 0xFEE0)! : scalar
            scalars.append(plain == "−" ? "-" : plain)
        }
        var found: [StatedNumber] = []
        var i = 0
        while i < scalars.count {
            guard isDigit(scalars[i]), i == 0 || !continuesWord(scalars[i - 1]) else {
                i += 1
                continue
            }
            let begin = i > 0 && scalars[i - 1] == "-" && (i == 1 || !isDigit(scalars[i - 2])) ? i - 1 : i
            var digits = begin < i ? "-" : ""
            var decimals = 0
            while i < scalars.count {
                if isDigit(scalars[i]) {
                    digits.unicodeScalars.append(scalars[i])
                } else if scalars[i] == ",", i + 3 < scalars.count, (1...3).allSatisfy({ isDigit(scalars[i + $0]) }),
                    i + 4 >= scalars.count || !isDigit(scalars[i + 4])
                {
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
                after = i
            }
            let isPercent = after < scalars.count && scalars[after] == "%"
            if isPercent { i = after + 1 }
            let unit = pow(10, Double(exponent - decimals)) * scale
            var shown = String.UnicodeScalarView()
            shown.append(contentsOf: scalars[begin..<i])
            found.append(
                StatedNumber(
                    text: String(shown), value: mantissa * pow(10, Double(exponent)) * scale, tolerance: unit / 2,
                    isPercent: isPercent))
        }
        return found
    }

    /// The numbers that no fact bears out: each must be a fact, rounded to the digits said, whatever its sign ("fell by
    /// 3 %"). A percentage may also state a fact that is a share (0–1).
    public static func ungrounded(in text: String, facts: [Double]) -> [StatedNumber] {
        numbers(in: text).filter { number in
            // A number too large for a double would be near everything.
            !number.value.isFinite || !number.tolerance.isFinite
                || !facts.contains { fact in
                    let slack = number.tolerance * (1 + 1e-9) + abs(fact) * 1e-12
                    return abs(abs(number.value) - abs(fact)) <= slack
                        || (number.isPercent && abs(fact) <= 1 && abs(abs(number.value) - abs(fact) * 100) <= slack)
                }
        }
    }

    /// Share of the text's numbers that facts bear out; nil where it states none.
    public static func rate(of text: String, facts: [Double]) -> Double? {
        let count = numbers(in: text).count
        return count == 0 ? nil : 1 - Double(ungrounded(in: text, facts: facts).count) / Double(count)
    }

    private static let scales: [(word: String, factor: Double)] = [
        ("百萬", 1e6), ("百万", 1e6), ("千萬", 1e7), ("千万", 1e7), ("萬億", 1e12), ("万亿", 1e12), ("百", 1e2), ("千", 1e3),
        ("萬", 1e4), ("万", 1e4), ("億", 1e8), ("亿", 1e8), ("兆", 1e12), ("thousand", 1e3), ("million", 1e6),
        ("billion", 1e9), ("trillion", 1e12),
    ]

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
