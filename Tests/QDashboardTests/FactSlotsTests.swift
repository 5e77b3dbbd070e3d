import Foundation
import QDashboard
import Testing

/// Slots: a model names a line of its prompt in brackets, and the line's value stands there.
@Suite struct FactSlotsTests {
    private static func prompt(_ header: String) throws -> Prompt {
        let text = """
            # Slots
            prompt: analysis
            language: en
            version: 1
            generate analysis: max-tokens="8"\(header)

            === user
            {{facts}}
            === facts
            Tick: {{tick}}
            Last tick: {{secondsSinceLastTick|0}} s ago, {{secondsSinceLastTick|fresh<30<late}}
            Price: {{priceUSD|9}} USD
            === assistant
            {{generate analysis}}
            """
        return try Prompt(text: text, file: "slots.en.prompt")
    }

    private static var facts: Facts {
        var facts = Facts()
        facts["tick"] = .integer(47_284_863)
        facts["secondsSinceLastTick"] = .decimal(41.4)
        return facts
    }

    @Test func filled() throws {
        let slots = FactSlots(try Self.prompt(#" | slots="[]""#), Self.facts)
        #expect(slots.values == ["Tick": "47,284,863", "Last tick": "41", "Last tick 2": "late"])
        let (text, unknown) = slots.filled("Tick [Tick] came [Last tick] s ago, [Last tick 2]; [Price] USD [ ] [Tick")
        #expect(text == "Tick 47,284,863 came 41 s ago, late; [Price] USD [ ] [Tick")
        #expect(unknown == ["[Price]", "[ ]"], "a line that is not said fills nothing")
    }

    @Test func onlyWhereAsked() throws {
        let slots = FactSlots(try Self.prompt(""), Self.facts)
        #expect(slots == FactSlots() && slots.filled("[Tick]").text == "[Tick]" && slots.filled("[Tick]").unknown == [])
        #expect(throws: PromptError.self) { try Self.prompt(#" | slots="()""#) }
    }
}
