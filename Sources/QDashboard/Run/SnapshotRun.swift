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

    /// How one request ended.
    public struct Outcome: Sendable {
        public let request: AnalysisRequest
        /// Seconds from the start of the run to the request's arrival.
        public let arrival: Double
        public let result: Result<(answer: AnswerRecord, timing: TimingRecord, completion: Completion), any Error>
    }

    public init(
        engine: Engine, prompt: PreparedPrompt, modelDigest: String, nodeID: String, urgency: TaskClass? = nil
    ) {
        self.urgency = urgency
        self.engine = engine
        self.prompt = prompt
        self.modelDigest = modelDigest
        self.nodeID = nodeID
    }

    /// Answers what `next` gives, at most `inFlight` at once, and hands each outcome to `finished` as it comes: on the
    /// engine's thread, one at a time, in any order. Returns when all are answered.
    public func run(
        inFlight: Int, traced: Bool = false, next: () throws -> AnalysisRequest?,
        finished: @escaping @Sendable (Outcome) -> Void
    ) throws {
        let room = DispatchSemaphore(value: inFlight)
        let all = DispatchGroup()
        defer { all.wait() }
        let began = ProcessInfo.processInfo.systemUptime
        while true {
            // Asked for only when there is room: what is given out is at work.
            room.wait()
            guard let request = try giving(room, next) else { return }
            all.enter()
            let arrival = ProcessInfo.processInfo.systemUptime - began
            let end: @Sendable (Result<Completion, any Error>) -> Void = { result in
                finished(
                    Outcome(
                        request: request, arrival: arrival,
                        result: result.map { (answer(to: request, $0), timing(of: request, $0), $0) }))
                room.signal()
                all.leave()
            }
            do {
                var work = Request(id: request.id, program: prompt.program(for: request), traced: traced)
                if let urgency { (work.priority, work.deadline) = (urgency.priority, urgency.deadline) }
                try engine.submit(work, completion: end)
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

    private func answer(to request: AnalysisRequest, _ completion: Completion) -> AnswerRecord {
        let outcome = completion.choices.first { $0.name == "sentiment" }
        let choice = prompt.prompt.choices.first { $0.name == "sentiment" }
        let probabilities = zip(choice?.options ?? [], outcome?.probabilities ?? []).map {
            AnswerRecord.Probability($0.value, $1)
        }
        let best = probabilities.max { $0.value < $1.value }
        let text = completion.texts.first { $0.name == "analysis" }
        return AnswerRecord(
            id: request.id, analysis: (text?.text ?? "").trimmingCharacters(in: .whitespacesAndNewlines),
            sentiment: best?.label ?? "", confidence: best?.value ?? 0, nodeID: nodeID,
            promptTokens: completion.promptTokens, outputTokens: completion.outputTokens, modelDigest: modelDigest,
            promptDigest: prompt.prompt.digest, probabilities: probabilities,
            finishReason: completion.timedOut ? "timeout" : text?.finishReason.rawValue ?? "stop")
    }

    private func timing(of request: AnalysisRequest, _ completion: Completion) -> TimingRecord {
        let timings = completion.timings
        return TimingRecord(
            id: request.id, queue: timings.queue * 1e3, prefill: timings.prefill * 1e3, decode: timings.decode * 1e3,
            total: timings.total * 1e3, timeToFirstToken: timings.timeToFirstToken * 1e3,
            stages: timings.stages.map { $0 * 1e3 })
    }
}
