import Foundation
import Runtime
import Synchronization

/// Answers snapshots with an engine, or several: the same steps for `qinfer run` and `qbench run`.
public struct SnapshotRun: Sendable {
    /// Who answers, and under which name.
    public struct Node: Sendable {
        public let id: String
        public let answering: any Answering

        public init(id: String, answering: any Answering) { (self.id, self.answering) = (id, answering) }
    }

    public let nodes: [Node]
    public let prompt: PreparedPrompt
    public let modelDigest: String
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
        self.init(
            nodes: [Node(id: nodeID, answering: engine)], prompt: prompt, modelDigest: modelDigest, urgency: urgency)
    }

    public init(nodes: [Node], prompt: PreparedPrompt, modelDigest: String, urgency: TaskClass? = nil) {
        precondition(!nodes.isEmpty)
        self.nodes = nodes
        self.urgency = urgency
        self.prompt = prompt
        self.modelDigest = modelDigest
    }

    /// Answers what `next` gives, at most `inFlight` at once on each node, and hands each outcome to `finished` as it
    /// comes, in any order. There is one queue: a request goes to the node that has least in hand. Returns when all are
    /// answered.
    /// - Parameter next: told the name of the node that is to answer.
    /// - Throws: what `next` throws, and `JobError` where a node is lost: what was in its hands has no outcome then.
    public func run(
        inFlight: Int, on nodes: ArraySlice<Node>? = nil, traced: Bool = false,
        next: (_ node: String) throws -> AnalysisRequest?, finished: @escaping @Sendable (Outcome) -> Void
    ) throws {
        let nodes = Array(nodes ?? self.nodes[...])
        let room = DispatchSemaphore(value: inFlight * nodes.count)
        let hands = Hands(nodes.count)
        let all = DispatchGroup()
        let began = ProcessInfo.processInfo.systemUptime
        do {
            // What fails in here waits for the rest all the same.
            defer { all.wait() }
            while true {
                // Asked for only when there is room: what is given out is at work.
                room.wait()
                if hands.loss != nil { break }
                let index = hands.emptiest
                let node = nodes[index]
                guard let request = try giving(room, { try next(node.id) }) else { break }
                all.enter()
                hands.take(index)
                let arrival = ProcessInfo.processInfo.systemUptime - began
                let end: @Sendable (Result<Completion, any Error>) -> Void = { result in
                    if case .failure(let error) = result, let loss = error as? JobError {
                        hands.lose(loss)
                    } else {
                        finished(
                            Outcome(
                                request: request, arrival: arrival,
                                result: result.map { (answer(to: request, $0, node.id), timing(of: request, $0), $0) }))
                    }
                    hands.give(index)
                    room.signal()
                    all.leave()
                }
                do {
                    var work = Request(id: request.id, program: prompt.program(for: request), traced: traced)
                    if let urgency { (work.priority, work.deadline) = (urgency.priority, urgency.deadline) }
                    try node.answering.submit(work, completion: end)
                } catch {
                    end(.failure(error))
                }
            }
        }
        if let loss = hands.loss { throw loss }
    }

    /// How many requests each node has in hand, and what ended it all.
    private final class Hands: Sendable {
        private let state: Mutex<(counts: [Int], loss: JobError?)>

        init(_ nodes: Int) { state = Mutex((Array(repeating: 0, count: nodes), nil)) }

        /// The node with the least in hand; of equals the first.
        var emptiest: Int {
            state.withLock { state in state.counts.indices.min { state.counts[$0] < state.counts[$1] }! }
        }
        func take(_ node: Int) { state.withLock { $0.counts[node] += 1 } }
        func give(_ node: Int) { state.withLock { $0.counts[node] -= 1 } }
        func lose(_ loss: JobError) { state.withLock { $0.loss = $0.loss ?? loss } }
        var loss: JobError? { state.withLock { $0.loss } }
    }

    /// A place that was taken is given back where there is no request for it.
    private func giving(_ room: DispatchSemaphore, _ next: () throws -> AnalysisRequest?) rethrows -> AnalysisRequest? {
        var request: AnalysisRequest?
        defer { if request == nil { room.signal() } }
        request = try next()
        return request
    }

    private func answer(to request: AnalysisRequest, _ completion: Completion, _ nodeID: String) -> AnswerRecord {
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
