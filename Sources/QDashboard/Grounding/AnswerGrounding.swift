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
    /// The numbers of the text as it was first written, where it was written a second time with its digits held to facts.
    public var first: FirstText?

    /// Counts of a text that did not stand.
    public struct FirstText: Sendable, Equatable {
        public var numbers: Int
        public var ungrounded: Int

        public init(numbers: Int, ungrounded: Int) { (self.numbers, self.ungrounded) = (numbers, ungrounded) }
    }

    /// Slots that nothing fills: numbers that are no facts.
    mutating func add(_ unknownSlots: [String]) {
        numbers += unknownSlots.map { Number(text: $0, value: .nan, facts: []) }
    }

    public var regenerated: Bool { first != nil }

    public var ungrounded: [String] { numbers.filter(\.facts.isEmpty).map(\.text) }
    public var isGrounded: Bool { numbers.allSatisfy { !$0.facts.isEmpty } }

    public init(_ texts: [String], shown: [GroundingFact], first: FirstText? = nil) {
        self.first = first
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
    public var first: AnswerGrounding.FirstText?

    public var regenerated: Bool { first != nil }
    public var isGrounded: Bool { ungrounded.isEmpty }

    public init(numbers: Int, ungrounded: [String], first: AnswerGrounding.FirstText? = nil) {
        (self.numbers, self.ungrounded, self.first) = (numbers, ungrounded, first)
    }

    public init(_ grounding: AnswerGrounding) {
        (numbers, ungrounded) = (grounding.numbers.count, grounding.ungrounded)
        first = grounding.first
    }

    /// Nil where it is no such record.
    public init?(_ value: JSONValue) {
        guard let numbers = value["numbers"]?.int, let ungrounded = value["ungrounded"]?.array,
            let regenerated = value["regenerated"]?.bool
        else { return nil }
        self.numbers = numbers
        self.ungrounded = ungrounded.compactMap(\.string)
        if regenerated {
            guard let numbers = value["first_numbers"]?.int, let loose = value["first_ungrounded"]?.int else {
                return nil
            }
            first = .init(numbers: numbers, ungrounded: loose)
        }
        guard self.ungrounded.count == ungrounded.count, ungrounded.count <= numbers else { return nil }
    }

    /// The same in every run: the second text depends on nothing else either.
    public var json: JSONValue {
        object(
            [
                ("grounded", .bool(isGrounded)), ("numbers", .integer(numbers)),
                ("ungrounded", .array(ungrounded.map(JSONValue.string))), ("regenerated", .bool(regenerated)),
            ]
                + (first.map {
                    [("first_numbers", .integer($0.numbers)), ("first_ungrounded", .integer($0.ungrounded))]
                } ?? []))
    }
}
