import Foundation
import Runtime
import Science

/// Puts an answer together: what the model chose and wrote, and what is computed of the same facts.
struct AnswerComposer: Sendable {
    let request: AnalysisRequest
    let facts: Facts
    let prompt: PreparedPrompt
    let task: AnswerTask
    let language: Language
    let modelDigest: String
    /// That a prediction looks ahead to.
    let horizons: Horizons?

    /// Throws `PromptError.unknown` where the set has no prompt for the request.
    init(_ request: AnalysisRequest, _ prompts: PromptSet, modelDigest: String, horizons: Horizons?) throws {
        self.request = request
        self.modelDigest = modelDigest
        self.horizons = horizons
        prompt = try prompts.prompt(for: request)
        facts = request.allFacts
        task = prompts.task(of: request)
        language = prompts.language(of: request)
    }

    var program: [ProgramStep] { prompt.program(for: facts) }
    var slots: FactSlots { FactSlots(prompt.prompt, facts) }
    /// Of all facts, also those that the prompt does not say.
    var computed: JSONValue? { ComputedAnswer.json(task, facts, of: request, horizons: horizons) }
    /// A prediction that has horizons, and no recording to look ahead from.
    var lacksOutlook: Bool { horizons != nil && task == .prediction && request.facts?.outlook == nil }
    var numbersShown: [GroundingFact] { prompt.prompt.numbersShown(of: facts) }

    func answer(_ outcome: GroundedAnswering.Outcome, nodeID: String) -> AnswerRecord {
        let completion = outcome.completion
        let choices = prompt.prompt.choices.map { choice in
            let outcome = completion.choices.first { $0.name == choice.name }
            return AnswerRecord.Choice(
                choice.name,
                zip(choice.options, outcome?.probabilities ?? []).map { AnswerRecord.Probability($0.value, $1) })
        }
        let text = completion.texts.last
        return AnswerRecord(
            id: request.id, task: task, language: language,
            analysis: (outcome.texts.last ?? "").trimmingCharacters(in: .whitespacesAndNewlines), choices: choices,
            nodeID: nodeID, promptTokens: completion.promptTokens, outputTokens: completion.outputTokens,
            modelDigest: modelDigest, promptDigest: prompt.prompt.digest,
            finishReason: completion.timedOut ? "timeout" : text?.finishReason.rawValue ?? "stop",
            computed: computed,
            grounding: GroundingRecord(outcome.grounding))
    }

    static func timing(of request: AnalysisRequest, _ completion: Completion) -> TimingRecord {
        let timings = completion.timings
        return TimingRecord(
            id: request.id, queue: timings.queue * 1e3, prefill: timings.prefill * 1e3, decode: timings.decode * 1e3,
            total: timings.total * 1e3, timeToFirstToken: timings.timeToFirstToken * 1e3,
            stages: timings.stages.map { $0 * 1e3 })
    }
}
