import Foundation
import Runtime
import Science
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
    public let prompts: PromptSet
    public let modelDigest: String
    /// Nil for a run without urgency: all wait in order, and for ever.
    public let urgency: Urgency?
    /// Answers known already; nil computes all.
    public let cache: CachedAnswers?
    /// That predictions look ahead to, where the run has any.
    public let horizons: Horizons?

    /// How one request ended.
    public struct Outcome: Sendable {
        public let request: AnalysisRequest
        /// Seconds from the start of the run to the request's arrival.
        public let arrival: Double
        public let result: Result<(answer: AnswerRecord, timing: TimingRecord, completion: Completion), any Error>
    }

    /// As below, with one node and one prompt for all requests.
    public init(
        engine: Engine, prompt: PreparedPrompt, modelDigest: String, nodeID: String, urgency: Urgency? = nil,
        cache: CachedAnswers? = nil
    ) {
        self.init(
            engine: engine, prompts: PromptSet(prompt), modelDigest: modelDigest, nodeID: nodeID, urgency: urgency,
            cache: cache)
    }

    /// As below, with one node.
    public init(
        engine: Engine, prompts: PromptSet, modelDigest: String, nodeID: String, urgency: Urgency? = nil,
        cache: CachedAnswers? = nil
    ) {
        self.init(
            nodes: [Node(id: nodeID, answering: engine)], prompts: prompts, modelDigest: modelDigest, urgency: urgency,
            cache: cache)
    }

    public init(
        nodes: [Node], prompts: PromptSet, modelDigest: String, urgency: Urgency? = nil, cache: CachedAnswers? = nil,
        horizons: Horizons? = nil
    ) {
        precondition(!nodes.isEmpty)
        self.nodes = nodes
        self.prompts = prompts
        self.modelDigest = modelDigest
        self.urgency = urgency
        self.cache = cache
        self.horizons = horizons
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
        let nodes = (nodes ?? self.nodes[...]).map { (id: $0.id, answering: GroundedAnswering($0.answering)) }
        let room = DispatchSemaphore(value: inFlight * nodes.count)
        let hands = Hands(nodes.count)
        let all = DispatchGroup()
        let keeping = cache.map { KeptAnswers($0) }
        let began = ProcessInfo.processInfo.systemUptime
        do {
            // What fails in here waits for the rest all the same.
            defer { all.wait() }
            while true {
                // Asked for only when there is room: what is given out is at work.
                room.wait()
                if hands.loss != nil {
                    room.signal()
                    break
                }
                let index = hands.emptiest
                let node = nodes[index]
                guard let request = try giving(room, { try next(node.id) }) else { break }
                let arrival = ProcessInfo.processInfo.systemUptime - began
                let composer: AnswerComposer
                do {
                    composer = try AnswerComposer(request, prompts, modelDigest: modelDigest, horizons: horizons)
                } catch {
                    finished(Outcome(request: request, arrival: arrival, result: .failure(error)))
                    room.signal()
                    continue
                }
                if composer.lacksOutlook { horizons?.addPredictionWithout() }
                let shown = composer.numbersShown
                var work = Request(id: request.id, program: composer.program, traced: traced)
                if let taskClass = urgency?.taskClass(of: composer.task) {
                    (work.priority, work.deadline) = (taskClass.priority, taskClass.deadline)
                }
                if let known = try cache?.answer(to: work, shown: shown).flatMap(AnswerRecord.init) {
                    finished(recalled(known, by: node.id, composer, arrival: arrival))
                    room.signal()
                    continue
                }
                all.enter()
                hands.take(index)
                let end: @Sendable (Result<GroundedAnswering.Outcome, any Error>) -> Void = { [work] result in
                    if case .failure(let error) = result, let loss = error as? JobError {
                        hands.lose(loss)
                    } else {
                        let outcome = Outcome(
                            request: request, arrival: arrival,
                            result: result.map {
                                (
                                    composer.answer($0, nodeID: node.id),
                                    AnswerComposer.timing(of: request, $0.completion), $0.completion
                                )
                            })
                        keeping?.keep(outcome, for: work, shown: shown)
                        finished(outcome)
                    }
                    hands.give(index)
                    room.signal()
                    all.leave()
                }
                do {
                    try node.answering.submit(work, shown: shown, slots: composer.slots, completion: end)
                } catch {
                    end(.failure(error))
                }
            }
        }
        try keeping?.settle()
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

    /// What the model said is known; what is computed rests on more facts than its prompt says, and is computed.
    private func recalled(
        _ known: AnswerRecord, by node: String, _ composer: AnswerComposer, arrival: Double
    ) -> Outcome {
        let request = composer.request
        var answer = known
        (answer.id, answer.nodeID, answer.computed) = (request.id, node, composer.computed)
        let completion = Completion.recalled(
            request.id, promptTokens: answer.promptTokens, outputTokens: answer.outputTokens)
        return Outcome(
            request: request, arrival: arrival, result: .success((answer, .cached(id: request.id), completion)))
    }
}
