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

    /// How one request ended.
    public struct Outcome: Sendable {
        public let request: AnalysisRequest
        /// Seconds from the start of the run to the request's arrival.
        public let arrival: Double
        public let result: Result<(answer: AnswerRecord, timing: TimingRecord, completion: Completion), any Error>
    }

    /// As below, with one prompt for all requests.
    public init(
        engine: Engine, prompt: PreparedPrompt, modelDigest: String, nodeID: String, urgency: TaskClass? = nil
    ) {
        self.init(
            engine: engine, prompts: PromptSet(prompt), modelDigest: modelDigest, nodeID: nodeID, urgency: urgency)
    }

    public init(
        engine: Engine, prompts: PromptSet, modelDigest: String, nodeID: String, urgency: TaskClass? = nil
    ) {
        self.urgency = urgency
        self.engine = engine
        self.prompts = prompts
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
            let composer = Result { try AnswerComposer(request, prompts, modelDigest: modelDigest) }
            let end: @Sendable (Result<Completion, any Error>) -> Void = { result in
                finished(
                    Outcome(
                        request: request, arrival: arrival,
                        result: Result {
                            let completion = try result.get()
                            let answer = try composer.get().answer(completion, nodeID: nodeID)
                            return (
                                answer: answer, timing: AnswerComposer.timing(of: request, completion),
                                completion: completion
                            )
                        }))
                room.signal()
                all.leave()
            }
            do {
                var work = Request(id: request.id, program: try composer.get().program, traced: traced)
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
}
