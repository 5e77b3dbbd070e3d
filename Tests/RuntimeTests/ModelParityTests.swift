import Foundation
import Runtime
import Synchronization
import Testing

/// The model against transformers: every activation, the logits, and the greedy tokens. Goldens and the script that
/// made them: Tests/Fixtures/models.
@Suite struct ModelParityTests {
    static let models = ["llama", "llama3-rope", "llama-linear", "qwen2-tied", "qwen2-untied", "mistral"]

    /// fp32 sums of up to a few hundred products of order one in another order; the bound on logits.
    static let tolerance: Float = 1e-3

    @Test(arguments: models, [1, 2])
    func everyActivationEqualsTransformers(_ name: String, stages: Int) async throws {
        let golden = try Golden(name)
        let collector = ActivationCollector()
        let engine = try golden.engine(stages: stages, observer: collector)
        defer { engine.stop() }
        _ = try await engine.run(golden.request(maxTokens: 1))

        let seen = collector.points
        for (point, expected) in golden.activations {
            let got = try #require(seen[point], "\(name): \(point) was not observed")
            #expect(got.count == expected.count, "\(name) \(point)")
            let worst = zip(got, expected).map { abs($0 - $1) }.max() ?? 0
            #expect(worst <= Self.tolerance, "\(name) \(point): largest difference \(worst)")
        }
    }

    @Test(arguments: models)
    func greedyTokensEqualTransformers(_ name: String) async throws {
        let golden = try Golden(name)
        let engine = try golden.engine(stages: 2)
        defer { engine.stop() }
        let completion = try await engine.run(golden.request(maxTokens: golden.greedyTokens.count))
        #expect(completion.texts[0].tokens == golden.greedyTokens)
    }
}

/// A fixture model with what transformers computed for it.
struct Golden {
    let checkpoint: Checkpoint
    let prompt: [Int32]
    let greedyTokens: [Int32]
    /// Values by point, e.g. "layers/01/resid_mid".
    let activations: [String: [Float]]

    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/models")

    static func directory(_ name: String) -> URL { folder.appending(path: name) }

    init(_ name: String) throws {
        checkpoint = try Checkpoint(directory: Self.directory(name))
        let file = try SafetensorsFile(url: Self.folder.appending(path: "goldens/\(name).safetensors"))
        var activations: [String: [Float]] = [:]
        var tokens: [String: [Int32]] = [:]
        for (tensor, entry) in file.entries {
            try file.withBytes(tensor) { bytes in
                if entry.info.dtype == .i32 {
                    tokens[tensor] = Array(bytes.bindMemory(to: Int32.self))
                } else {
                    activations[tensor] = Array(bytes.bindMemory(to: Float.self))
                }
            }
        }
        self.activations = activations
        prompt = tokens["prompt_tokens"]!
        greedyTokens = tokens["greedy_tokens"]!
    }

    func engine(stages: Int, observer: (any EngineObserver)? = nil, _ change: (inout EngineOptions) -> Void = { _ in })
        throws -> Engine
    {
        var options = EngineOptions()
        options.stages = stages
        options.cacheBytes = 8 << 20
        change(&options)
        return try Engine(checkpoint, tokenizer: nil, options: options, observer: observer)
    }

    func request(_ id: String = "golden", maxTokens: Int) -> Request {
        var request = Request(
            id: id, program: [.tokens(prompt), .generate(name: "text", maxTokens: maxTokens, stop: [])], traced: true)
        request.ignoresEndTokens = true
        return request
    }
}

/// Keeps all that it is shown.
final class ActivationCollector: EngineObserver {
    private let values = Mutex<[String: [Float]]>([:])
    var points: [String: [Float]] { values.withLock { $0 } }
    var wantsPatterns: Bool { true }
    var wantsAllLogits: Bool { true }

    func observe(
        _ point: TracePoint, request: String, startPosition: Int, rows: Int, width: Int,
        values: UnsafeBufferPointer<Float>
    ) {
        self.values.withLock { $0[point.path(layers: 2), default: []] += values }
    }

    func observePattern(
        layer: Int, request: String, startPosition: Int, rows: Int, heads: Int, keys: Int,
        values: UnsafeBufferPointer<Float>
    ) {
        self.values.withLock { $0["layers/0\(layer)/attn_pattern"] = Array(values) }
    }

    func began(_ request: String, prompt: [Int32]) {}
    func fed(_ request: String, tokens: [Int32]) {}
    func finished(_ completion: Completion) {}
}
