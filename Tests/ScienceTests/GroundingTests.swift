import Science
import Testing

@Suite struct GroundingTests {
    @Test(
        arguments: [
            ("59.2萬", 592_000, 500), ("592,711", 592_711, 0.5), ("0.0000012", 1.2e-6, 5e-8),
            ("4.48e-07", 4.48e-7, 5e-10),
            ("97.31 %", 97.31, 0.005), ("９７．３％", 97.3, 0.05), ("1.55 兆", 1.55e12, 5e9), ("150 million", 1.5e8, 5e5),
            ("−39 %", -39, 0.5), ("3百萬", 3e6, 5e5), ("Tick 31,473,834。", 31_473_834, 0.5),
        ] as [(String, Double, Double)])
    func reads(text: String, value: Double, tolerance: Double) throws {
        let numbers = NumberGrounding.numbers(in: text)
        let number = try #require(numbers.first)
        #expect(numbers.count == 1)
        #expect(abs(number.value - value) <= abs(value) * 1e-12)
        #expect(abs(number.tolerance - tolerance) <= tolerance * 1e-9)
    }

    @Test func severalAndNone() {
        #expect(NumberGrounding.numbers(in: "紀元174，品質97.3%，2025-08-20").map(\.value) == [174, 97.3, 2025, 8, 20])
        #expect(NumberGrounding.numbers(in: "int8 and v1 hold no number, 無").isEmpty)
        #expect(NumberGrounding.numbers(in: "1,2,3").map(\.value) == [1, 2, 3])
        #expect(NumberGrounding.numbers(in: "").isEmpty)
    }

    @Test func groundedAndNot() {
        let facts = [592_711, 97.31, 1.2e-6, -38.6, 0.9731]
        func loose(_ text: String) -> [String] { NumberGrounding.ungrounded(in: text, facts: facts).map(\.text) }
        #expect(loose("活躍地址約59.3萬，即592,711；價格 0.0000012") == [])
        // With a scale word, rounded and cut are both the fact's own digits.
        #expect(loose("活躍地址約59.2萬") == [])
        #expect(loose("活躍地址約59.1萬、59.4萬、60萬") == ["59.1萬", "59.4萬", "60萬"])
        #expect(loose("592 thousand, 0.59 million, 五十九萬") == [])
        #expect(loose("quality 97.3 %, down 38.6 %") == [])
        #expect(loose("quality 98 %") == ["98 %"])
        #expect(NumberGrounding.rate(of: "97.31 and 5", facts: facts) == 0.5)
        #expect(NumberGrounding.rate(of: "no numbers", facts: facts) == nil)
    }

    /// Of a number said, at least the first digit must be the fact's.
    @Test func nothingIsRoundedAway() {
        func loose(_ text: String, _ fact: Double) -> Bool {
            !NumberGrounding.ungrounded(in: text, facts: [fact]).isEmpty
        }
        #expect(loose("0", 4.48e-7) && loose("1", 0.6) && loose("0 %", 0.4) && loose("100", 60))
        #expect(!loose("0", 0) && !loose("2", 1.5) && !loose("10", 9.97) && !loose("0.0000004", 4.48e-7))
        #expect(!loose("97 %", 0.9731), "a percentage may say a share")
    }

    @Test func chineseNumerals() {
        func values(_ text: String) -> [Double] { NumberGrounding.numbers(in: text).map(\.value) }
        #expect(values("五十九萬二千七百一十一") == [592_711])
        #expect(values("三百個，一千零五") == [300, 1005])
        #expect(values("十二億") == [1.2e9])
        #expect(values("十分穩定，一個萬一，三三兩兩") == [])
        // A comma of sentences parts numbers.
        #expect(values("紀元161，592,711個") == [161, 592_711])
        #expect(values("1000,200") == [1000, 200])
    }

    @Test func spansOfTime() {
        let span = GroundingFact(name: "secondsToEpochEnd", value: 309_600, secondsOfUnit: 1)
        func bears(_ text: String) -> Bool { NumberGrounding.ungrounded(in: text, facts: [span]).isEmpty }
        #expect(bears("86 hours") && bears("3.6 days") && bears("剩 86 小時") && bears("5160 minutes"))
        #expect(!bears("85 hours") && !bears("86"))
        let count = GroundingFact(name: "tick", value: 7200)
        #expect(!NumberGrounding.ungrounded(in: "2 hours", facts: [count]).isEmpty, "a tick is no span")
    }

    /// Whatever a constraint lets a text spell, the check lets stand.
    @Test(arguments: [
        592_711.0, 97.3125, 4.48e-7, 171_234_567_890_123, 0, 5, 1.5, 38.6, 69_141_501, 310_000, 1e-12, 2e17,
    ])
    func spellingsAreGrounded(value: Double) {
        let spellings = NumberWording.spellings(of: value)
        #expect(!spellings.isEmpty)
        for text in spellings {
            #expect(NumberGrounding.ungrounded(in: "x \(text) y", facts: [value]).isEmpty, "\(text) of \(value)")
        }
        if value == 592_711 {
            #expect(spellings.isSuperset(of: ["592711", "592,711", "59.2萬", "59.3萬", "59.27萬"]))
        }
        if value == 97.3125 { #expect(spellings == ["97", "97.3", "97.31", "97.312", "97.3125"]) }
    }

    /// Hostile text is read over, not trapped on.
    @Test func hostile() {
        let long = String(repeating: "9", count: 100_000)
        #expect(NumberGrounding.numbers(in: long).count == 1)
        #expect(NumberGrounding.numbers(in: "1e9999 1e 1. ,,, -").count == 3)
        #expect(NumberGrounding.ungrounded(in: long, facts: [1]).count == 1)
        #expect(NumberGrounding.ungrounded(in: "1e9999", facts: [1]).count == 1)
    }
}
