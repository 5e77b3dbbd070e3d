/// Sees what passes through the stages, for requests that ask for it. Called from the stages' threads; an error fails
/// the request.
package protocol EngineObserver: Sendable {
    /// Whether attention patterns are wanted; they cost heads × positions floats a row.
    var wantsPatterns: Bool { get }
    /// Whether the head is to be computed for every position.
    var wantsAllLogits: Bool { get }

    /// A request begins; its first tokens are the prompt.
    func began(_ request: String, prompt: [Int32]) throws
    /// Tokens beyond the prompt are about to go through the model.
    func fed(_ request: String, tokens: [Int32]) throws

    /// Rows [rows, width] of a point at positions startPosition….
    func observe(
        _ point: TracePoint, request: String, startPosition: Int, rows: Int, width: Int,
        values: UnsafeBufferPointer<Float>) throws

    /// Probabilities [heads, rows, keys]; row r stands at position startPosition + r, keys at 0….
    func observePattern(
        layer: Int, request: String, startPosition: Int, rows: Int, heads: Int, keys: Int,
        values: UnsafeBufferPointer<Float>) throws

    func finished(_ completion: Completion) throws
}
