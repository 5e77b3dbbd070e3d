import Foundation
import Science

extension Prompt {
    /// What a text written for this prompt may state: the numbers of the lines that the prompt says, the facts behind them
    /// in full, the parts of their moments, and the numbers of quoted text (news). What the person asked is no fact: its
    /// numbers are not among them.
    public func numbersShown(of facts: Facts) -> [GroundingFact] {
        var shown: [GroundingFact] = []
        for line in factLines {
            let names = line.pieces.compactMap { if case .fact(let name, _) = $0 { name } else { nil } }
            guard let said = line.said(of: facts), !names.contains(Facts.questionName) else { continue }
            for name in names where !shown.contains(where: { $0.name == name }) {
                shown += Self.numbers(name, facts[name])
            }
            // As rounded by the prompt, and with the numbers of its own wording ("of the last 10,000 ticks").
            let wording = Set(
                line.pieces.flatMap { piece -> [Double] in
                    guard case .text(let literal) = piece else { return [] }
                    return NumberGrounding.numbers(in: literal).map(\.value)
                })
            shown += NumberGrounding.numbers(in: said.joined()).map {
                GroundingFact(
                    name: names.first ?? "prompt", value: $0.value,
                    secondsOfUnit: Facts.secondsOfUnit(names.first ?? ""), isWording: wording.contains($0.value))
            }
        }
        return shown
    }

    /// The facts of the lines that the prompt says, in its order, but for the question.
    public func factsShown(of facts: Facts) -> [(name: String, value: Facts.Value)] {
        var shown: [(name: String, value: Facts.Value)] = []
        for line in factLines {
            let names = line.pieces.compactMap { if case .fact(let name, _) = $0 { name } else { nil } }
            guard names.allSatisfy({ facts[$0] != nil }) else { continue }
            for name in names where name != Facts.questionName && !shown.contains(where: { $0.name == name }) {
                facts[name].map { shown.append((name, $0)) }
            }
        }
        return shown
    }

    private static func numbers(_ name: String, _ value: Facts.Value?) -> [GroundingFact] {
        switch value {
        case .integer(let value):
            [GroundingFact(name: name, value: Double(value), secondsOfUnit: Facts.secondsOfUnit(name))]
        case .decimal(let value): [GroundingFact(name: name, value: value, secondsOfUnit: Facts.secondsOfUnit(name))]
        case .moment(let date):
            Timestamp.text(date).split { !$0.isNumber }.compactMap { Double($0) }.map {
                GroundingFact(name: name, value: $0)
            }
        case .word(let text), .text(let text):
            NumberGrounding.numbers(in: text).map { GroundingFact(name: name, value: $0.value) }
        case .lines(let lines):
            NumberGrounding.numbers(in: lines.joined(separator: "\n")).map {
                GroundingFact(name: name, value: $0.value)
            }
        case nil: []
        }
    }

}

extension Facts {
    /// The fact that is a person's question.
    public static let questionName = "question"

    /// Spans of time say their unit in their name: its seconds, nil of any other fact.
    public static func secondsOfUnit(_ name: String) -> Double? {
        // secondsPerTick is a rate, and rates are said as they are.
        if name.hasPrefix("secondsPer") { return nil }
        if name.hasPrefix("seconds") || name.hasSuffix("Seconds") { return 1 }
        return name.hasPrefix("hours") || name.hasSuffix("Hours") ? 3600 : nil
    }
}
