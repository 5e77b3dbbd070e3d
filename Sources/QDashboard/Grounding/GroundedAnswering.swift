import Foundation
import Runtime
import Science

/// Answers a request such that its texts state facts only: written freely first, and where a number is none of the facts
/// that the prompt showed, a second time with the digits held to them. The common case costs nothing.
public struct GroundedAnswering: Sendable {
    public let engine: any Answering
    private let second = DispatchQueue(label: "grounding", attributes: .concurrent)

    public init(_ engine: any Answering) { self.engine = engine }

    public struct Outcome: Sendable {
        public var completion: Completion
        /// The completion's texts, their slots filled.
        public var texts: [String]
        public var grounding: AnswerGrounding

        init(_ completion: Completion, _ slots: FactSlots, shown: [GroundingFact], first: AnswerGrounding? = nil) {
            let filled = completion.texts.map { slots.filled($0.text) }
            self.completion = completion
            texts = filled.map(\.text)
            grounding = AnswerGrounding(
                texts, shown: shown,
                first: first.map { .init(numbers: $0.numbers.count, ungrounded: $0.ungrounded.count) })
            grounding.add(filled.flatMap(\.unknown))
        }
    }

    /// As `Engine.submit`; slots of the texts are filled.
    ///
    /// The second text goes into no trace, and has what is left of the deadline; where nothing is, the first one stands.
    public func submit(
        _ request: Request, shown: [GroundingFact], slots: FactSlots = FactSlots(),
        completion: @escaping @Sendable (Result<Outcome, any Error>) -> Void
    ) throws {
        try engine.submit(request) { result in
            let first: Completion
            switch result {
            case .success(let value): first = value
            case .failure(let error): return completion(.failure(error))
            }
            let outcome = Outcome(first, slots, shown: shown)
            var again = request
            again.traced = false
            again.deadline = request.deadline.map { $0 - first.timings.total }
            let rest = Self.continuation(of: request.program, first, shown, slots)
            guard let rest, !first.timedOut, again.deadline.map({ $0 > 0 }) ?? true else {
                return completion(.success(outcome))
            }
            again.program = rest.program
            // The engine's thread is not kept from the others.
            second.async { [again] in
                let finish: @Sendable (Result<Completion, any Error>) -> Void = { result in
                    completion(
                        result.map {
                            Outcome(
                                first.continued(by: $0, keeping: rest.keeps), slots, shown: shown,
                                first: outcome.grounding)
                        })
                }
                do {
                    try engine.submit(again, completion: finish)
                } catch {
                    finish(.failure(error))
                }
            }
        }
    }

    /// Answers a request.
    public func run(
        _ request: Request, shown: [GroundingFact], slots: FactSlots = FactSlots()
    ) async throws -> Outcome {
        try await withCheckedThrowingContinuation { continuation in
            do {
                try submit(request, shown: shown, slots: slots) { continuation.resume(with: $0) }
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }

    /// The program that goes on from the first text with a number that is no fact: what was said before it is given, and
    /// it and all texts after it are held to the facts. Nil where all numbers are facts; those in a slot's name are none.
    static func continuation(
        of program: [ProgramStep], _ first: Completion, _ shown: [GroundingFact], _ slots: FactSlots = FactSlots()
    ) -> (program: [ProgramStep], keeps: (choices: Int, texts: Int))? {
        let bad = first.texts.firstIndex {
            !NumberGrounding.ungrounded(in: slots.filled($0.text).text, facts: shown).isEmpty
        }
        guard let bad else { return nil }
        // The prompt's language, by which only the words for thousands and millions are chosen.
        let isChinese =
            program.reduce(0) { sum, step in
                guard case .text(let text) = step else { return sum }
                return sum + text.unicodeScalars.count { (0x4E00...0x9FFF).contains($0.value) }
            } >= 30
        let spellings = shown.flatMap { NumberWording.spellings(of: $0, inChinese: isChinese) }
        let inNames = slots.values.keys.flatMap { NumberGrounding.numbers(in: $0).map(\.text) }
        let numbers = NumberSpellings(
            Set(spellings + inNames).sorted() + Self.padded(Set(shown.map { abs($0.value) })),
            scales: NumberGrounding.scaleWords)
        var steps: [ProgramStep] = []
        var choices = 0
        var texts = 0
        for step in program {
            switch step {
            case .choose where texts <= bad:
                // As the engine appends it: encoded by itself.
                steps.append(.text(first.choices[choices].label))
                choices += 1
            case .generate(let name, let maxTokens, let stop):
                if texts < bad {
                    steps.append(.tokens(first.texts[texts].tokens))
                } else {
                    steps.append(
                        .generateWithNumbers(name: name, maxTokens: maxTokens, stop: stop, numbers: numbers))
                }
                texts += 1
            case .generateWithNumbers, .json:
                steps.append(texts < bad ? .tokens(first.texts[texts].tokens) : step)
                texts += 1
            case .text, .tokens, .choose: steps.append(step)
            }
        }
        return (steps, (choices: choices, texts: bad))
    }

    /// Days, hours and minutes as clocks write them.
    private static func padded(_ values: Set<Double>) -> [String] {
        (0...9).filter { values.contains(Double($0)) }.map { "0\($0)" }
    }
}
