import Foundation

/// The engine's activations on their way into a trace file.
public final class Trace: EngineObserver {
    private let writer: TraceWriter

    /// - Throws: `TraceError`, also where the file exists and `force` is not set.
    public init(
        url: URL, level: TraceLevel, storage: TraceStorage = .float32, model: ModelConfiguration,
        attributes: [String: String] = [:], force: Bool = false
    ) throws {
        writer = try TraceWriter(
            url: url, level: level,
            model: TraceModel(
                layers: model.layers, hidden: model.hidden, heads: model.heads, vocabulary: model.vocabulary),
            storage: storage, attributes: attributes, force: force)
    }

    /// Closes the file and puts it in place.
    public func finish() throws { try writer.finish() }

    package var wantsPatterns: Bool { writer.keepsPatterns }
    package var wantsAllLogits: Bool { true }

    package func began(_ request: String, prompt: [Int32]) throws {
        try writer.begin(request: request, tokens: prompt)
    }

    package func fed(_ request: String, tokens: [Int32]) throws {
        try writer.append(request: request, tokens: tokens)
    }

    package func observe(
        _ point: TracePoint, request: String, startPosition: Int, rows: Int, width: Int,
        values: UnsafeBufferPointer<Float>
    ) throws {
        try writer.append(
            request: request, point: point, startPosition: startPosition, rows: rows, width: width, values: values)
    }

    package func observePattern(
        layer: Int, request: String, startPosition: Int, rows: Int, heads: Int, keys: Int,
        values: UnsafeBufferPointer<Float>
    ) throws {
        try writer.appendPattern(
            request: request, layer: layer, startPosition: startPosition, rows: rows, heads: heads, keys: keys,
            values: values)
    }

    package func finished(_ completion: Completion) throws {
        let timings = completion.timings
        try writer.end(
            request: completion.id,
            timings: [
                "queue_ms": timings.queue * 1e3, "prefill_ms": timings.prefill * 1e3,
                "decode_ms": timings.decode * 1e3, "total_ms": timings.total * 1e3,
            ])
    }
}
