import Foundation
import Runtime
import Testing

/// Traces written by the engine and read back: the values that transformers has, whole, whatever the stages; and what a
/// reader says of files that are damaged.
@Suite struct TraceTests {
    private func withFolder<R>(_ body: (URL) async throws -> R) async throws -> R {
        let folder = FileManager.default.temporaryDirectory.appending(path: "trace-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        return try await body(folder)
    }

    /// Traces the fixture's prompt and `maxTokens` tokens more.
    private func write(
        _ golden: Golden, to url: URL, level: TraceLevel, stages: Int, maxTokens: Int = 1,
        storage: TraceStorage = .float32
    ) async throws {
        let trace = try Trace(
            url: url, level: level, storage: storage, model: golden.checkpoint.configuration,
            attributes: ["model": "fixture"])
        let engine = try golden.engine(stages: stages, observer: trace)
        defer { engine.stop() }
        _ = try await engine.run(golden.request("a/b: 1", maxTokens: maxTokens))
        try trace.finish()
    }

    @Test(arguments: ModelParityTests.models, [1, 2])
    func valuesEqualTransformers(_ name: String, stages: Int) async throws {
        try await withFolder { folder in
            let golden = try Golden(name)
            let url = folder.appending(path: "t.h5")
            try await write(golden, to: url, level: .full, stages: stages)
            let file = try TraceFile(url: url)
            #expect(file.requests == ["a/b: 1"])
            #expect(file.attributes["model"] == "fixture")
            #expect(try file.tokens(request: "a/b: 1") == golden.prompt)
            for point in TracePoint.all(file.model, level: .full) {
                let path = point.path(layers: file.model.layers)
                let expected = try #require(golden.activations[path], "\(path)")
                let got = try file.values(request: "a/b: 1", point: point)
                #expect(got.shape == [golden.prompt.count, expected.count / golden.prompt.count])
                let worst = zip(got.values, expected).map { abs($0 - $1) }.max() ?? .infinity
                #expect(worst <= ModelParityTests.tolerance, "\(name) \(path): \(worst)")
            }
            for layer in 0..<file.model.layers {
                let expected = try #require(golden.activations["layers/0\(layer)/attn_pattern"])
                let got = try file.pattern(request: "a/b: 1", layer: layer)
                #expect(got.shape == [file.model.heads, golden.prompt.count, golden.prompt.count])
                #expect(zip(got.values, expected).allSatisfy { abs($0 - $1) <= ModelParityTests.tolerance })
            }
        }
    }

    @Test(arguments: [TraceLevel.logits, .residuals, .full])
    func wholeAtEveryLevel(level: TraceLevel) async throws {
        try await withFolder { folder in
            let golden = try Golden("llama")
            let url = folder.appending(path: "t.h5")
            try await write(golden, to: url, level: level, stages: 2, maxTokens: 12)
            let summary = try TraceSummary(TraceFile(url: url))
            #expect(summary.isComplete)
            #expect(summary.completenessPercent == 100)
            let request = try #require(summary.requests.first)
            #expect(request.status == "done")
            // The last token of an answer is never fed to the model.
            #expect(request.tokens == golden.prompt.count + 11)
            #expect(request.promptTokens == golden.prompt.count)
            let layers = golden.checkpoint.configuration.layers
            let expected = [TraceLevel.logits: 2, .residuals: 2 + 2 + 5 * layers, .full: 2 + 2 + 6 * layers]
            #expect(request.expectedDatasets == expected[level])
            #expect(request.notFinite.isEmpty)
        }
    }

    @Test func stagesLeaveTheTraceAlone() async throws {
        try await withFolder { folder in
            let golden = try Golden("qwen2-tied")
            var values: [[Float]] = []
            for stages in [1, 2] {
                let url = folder.appending(path: "\(stages).h5")
                try await write(golden, to: url, level: .residuals, stages: stages, maxTokens: 20)
                let file = try TraceFile(url: url)
                values.append(
                    try TracePoint.all(file.model, level: .residuals).flatMap {
                        try file.values(request: "a/b: 1", point: $0).values
                    })
            }
            #expect(values[0] == values[1])
        }
    }

    @Test func halfPrecision() async throws {
        try await withFolder { folder in
            let golden = try Golden("llama")
            let url = folder.appending(path: "t.h5")
            try await write(golden, to: url, level: .residuals, stages: 1, storage: .float16)
            let file = try TraceFile(url: url)
            let expected = try #require(golden.activations["final_norm"])
            let got = try file.values(request: "a/b: 1", point: .finalNorm).values
            #expect(zip(got, expected).allSatisfy { abs($0 - $1) <= 1e-3 + abs($1) / 1024 })
            #expect(try TraceSummary(file).requests.first?.saturatedValues == 0)
        }
    }

    /// What was not ended, and what was never written, is named.
    @Test func whatIsMissingIsNamed() async throws {
        try await withFolder { folder in
            let url = folder.appending(path: "t.h5")
            let model = TraceModel(layers: 2, hidden: 4, heads: 2, vocabulary: 6)
            let writer = try TraceWriter(url: url, level: .residuals, model: model)
            try writer.begin(request: "r", tokens: [1, 2])
            let rows = [Float](repeating: 0.5, count: 8)
            for point in TracePoint.all(model, level: .residuals) where point != .logits && point != .layer(1, .mlpOut)
            {
                try rows.withUnsafeBufferPointer {
                    try writer.append(request: "r", point: point, startPosition: 0, rows: 2, width: 4, values: $0)
                }
            }
            try writer.finish()
            let summary = try TraceSummary(TraceFile(url: url))
            #expect(!summary.isComplete)
            let percent = try #require(summary.completenessPercent)
            #expect(percent > 80 && percent < 100)
            let problems = try #require(summary.requests.first).problems.joined(separator: "\n")
            #expect(problems.contains("unfinished"))
            #expect(problems.contains("layers/01/mlp_out: missing") || problems.contains("layers/1/mlp_out: missing"))
            #expect(problems.contains("logits: missing"))
        }
    }

    @Test func misuse() async throws {
        try await withFolder { folder in
            let url = folder.appending(path: "t.h5")
            let model = TraceModel(layers: 1, hidden: 2, heads: 1, vocabulary: 4)
            let writer = try TraceWriter(url: url, level: .residuals, model: model)
            func append(_ request: String, at position: Int, width: Int = 2) throws {
                try [Float](repeating: 0, count: width).withUnsafeBufferPointer {
                    try writer.append(
                        request: request, point: .embed, startPosition: position, rows: 1, width: width, values: $0)
                }
            }
            #expect(throws: TraceError.self) { try append("r", at: 0) }
            #expect(throws: TraceError.self) { try writer.begin(request: "", tokens: []) }
            try writer.begin(request: "r", tokens: [1])
            #expect(throws: TraceError.self) { try writer.begin(request: "r", tokens: [1]) }
            #expect(throws: TraceError.self) { try append("r", at: 1) }
            #expect(throws: TraceError.self) { try append("r", at: 0, width: 3) }
            try append("r", at: 0)
            try writer.end(request: "r")
            #expect(throws: TraceError.self) { try append("r", at: 1) }
            try writer.finish()
            #expect(throws: TraceError.self) { try append("r", at: 1) }
            #expect(throws: TraceError.self) { try TraceWriter(url: url, level: .logits, model: model) }
            #expect(throws: TraceError.self) {
                try TraceWriter(url: folder.appending(path: "no/t.h5"), level: .logits, model: model)
            }
            #expect(throws: TraceError.self) { try TraceWriter(url: folder, level: .logits, model: model, force: true) }
        }
    }

    /// A writer that is let go of leaves nothing behind.
    @Test func abandonedTraceIsGone() async throws {
        try await withFolder { folder in
            do {
                let writer = try TraceWriter(
                    url: folder.appending(path: "t.h5"), level: .logits,
                    model: TraceModel(layers: 1, hidden: 2, heads: 1, vocabulary: 4))
                try writer.begin(request: "r", tokens: [1, 2, 3])
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
        }
    }

    @Test func hostileFiles() async throws {
        try await withFolder { folder in
            let url = folder.appending(path: "t.h5")
            try await write(Golden("llama"), to: url, level: .residuals, stages: 1, maxTokens: 4)
            let whole = try Data(contentsOf: url)
            func read(_ data: Data) throws -> TraceSummary {
                let damaged = folder.appending(path: "damaged.h5")
                try data.write(to: damaged)
                return try TraceSummary(TraceFile(url: damaged))
            }
            #expect(throws: TraceError.self) { try read(Data()) }
            #expect(throws: TraceError.self) { try read(Data("no HDF5 at all".utf8)) }
            #expect(throws: TraceError.self) { try TraceFile(url: folder) }
            #expect(throws: TraceError.self) { try TraceFile(url: folder.appending(path: "none.h5")) }
            for length in [8, 100, whole.count / 4, whole.count / 2, whole.count - 1] {
                #expect(throws: TraceError.self, "\(length) bytes") { try read(whole.prefix(length)) }
            }
            // Bytes turned over anywhere: an error or a summary, never a crash; a summary only of what can be read.
            var state: UInt64 = 7
            for _ in 0..<60 {
                var data = whole
                for _ in 0..<4 {
                    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                    data[Int((state >> 33) % UInt64(data.count))] ^= UInt8(truncatingIfNeeded: state >> 20) | 1
                }
                do { _ = try read(data) } catch is TraceError {}
            }
        }
    }
}
