import Runtime
import Science

/// Whether the numbers of an answer's texts are facts that its prompt showed.
public struct AnswerGrounding: Sendable, Equatable {
    /// A number as it was stated, and the facts that bear it out.
    public struct Number: Sendable, Equatable {
        public let text: String
        public let value: Double
        public let facts: [String]
    }

    public var numbers: [Number]
    /// Whether the text was written a second time, with its digits held to the facts.
    public var regenerated: Bool

    public var ungrounded: [String] { numbers.filter(\.facts.isEmpty).map(\.text) }
    public var isGrounded: Bool { numbers.allSatisfy { !$0.facts.isEmpty } }

    public init(_ texts: [String], shown: [GroundingFact], regenerated: Bool = false) {
        self.regenerated = regenerated
        numbers = texts.flatMap(NumberGrounding.numbers).map { number in
            var names: [String] = []
            for fact in shown where !names.contains(fact.name) && fact.bears(number) { names.append(fact.name) }
            return Number(text: number.text, value: number.value, facts: names)
        }
    }

    /// With each number and its facts.
    public var details: JSONValue {
        object([
            ("grounded", .bool(isGrounded)), ("regenerated", .bool(regenerated)),
            (
                "numbers",
                .array(
                    numbers.map {
                        object([
                            ("text", .string($0.text)), ("value", $0.value.isFinite ? .number($0.value) : .null),
                            ("facts", .array($0.facts.map(JSONValue.string))),
                        ])
                    })
            ),
        ])
    }
}

/// `AnswerGrounding` as results.jsonl keeps it: the counts, without each number's facts.
public struct GroundingRecord: Sendable, Equatable {
    public var numbers: Int
    public var ungrounded: [String]
    public var regenerated: Bool

    public var isGrounded: Bool { ungrounded.isEmpty }

    public init(numbers: Int, ungrounded: [String], regenerated: Bool) {
        (self.numbers, self.ungrounded, self.regenerated) = (numbers, ungrounded, regenerated)
    }

    public init(_ grounding: AnswerGrounding) {
        (numbers, ungrounded) = (grounding.numbers.count, grounding.ungrounded)
        regenerated = grounding.regenerated
    }

    /// Nil where it is no such record.
    public init?(_ value: JSONValue) {
        guard let numbers = value["numbers"]?.int, let ungrounded = value["ungrounded"]?.array,
            let regenerated = value["regenerated"]?.bool
        else { return nil }
        self.numbers = numbers
        self.ungrounded = ungrounded.compactMap(\.string)
        self.regenerated = regenerated
        guard self.ungrounded.count == ungrounded.count, ungrounded.count <= numbers else { return nil }
    }

    public var json: JSONValue {
        object([
            ("grounded", .bool(isGrounded)), ("numbers", .integer(numbers)),
            ("ungrounded", .array(ungrounded.map(JSONValue.string))), ("regenerated", .bool(regenerated)),
        ])
    }
}
