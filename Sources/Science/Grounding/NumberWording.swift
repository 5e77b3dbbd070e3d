import Foundation

/// The ways in which a fact may be written in digits: what a text is held to whose numbers did not bear checking.
public enum NumberWording {
    /// Each of them passes `GroundingFact.bears` for the fact itself.
    /// - Parameter inChinese: whether scale words are Chinese or English ones; nil takes both.
    public static func spellings(of value: Double, inChinese: Bool? = nil) -> Set<String> {
        spellings(of: GroundingFact(name: "", value: value), inChinese: inChinese)
    }

    /// As above.
    public static func spellings(of fact: GroundingFact, inChinese: Bool? = nil) -> Set<String> {
        guard fact.value.isFinite else { return [] }
        let value = abs(fact.value)
        var texts: Set<String> = []
        let isWhole = value == value.rounded()
        for decimals in 0...(isWhole ? 0 : 12) {
            let text = String(format: "%.\(decimals)f", value)
            texts.insert(text)
            // All digits that the fact has.
            if Double(text) == value { break }
        }
        texts.formUnion(texts.filter { !$0.contains(".") }.map(grouped))
        for (words, factor, end) in scales where value >= factor && value < end {
            for decimals in 0...2 {
                let unit = pow(10, -Double(decimals))
                for said in [(value / factor / unit).rounded(), (value / factor / unit).rounded(.down)] {
                    let text = String(format: "%.\(decimals)f", said * unit)
                    if decimals > 0, text.hasSuffix("0") { continue }
                    let words = words.filter { inChinese == nil || inChinese != $0.utf8.allSatisfy { $0 < 0x80 } }
                    texts.formUnion(words.flatMap { ["\(text)\($0)", "\(text) \($0)"] })
                }
            }
        }
        return texts.filter { text in
            let numbers = NumberGrounding.numbers(in: text)
            return numbers.count == 1 && fact.bears(numbers[0])
        }
    }

    private static let scales: [(words: [String], factor: Double, end: Double)] = [
        (["萬"], 1e4, 1e8), (["百萬", "million"], 1e6, 1e9), (["億"], 1e8, 1e12), (["billion"], 1e9, 1e12),
        (["兆", "trillion"], 1e12, 1e18),
    ]

    private static func grouped(_ digits: String) -> String {
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index).isMultiple(of: 3) { text.append(",") }
            text.append(digit)
        }
        return text
    }
}
