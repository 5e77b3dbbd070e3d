import Foundation
import Runtime
import Synchronization

/// Answers snapshots with an engine: the same steps for `qinfer run` and `qbench run`.
public struct SnapshotRun: Sendable {
    public let engine: Engine
    public let prompt: PreparedPrompt
    public let modelDigest: String
    public let nodeID: String
    /// Nil for a run without urgency: all wait in order, and for ever.
    public let urgency: TaskClass?
    /// Answers known already; nil computes all.
    public var cache: CachedAnswers?

    /// How one request ended.
    public struct Outcome: Sendable {
        public let request: AnalysisRequest
        /// Seconds from the start of the run to the request's arrival.
        public let arrival: Double
        public let result: Result<(answer: AnswerRecord, timing: TimingRecord, completion: Completion), any Error>
    }

    public init(
        engine: Engine, prompt: PreparedPrompt, modelDigest: String, nodeID: String, urgency: TaskClass? = nil,
        cache: CachedAnswers? = nil
    ) {
        self.cache = cache
        self.urgency = urgency
        self.engine = engine
        self.prompt = prompt
        self.modelDigest = modelDigest
        self.nodeID = nodeID
    }

    /// Answers what `next` gives, at most `inFlight` at once, and hands each outcome to `finished` as it comes, in any
    /// order, on the engine's thread or another one. Returns when all are answered.
    public func run(
        inFlight: Int, traced: Bool = false, next: () throws -> AnalysisRequest?,
        finished: @escaping @Sendable (Outcome) -> Void
    ) throws {
        let answering = GroundedAnswering(engine: engine)
        let room = DispatchSemaphore(value: inFlight)
        let all = DispatchGroup()
        let keeping = cache.map { KeptAnswers($0) }
        defer { all.wait() }
        let began = ProcessInfo.processInfo.systemUptime
        while true {
            // Asked for only when there is room: what is given out is at work.
            room.wait()
            guard let request = try giving(room, next) else {
                all.wait()
                try keeping?.settle()
                return
            }
            let arrival = ProcessInfo.processInfo.systemUptime - began
            let facts = request.allFacts
            let shown = prompt.prompt.numbersShown(of: facts)
            var work = Request(id: request.id, program: prompt.program(for: facts), traced: traced)
            if let urgency { (work.priority, work.deadline) = (urgency.priority, urgency.deadline) }
            if let known = try cache?.answer(to: work, shown: shown).flatMap(AnswerRecord.init) {
                finished(recalled(known, for: request, arrival: arrival))
                room.signal()
                continue
            }
            all.enter()
            let end: @Sendable (Result<GroundedAnswering.Outcome, any Error>) -> Void = { [work] result in
                let outcome = Outcome(
                    request: request, arrival: arrival,
                    result: result.map {
                        (answer(to: request, $0), timing(of: request, $0.completion), $0.completion)
                    })
                keeping?.keep(outcome, for: work, shown: shown)
                finished(outcome)
                room.signal()
                all.leave()
            }
            do {
                try answering.submit(work, shown: shown, completion: end)
            } catch {
                end(.failure(error))
            }
        }
    }

    /// A place that was taken is given back where there is no request for it.
    private func giving(_ room: DispatchSemaphore, _ next: () throws -> AnalysisRequest?) rethrows -> AnalysisRequest? {
        var request: AnalysisRequest?
        defer { if request == nil { room.signal() } }
        request = try next()
        return request
    }

    private func recalled(_ known: AnswerRecord, for request: AnalysisRequest, arrival: Double) -> Outcome {
        var answer = known
        (answer.id, answer.nodeID) = (request.id, nodeID)
        let completion = Completion.recalled(
            request.id, promptTokens: answer.promptTokens, outputTokens: answer.outputTokens)
        return Outcome(
            request: request, arrival: arrival, result: .success((answer, .cached(id: request.id), completion)))
    }

    private func answer(to request: AnalysisRequest, _ outcome: GroundedAnswering.Outcome) -> AnswerRecord {
        let completion = outcome.completion
        let grounding = GroundingRecord(outcome.grounding)
        let chosen = completion.choices.first { $0.name == "sentiment" }
        let choice = prompt.prompt.choices.first { $0.name == "sentiment" }
        let probabilities = zip(choice?.options ?? [], chosen?.probabilities ?? []).map {
            AnswerRecord.Probability($0.value, $1)
        }
        let best = probabilities.max { $0.value < $1.value }
        let text = completion.texts.first { $0.name == "analysis" }
        return AnswerRecord(
            id: request.id, analysis: (text?.text ?? "").trimmingCharacters(in: .whitespacesAndNewlines),
            sentiment: best?.label ?? "", confidence: best?.value ?? 0, nodeID: nodeID,
            promptTokens: completion.promptTokens, outputTokens: completion.outputTokens, modelDigest: modelDigest,
            promptDigest: prompt.prompt.digest, probabilities: probabilities,
            finishReason: completion.timedOut ? "timeout" : text?.finishReason.rawValue ?? "stop",
            grounding: grounding)
    }

    private func timing(of request: AnalysisRequest, _ completion: Completion) -> TimingRecord {
        let timings = completion.timings
        return TimingRecord(
            id: request.id, queue: timings.queue * 1e3, prefill: timings.prefill * 1e3, decode: timings.decode * 1e3,
            total: timings.total * 1e3, timeToFirstToken: timings.timeToFirstToken * 1e3,
            stages: timings.stages.map { $0 * 1e3 })
    }
}
