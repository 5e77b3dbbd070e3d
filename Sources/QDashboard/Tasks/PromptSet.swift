import Foundation
import Runtime

/// The prompts of a run, each prepared for its model: one of each task and language that requests may name.
public struct PromptSet: Sendable {
    private struct Key: Hashable {
        var task: String
        var language: Language
    }

    private var prepared: [Key: PreparedPrompt] = [:]
    /// Of requests that name none.
    public let task: AnswerTask
    public let language: Language
    private let library: [Prompt]

    /// Prepares every prompt of the library that is a task's.
    ///
    /// - Parameters:
    ///   - task: and language, of requests that name none; the library must have that prompt.
    ///   - calibration: the model's temperatures.
    /// - Throws: `PromptError`, and what the template throws.
    public init(
        _ library: PromptLibrary, template: ChatTemplate, task: AnswerTask = .analysis, language: Language,
        calibration: ModelCalibration = ModelCalibration()
    ) throws {
        (self.task, self.language, self.library) = (task, language, library.prompts)
        _ = try library.prompt(task.rawValue, language: language)
        for prompt in library.prompts where AnswerTask(rawValue: prompt.name) != nil {
            var ready = try prompt.prepared(for: template)
            for choice in prompt.choices {
                ready.scoring[choice.name, default: .init()].perToken = choice.scoring.perToken
                ready.scoring[choice.name, default: .init()].temperature = calibration.temperature(
                    "\(prompt.name).\(choice.name)")
            }
            prepared[Key(task: prompt.name, language: prompt.language)] = ready
        }
    }

    /// One prompt for all requests, whatever they name.
    public init(_ prompt: PreparedPrompt) {
        task = AnswerTask(rawValue: prompt.prompt.name) ?? .analysis
        (language, library) = (prompt.prompt.language, [prompt.prompt])
        only = prompt
    }

    private var only: PreparedPrompt?

    public func task(of request: AnalysisRequest) -> AnswerTask { only == nil ? request.task ?? task : task }
    public func language(of request: AnalysisRequest) -> Language {
        only == nil ? request.language ?? language : language
    }

    /// Throws `PromptError.unknown` where no prompt is for the request's task and language.
    public func prompt(for request: AnalysisRequest) throws -> PreparedPrompt {
        if let only { return only }
        let (task, language) = (task(of: request), language(of: request))
        guard let prompt = prepared[Key(task: task.rawValue, language: language)] else {
            throw PromptError.unknown(
                name: task.rawValue, language: language.rawValue,
                known: library.map { "\($0.name) (\($0.language.rawValue))" })
        }
        return prompt
    }

    /// The same, without the texts that follow labels.
    public var labelsOnly: PromptSet {
        var set = self
        for key in prepared.keys { set.prepared[key]?.labelsOnly = true }
        set.only?.labelsOnly = true
        return set
    }

    /// In the order of names and languages.
    private var all: [PreparedPrompt] {
        only.map { [$0] }
            ?? prepared.sorted { ($0.key.task, $0.key.language.rawValue) < ($1.key.task, $1.key.language.rawValue) }
            .map(\.value)
    }

    /// What decides answers, for a ledger: the digest of the one prompt, or of the list of them; and of what a template
    /// makes of them.
    var digests: (prompts: String, templates: String) {
        let all = all
        func digest(_ parts: [String]) -> String {
            parts.count == 1 ? parts[0] : Digest.hex(Data(parts.joined(separator: "\n").utf8))
        }
        return (
            digest(all.map(\.prompt.digest)), digest(all.map { Digest.hex(Data($0.fixedPrefix.utf8)) })
        )
    }

    /// The set with what labels are worth of themselves taken off, where prompts ask for that: each such prompt is put to
    /// the model with a text that says nothing (T. Z. Zhao et al., "Calibrate Before Use", 2021).
    ///
    /// Waits for the engine: not on a thread that it needs. Throws what it throws.
    public func contextual(_ engine: any Answering) throws -> PromptSet {
        var set = self
        for (key, prompt) in prepared {
            guard let (program, choices) = prompt.contentFree else { continue }
            let box = Answer()
            do {
                try engine.submit(Request(id: "content-free", program: program)) { box.set($0) }
            } catch EngineError.promptTooLong {
                // Then no request fits either, whose facts are longer: each is rejected by name.
                continue
            }
            let completion = try box.wait().get()
            for outcome in completion.choices where choices.contains(outcome.name) {
                set.prepared[key]?.scoring[outcome.name, default: .init()].offsets = outcome.logProbabilities
            }
        }
        return set
    }

    private final class Answer: @unchecked Sendable {
        private let done = DispatchSemaphore(value: 0)
        private var result: Result<Completion, any Error>?
        func set(_ result: Result<Completion, any Error>) {
            self.result = result
            done.signal()
        }
        func wait() -> Result<Completion, any Error> {
            done.wait()
            return result!
        }
    }
}
