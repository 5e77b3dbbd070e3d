import Synchronization

/// The likeliest next token at every position of given texts: what two models are compared by, without letting one's
/// mistakes lead the other astray.
public final class TopTokens: EngineObserver {
    private let tokens = Mutex<[String: [Int32]]>([:])

    public init() {}

    /// Feeds `texts` (tokens by name) to an engine that was made with this observer.
    /// - Returns: the likeliest token after each position, by name.
    public static func of(
        _ texts: [(name: String, tokens: [Int32])], checkpoint: Checkpoint, options: EngineOptions
    ) async throws -> [String: [Int32]] {
        let collector = TopTokens()
        let engine = try Engine(checkpoint, tokenizer: nil, options: options, observer: collector)
        defer { engine.stop() }
        for text in texts {
            _ = try await engine.run(
                Request(
                    id: text.name,
                    program: [.tokens(text.tokens), .generate(name: "next", maxTokens: 1, stop: [])], traced: true))
        }
        return collector.tokens.withLock { $0 }
    }

    package var wantsPatterns: Bool { false }
    package var wantsAllLogits: Bool { true }
    package func began(_ request: String, prompt: [Int32]) {}
    package func fed(_ request: String, tokens: [Int32]) {}
    package func finished(_ completion: Completion) {}
    package func observePattern(
        layer: Int, request: String, startPosition: Int, rows: Int, heads: Int, keys: Int,
        values: UnsafeBufferPointer<Float>
    ) {}

    package func observe(
        _ point: TracePoint, request: String, startPosition: Int, rows: Int, width: Int,
        values: UnsafeBufferPointer<Float>
    ) {
        guard case .logits = point else { return }
        let best = (0..<rows).map { argmax(UnsafeBufferPointer(rebasing: values[$0 * width..<($0 + 1) * width])) }
        tokens.withLock { $0[request, default: []] += best }
    }
}
