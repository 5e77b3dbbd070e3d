import Foundation

/// What stands in a text's slots. A model that is asked so writes `[Tick]` in place of a number, and gets what its prompt says
/// on the line `Tick: …`: it judges which fact to state, and spells none. `[With 80 % 2]` is a line's second value.
public struct FactSlots: Sendable, Equatable {
    public private(set) var values: [String: String] = [:]

    /// Without any: texts stay as they are.
    public init() {}

    /// Of the lines that the prompt says; none where its texts have no slots.
    public init(_ prompt: Prompt, _ facts: Facts) {
        guard prompt.hasSlots else { return }
        for line in prompt.factLines {
            guard case .text(let head)? = line.pieces.first,
                let end = head.firstIndex(where: { $0 == ":" || $0 == "：" }),
                let said = line.said(of: facts)
            else { continue }
            let stated = zip(line.pieces, said).compactMap { if case .fact = $0 { $1 } else { nil } }
            for (index, value) in stated.enumerated() {
                values[head[..<end] + (index == 0 ? "" : " \(index + 1)")] = value
            }
        }
    }

    /// The text with its slots filled, and those that no line of the prompt fills, which stay.
    public func filled(_ text: String) -> (text: String, unknown: [String]) {
        guard !values.isEmpty else { return (text, []) }
        var unknown: [String] = []
        let filled = text.replacing(#/\[([^\[\]\n]{1,80})\]/#) { slot in
            if let value = values[String(slot.output.1)] { return value }
            unknown.append(String(slot.output.0))
            return String(slot.output.0)
        }
        return (filled, unknown)
    }
}
