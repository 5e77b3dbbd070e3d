import Foundation
import Runtime

/// Requests as messages and an answer's frame, before any chat template: what `qinfer render` prints, and what training
/// reads.
public struct PromptRenderer: Sendable {
    public let library: PromptLibrary

    public init(library: PromptLibrary) { self.library = library }

    /// `{"id","task","language","messages":[{"role","content"}…],"answer":[{"text"}|{"choose","options"}|{"generate",…}]}`
    ///
    /// - Parameters: task and language of a request that names none.
    /// - Throws: `PromptError.unknown`.
    public func line(_ request: AnalysisRequest, task: AnswerTask, language: Language) throws -> JSONValue {
        let task = request.task ?? task
        let language = request.language ?? language
        let prompt = try library.prompt(task.rawValue, language: language)
        let facts = prompt.text(of: request.allFacts)
        return object([
            ("id", .string(request.id)), ("task", .string(task.rawValue)), ("language", .string(language.rawValue)),
            (
                "messages",
                .array(
                    prompt.messages.map { message in
                        [
                            "role": .string(message.role),
                            "content": .string(message.content.replacing(Prompt.factsPlace, with: facts)),
                        ]
                    })
            ),
            ("answer", .array(prompt.answer.map(\.json))),
        ])
    }
}

extension Prompt.AnswerPart {
    fileprivate var json: JSONValue {
        switch self {
        case .text(let text): ["text": .string(text)]
        case .choose(let choice):
            [
                "choose": .string(choice.name),
                "options": .array(
                    choice.options.map { ["value": .string($0.value), "label": .string($0.label)] }),
            ]
        case .generate(let generation):
            [
                "generate": .string(generation.name), "max_tokens": .integer(generation.maxTokens),
                "stop": .array(generation.stop.map(JSONValue.string)),
            ]
        }
    }
}
