import Dispatch
import Synchronization

/// A pipeline whose scheduler is in another process, as rank 0 sees it.
public final class RemotePipeline: Answering {
    private let job: Job
    private let head: Int
    private let state = Mutex(State())

    private struct State {
        var number: UInt64 = 0
        var away: [UInt64: @Sendable (Result<Completion, any Error>) -> Void] = [:]
        var failure: JobError?
    }

    fileprivate init(_ job: Job, head: Int) {
        self.job = job
        self.head = head
        job.onFailure { [weak self] error in
            guard let self else { return }
            let away = state.withLock { state in
                state.failure = error
                defer { state.away = [:] }
                return state.away
            }
            for completion in away.values { completion(.failure(error)) }
        }
    }

    public func submit(
        _ request: Request, completion: @escaping @Sendable (Result<Completion, any Error>) -> Void
    ) throws {
        let number: UInt64? = state.withLock { state in
            guard state.failure == nil else { return nil }
            state.number += 1
            state.away[state.number] = completion
            return state.number
        }
        guard let number else { throw state.withLock { $0.failure! } }
        job.messenger.send(try Parcel(encoding: NumberedRequest(number: number, request: request)), .request, to: head)
    }

    /// Has the pipeline's first rank sign, with its own key.
    /// - Throws: `JobError`, also where nothing comes within the peer timeout.
    public func signature(of statement: [UInt8]) throws -> NodeSignature {
        try job.signature(of: statement, by: head)
    }

    fileprivate func completed(_ answer: NumberedCompletion) throws {
        guard let completion = state.withLock({ $0.away.removeValue(forKey: answer.number) }) else {
            throw ParcelReader.Malformed(what: "request \(answer.number) was not asked or is answered already")
        }
        if let whole = answer.completion { return completion(.success(whole)) }
        completion(.failure(answer.error ?? RelayedError(wording: Wording("pipeline", "no answer and no error"))))
    }
}

/// Rank 0's own pipeline: its tokens are counted as other pipelines' are by their first ranks.
public final class OwnPipeline: Answering {
    private let job: Job
    private let engine: Engine

    public init(_ job: Job, _ engine: Engine) {
        self.job = job
        self.engine = engine
    }

    public func submit(
        _ request: Request, completion: @escaping @Sendable (Result<Completion, any Error>) -> Void
    ) throws {
        try engine.submit(request) { [job] result in
            if case .success(let whole) = result { job.count(whole) }
            completion(result)
        }
    }
}

private struct NumberedRequest: Codable {
    var number: UInt64
    var request: Request
}

private struct NumberedCompletion: Codable {
    var number: UInt64
    var completion: Completion?
    var error: RelayedError?
}

extension Job {
    /// Rank 0: the pipelines beside its own. Call it before rank 0 says that work begins.
    public func remotePipelines() -> [RemotePipeline] {
        let remote = (1..<max(1, place.replicas)).map { RemotePipeline(self, head: $0 * place.stages) }
        handle(.completion) { [place] parcel, rank in
            guard rank % place.stages == 0, (1...remote.count).contains(rank / place.stages) else {
                throw ParcelReader.Malformed(what: "the rank has no pipeline of its own")
            }
            try remote[rank / place.stages - 1].completed(try parcel.decode())
        }
        return remote
    }

    /// The first rank of another pipeline: has `engine` answer what rank 0 sends. Call it before rank 0 says that work
    /// begins; then `serve`.
    public func offer(_ engine: Engine) {
        // Not on the messages' thread: taking a request in encodes its text.
        let queue = DispatchQueue(label: "requests")
        handle(.request) { [weak self] parcel, _ in
            queue.async { [weak self] in
                guard let self else { return }
                do {
                    let asked: NumberedRequest = try parcel.decode()
                    answer(asked, engine)
                } catch {
                    fail(.malformed(0, place, kind: "request", what: "\(error)"))
                }
            }
        }
        reportRegularly { [weak engine] in engine?.ownUsage ?? [] }
    }

    private func answer(_ asked: NumberedRequest, _ engine: Engine) {
        let end: @Sendable (Result<Completion, any Error>) -> Void = { [weak self] result in
            guard let self else { return }
            var answer = NumberedCompletion(number: asked.number)
            switch result {
            case .success(let completion):
                // Before it is told, so that who knows of the answer finds it counted.
                count(completion)
                answer.completion = completion
            case .failure(let error):
                // The job's own end is told by other means.
                if error is JobError { return }
                answer.error = RelayedError(error)
            }
            do {
                messenger.send(try Parcel(encoding: answer), .completion, to: 0)
            } catch {
                fail(.malformed(place.rank, place, kind: "completion", what: "\(error)"))
            }
        }
        do {
            try engine.submit(asked.request, completion: end)
        } catch {
            end(.failure(error))
        }
    }

    /// Works until rank 0 says that the work is done.
    /// - Throws: what ended the job.
    public func serve() throws { try waitForStop() }
}
