import Foundation
import QDashboard
import Runtime
import Synchronization

/// Asks a model for labels alone, with temperatures of 1, and fits what they should be.
public struct ModelCalibrator: Sendable {
    public var model: URL
    public var engine: EngineOptions
    public var chatTemplate: String?
    public var prompts: URL

    public init(model: URL, engine: EngineOptions, chatTemplate: String?, prompts: URL) {
        (self.model, self.engine, self.chatTemplate, self.prompts) = (model, engine, chatTemplate, prompts)
    }

    /// - Parameters:
    ///   - requests: a file of them, with labels beside it.
    ///   - progress: hears of the answers so far, on the engine's thread.
    /// - Returns: the fit, and the file that holds it.
    /// - Throws: `CalibrationError`, what the reader, the prompts and the engine throw, and the first request's failure.
    public func fit(
        _ requests: URL, limit: Int? = nil, progress: @escaping @Sendable (Int) -> Void = { _ in }
    ) throws -> (TemperatureFit, JSONValue) {
        let labels = try TemperatureFit.labels(of: requests)
        let reader = try RequestReader(paths: [requests.path], computesFacts: true, digestsInput: false)
        let checkpoint = try Checkpoint(directory: model)
        let digest = try checkpoint.digest()
        let library = try PromptLibrary(directory: prompts)
        let runner = try Engine(checkpoint, tokenizer: Tokenizer(directory: model), options: engine)
        defer { runner.stop() }
        let set = try PromptSet(
            library, template: ChatTemplate(directory: model, override: chatTemplate), language: .english
        ).labelsOnly.contextual(runner)
        let run = SnapshotRun(engine: runner, prompts: set, modelDigest: digest, nodeID: "calibration")
        let outcomes = Mutex<[SnapshotRun.Outcome]>([])
        var asked = 0
        try run.run(inFlight: engine.concurrency * 2) { _ in
            while asked < limit ?? .max, let item = try reader.next() {
                // Without a label, and without a choice, there is nothing to learn from.
                guard case .request(let request) = item, labels[request.id] != nil,
                    try !set.prompt(for: request).prompt.choices.isEmpty
                else { continue }
                asked += 1
                return request
            }
            return nil
        } finished: { outcome in
            progress(
                outcomes.withLock {
                    $0.append(outcome)
                    return $0.count
                })
        }
        let answers = try outcomes.withLock { $0 }.sorted { $0.request.ordinal < $1.request.ordinal }
            .map { try $0.result.get().answer }
        let fit = try TemperatureFit(answers, labels: labels, place: requests.path)
        return (fit, fit.json(dataset: requests.lastPathComponent, modelDigest: digest))
    }
}
