import Foundation
import Runtime
import Science

/// Answers a question over a recording from its facts.
public struct Asking: Sendable {
    public let answering: GroundedAnswering
    public let prompt: PreparedPrompt
    public let modelDigest: String
    private let cache: CachedAnswers?

    /// - Throws: `AskError.prompt` where the prompt writes no text named "answer", or does not take the question.
    public init(engine: Engine, prompt: PreparedPrompt, modelDigest: String, cache: CachedAnswers? = nil) throws {
        let texts = prompt.prompt.answer.compactMap { if case .generate(let text) = $0 { text.name } else { nil } }
        guard texts == ["answer"] else {
            throw AskError.prompt(file: prompt.prompt.file, problem: "must generate answer, and nothing else")
        }
        let takesQuestion = prompt.prompt.factLines.contains { line in
            line.pieces.contains { if case .fact(Facts.questionName, _) = $0 { true } else { false } }
        }
        guard takesQuestion else {
            throw AskError.prompt(file: prompt.prompt.file, problem: "has no place for {{question}}")
        }
        answering = GroundedAnswering(engine)
        self.prompt = prompt
        self.cache = cache
        self.modelDigest = modelDigest
    }

    /// - Parameter facts: of the recordings.
    /// - Throws: `AskError.noFacts`, and `EngineError` such as a prompt longer than the context.
    public func answer(_ question: Question, facts: Facts, paths: [String] = []) async throws -> AskAnswer {
        var facts = facts
        facts[Facts.questionName] = .lines([Quoting.promptData(question.text, limit: Question.limit)])
        let shown = prompt.prompt.numbersShown(of: facts)
        guard !shown.isEmpty else { throw AskError.noFacts(paths: paths) }
        let request = Request(id: "question", program: prompt.program(for: facts))
        var answer = AskAnswer(
            question: question.text, language: prompt.prompt.language, answer: "",
            grounding: AnswerGrounding([], shown: shown), facts: prompt.prompt.factsShown(of: facts), promptTokens: 0,
            outputTokens: 0, modelDigest: modelDigest, promptDigest: prompt.prompt.digest, finishReason: "")
        if let known = try cache?.answer(to: request, shown: shown), let text = known["answer"]?.string {
            answer.answer = text
            answer.grounding = AnswerGrounding(
                [text], shown: shown, first: known["grounding"].flatMap(GroundingRecord.init)?.first)
            answer.promptTokens = known["prompt_tokens"]?.int ?? 0
            answer.outputTokens = known["output_tokens"]?.int ?? 0
            answer.finishReason = known["finish_reason"]?.string ?? ""
            answer.cached = true
            return answer
        }
        let outcome = try await answering.run(request, shown: shown, slots: FactSlots(prompt.prompt, facts))
        let text = outcome.completion.texts.first
        answer.answer = (outcome.texts.first ?? "").trimmingCharacters(in: .whitespacesAndNewlines)
        answer.grounding = outcome.grounding
        answer.promptTokens = outcome.completion.promptTokens
        answer.outputTokens = outcome.completion.outputTokens
        answer.finishReason = text?.finishReason.rawValue ?? "length"
        try cache?.keep(answer.kept, for: request, shown: shown)
        return answer
    }
}

/// An answer, with what it rests on.
public struct AskAnswer: Sendable, Equatable {
    public var question: String
    public var language: Language
    public var answer: String
    public var grounding: AnswerGrounding
    /// That the prompt showed, in its order.
    public var facts: [(name: String, value: Facts.Value)]
    public var promptTokens: Int
    public var outputTokens: Int
    public var modelDigest: String
    public var promptDigest: String
    public var finishReason: String
    /// Whether it comes from the answer cache.
    public var cached = false

    public static func == (a: Self, b: Self) -> Bool { a.json == b.json }

    /// What the cache keeps.
    var kept: JSONValue {
        object([
            ("answer", .string(answer)), ("grounding", GroundingRecord(grounding).json),
            ("prompt_tokens", .integer(promptTokens)), ("output_tokens", .integer(outputTokens)),
            ("finish_reason", .string(finishReason)),
        ])
    }

    public var json: JSONValue {
        var values = JSONObject()
        for (name, value) in facts {
            let unit = FactDefinition.all.first { $0.name == name }?.unit
            values[name] = object([("value", value.json)] + (unit.map { [("unit", .string($0))] } ?? []))
        }
        let named = Set(grounding.numbers.flatMap(\.facts))
        let used = facts.map(\.name).filter(named.contains)
        return object([
            ("question", .string(question)), ("language", .string(language.rawValue)), ("answer", .string(answer)),
            ("grounding", grounding.details), ("facts_used", .array(used.map(JSONValue.string))),
            ("facts", .object(values)), ("prompt_tokens", .integer(promptTokens)),
            ("output_tokens", .integer(outputTokens)), ("finish_reason", .string(finishReason)),
            ("model_digest", .string(modelDigest)), ("prompt_digest", .string(promptDigest)),
            ("cached", .bool(cached)),
        ])
    }
}
