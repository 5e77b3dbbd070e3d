import Foundation
import Synchronization

/// What a comparison runs over.
public struct ComparisonOptions: Sendable {
    /// Tokens of a window; each is a text of its own, and each of its tokens but the first is predicted.
    public var window = 256
    /// Tokens in all, in whole windows from the text's beginning; nil takes the whole text.
    public var tokens: Int?
    /// Windows over which the layers' outputs are compared.
    public var layerWindows = 2
    /// How the candidate is computed: in fp32, quantized weights alone are judged.
    public var precision = ComputePrecision.auto
    /// Threads; nil takes all cores.
    public var threads: Int?

    public init() {}
}

/// A candidate beside its reference, as the runtime computes both: int8 activations where weights are quantized.
public struct ModelComparison: Sendable {
    public let summary: DivergenceSummary
    /// In the order of their use: the decoder's, and embedding and head where their weights are not the reference's.
    public let layers: [LayerComparison]
    public let windows: Int

    /// - Throws: `EvaluationError`, and what the engine throws.
    public static func run(
        reference: Checkpoint, candidate: Checkpoint, text: [Int32], options: ComparisonOptions,
        progress: @Sendable (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) async throws -> ModelComparison {
        let context = min(reference.configuration.contextLength, candidate.configuration.contextLength)
        guard options.window >= 2, options.window < context else {
            throw EvaluationError.invalid(
                name: "--window", expected: "2 to \(context - 1)", got: "\(options.window)")
        }
        let count = min(text.count, options.tokens ?? text.count) / options.window
        guard count >= 1 else {
            throw EvaluationError.tooShort(
                place: "--text", tokens: min(text.count, options.tokens ?? text.count), needed: options.window)
        }
        let windows = (0..<count).map { Array(text[$0 * options.window..<($0 + 1) * options.window]) }
        let exact = try LogitReader(reference, options, .auto)
        let other = try LogitReader(candidate, options, options.precision)
        defer {
            exact.stop()
            other.stop()
        }
        let pool = ThreadPool(threads: options.threads ?? ProcessInfo.processInfo.activeProcessorCount)
        var tokens: [TokenDivergence] = []
        for (index, window) in windows.enumerated() {
            let expected = try await exact.logits(window)
            let got = try await other.logits(window)
            tokens += try Self.compare(expected, got, window, pool, place: candidate.directory.path)
            progress(index + 1, count)
        }
        exact.stop()
        other.stop()
        return ModelComparison(
            summary: DivergenceSummary(tokens),
            layers: try LayerComparison.all(
                reference: reference, candidate: candidate, windows: Array(windows.prefix(options.layerWindows)),
                precision: options.precision, threads: options.threads),
            windows: count)
    }

    /// Every position of the window but the last predicts the token after it.
    private static func compare(
        _ expected: [Float], _ got: [Float], _ window: [Int32], _ pool: ThreadPool, place: String
    ) throws -> [TokenDivergence] {
        let width = expected.count / window.count
        let results = Mutex([TokenDivergence?](repeating: nil, count: window.count - 1))
        pool.run(window.count - 1) { row, _ in
            let range = row * width..<(row + 1) * width
            let divergence = expected.withUnsafeBufferPointer { expected in
                got.withUnsafeBufferPointer { got in
                    TokenDivergence(
                        reference: UnsafeBufferPointer(rebasing: expected[range]),
                        candidate: UnsafeBufferPointer(rebasing: got[range]), next: Int(window[row + 1]))
                }
            }
            results.withLock { $0[row] = divergence }
        }
        return try results.withLock { $0 }.enumerated().map { row, result in
            guard let result else { throw EvaluationError.notFinite(place: place, position: row) }
            return result
        }
    }
}

extension ModelComparison {
    /// A text to compare over.
    /// - Throws: `CheckpointError.file` where the file cannot be read, `EvaluationError.notText` where it is not UTF-8.
    public static func text(reading url: URL) throws -> String {
        let data = try readFile(url, limit: 1 << 30)
        let invalid = data.withUnsafeBytes { firstInvalidUTF8($0.bindMemory(to: UInt8.self)) }
        if let invalid { throw EvaluationError.notText(place: url.path, offset: invalid, byte: data[invalid]) }
        return String(decoding: data, as: UTF8.self)
    }
}

/// The logits of every position of a text.
private final class LogitReader: EngineObserver {
    private let rows = Mutex<[Float]>([])
    private let engine = Mutex<Engine?>(nil)

    init(_ checkpoint: Checkpoint, _ options: ComparisonOptions, _ precision: ComputePrecision) throws {
        var engineOptions = EngineOptions()
        engineOptions.stages = 1
        engineOptions.threadsPerStage = options.threads
        engineOptions.precision = precision
        let made = try Engine(checkpoint, tokenizer: nil, options: engineOptions, observer: self)
        engine.withLock { $0 = made }
    }

    /// [tokens, vocabulary]
    func logits(_ tokens: [Int32]) async throws -> [Float] {
        rows.withLock { $0.removeAll(keepingCapacity: true) }
        guard let engine = engine.withLock({ $0 }) else { preconditionFailure("the engine has been stopped") }
        _ = try await engine.run(
            Request(
                id: "window", program: [.tokens(tokens), .generate(name: "next", maxTokens: 1, stop: [])],
                traced: true))
        return rows.withLock { $0 }
    }

    /// Ends the engine, which holds this as its observer.
    func stop() {
        let last = engine.withLock { engine in
            defer { engine = nil }
            return engine
        }
        last?.stop()
    }

    var wantsPatterns: Bool { false }
    var wantsAllLogits: Bool { true }
    func began(_ request: String, prompt: [Int32]) {}
    func fed(_ request: String, tokens: [Int32]) {}
    func finished(_ completion: Completion) {}
    func observePattern(
        layer: Int, request: String, startPosition: Int, rows: Int, heads: Int, keys: Int,
        values: UnsafeBufferPointer<Float>
    ) {}

    func observe(
        _ point: TracePoint, request: String, startPosition: Int, rows count: Int, width: Int,
        values: UnsafeBufferPointer<Float>
    ) {
        guard case .logits = point else { return }
        rows.withLock { $0 += values }
    }
}
