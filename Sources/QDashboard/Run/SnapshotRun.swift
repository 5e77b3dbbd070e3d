import Foundation
import Runtime
import Synchronization

/// Answers snapshots with an engine: the same steps for `qinfer run` and `qbench run`.
public struct SnapshotRun: Sendable {
    public let engine: Engine
    public let prompts: PromptSet
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

    /// As below, with one prompt for all requests.
    public init(
        engine: Engine, prompt: PreparedPrompt, modelDigest: String, nodeID: String, urgency: TaskClass? = nil,
        cache: CachedAnswers? = nil
    ) {
        self.init(
            engine: engine, prompts: PromptSet(prompt), modelDigest: modelDigest, nodeID: nodeID, urgency: urgency,
            cache: cache)
    }

    public init(
        engine: Engine, prompts: PromptSet, modelDigest: String, nodeID: String, urgency: TaskClass? = nil,
        cache: CachedAnswers? = nil
    ) {
        self.cache = cache
        self.urgency = urgency
        self.engine = engine
        self.prompts = prompts
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
            let composer: AnswerComposer
            do {
                composer = try AnswerComposer(request, prompts, modelDigest: modelDigest)
            } catch {
                finished(Outcome(request: request, arrival: arrival, result: .failure(error)))
                room.signal()
                continue
            }
            let shown = composer.numbersShown
            var work = Request(id: request.id, program: composer.program, traced: traced)
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
                        (
                            composer.answer($0, nodeID: nodeID), AnswerComposer.timing(of: request, $0.completion),
                            $0.completion
                        )
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
}
