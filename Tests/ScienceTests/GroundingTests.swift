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
        #expect(loose("活躍地址約59.2萬") == ["59.2萬"])
        #expect(loose("quality 97.3 %, down 38.6 %") == [])
        #expect(loose("quality 98 %") == ["98 %"])
        #expect(NumberGrounding.rate(of: "97.31 and 5", facts: facts) == 0.5)
        #expect(NumberGrounding.rate(of: "no numbers", facts: facts) == nil)
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
