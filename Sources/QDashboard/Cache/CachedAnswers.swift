import Foundation
import Reporting
import Runtime
import Science
import Synchronization

/// The answer cache as runs and questions use it: keys of all that decides an answer, and answers as JSON.
///
/// Results do not say whether an answer was cached, so that they are the same bytes in every run; timings and the ledger
/// do.
public final class CachedAnswers: Sendable {
    private let cache: AnswerCache
    private let configuration: JSONValue
    private let served = Mutex(0)
    /// Answers served so far.
    public var hits: Int { served.withLock { $0 } }

    /// - Parameter configuration: what decides the answers beside the facts: model, prompt, tokenizer, precision, …; the
    ///   node's name, which is only copied into them, is left out.
    public init(_ cache: AnswerCache, configuration: AnswerConfiguration) {
        self.cache = cache
        self.configuration = object(
            configuration.members.filter { $0.name != "node" }.map { ($0.name, .string($0.value)) })
    }

    /// SHA-256 of the configuration, the sampling, the text with the facts as the prompt words them, and the numbers that
    /// the answer was checked against.
    func key(_ request: Request, _ shown: [GroundingFact]) -> String {
        let steps = request.program.map { step -> JSONValue in .string("\(step)") }
        let sampling = request.sampling
        let values: [Double] = [
            Double(sampling.temperature), Double(sampling.topK), Double(sampling.topP), Double(sampling.minP),
            Double(sampling.repetitionPenalty),
        ]
        return Digest.hex(
            canonical: object([
                ("configuration", configuration), ("program", .array(steps)),
                ("numbers", .array(shown.map { .string("\($0.name) \($0.value)") })),
                ("sampling", .array(values.map(JSONValue.number) + [.string("\(sampling.seed)")])),
            ]))
    }

    func answer(to request: Request, shown: [GroundingFact]) throws -> JSONValue? {
        guard let text = try cache.answer(key(request, shown), digest: { Digest.hex(Data($0.utf8)) }) else {
            return nil
        }
        let answer = try JSONValue(parsing: Data(text.utf8), place: cache.url.path)
        served.withLock { $0 += 1 }
        return answer
    }

    func keep(_ answer: JSONValue, for request: Request, shown: [GroundingFact]) throws {
        let text = String(decoding: answer.serialized(indent: nil), as: UTF8.self)
        try cache.keep(text, digest: Digest.hex(Data(text.utf8)), key: key(request, shown))
    }
}

/// Puts a run's answers into the cache on a queue of its own: neither the engine nor the answers wait for the disk.
final class KeptAnswers: Sendable {
    private let cache: CachedAnswers
    private let queue = DispatchQueue(label: "answer cache")
    private let failure = Mutex<(any Error)?>(nil)

    init(_ cache: CachedAnswers) { self.cache = cache }

    /// What was cut short by its deadline is no answer to keep.
    func keep(_ outcome: SnapshotRun.Outcome, for request: Request, shown: [GroundingFact]) {
        guard case .success(let (answer, _, completion)) = outcome.result, !completion.timedOut else { return }
        queue.async { [self] in
            do {
                try cache.keep(answer.json(), for: request, shown: shown)
            } catch {
                failure.withLock { $0 = $0 ?? error }
            }
        }
    }

    /// Waits for what is on its way, and throws what went wrong first.
    func settle() throws {
        queue.sync {}
        if let error = failure.withLock({ $0 }) { throw error }
    }
}
