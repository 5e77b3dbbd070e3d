/// What a stage takes in memory.
public struct StageMemory: Sendable, Equatable {
    public let weightBytes: Int
    /// The stage's share of the keys and values, when the cache is full.
    public let cacheBytes: Int
    /// Intermediate rows of the largest batch, logits, and hidden states on their way.
    public let workBytes: Int
    /// The process beside the model: code, threads, tokenizer.
    public static let processBytes = 150_000_000

    public var bytes: Int { weightBytes + cacheBytes + workBytes + Self.processBytes }

    /// - Parameter options: how large the cache and the batches are, and how many stages there are.
    package init(_ costs: ModelCosts, _ range: Range<Int>, _ options: EngineOptions) {
        let model = costs.model
        weightBytes = costs.part(range).weightBytes
        let pages = options.cacheBytes / KVCache.bytesPerPage(model, options.cachePrecision)
        cacheBytes = pages * KVCache.pagePositions * range.count * costs.cacheBytesPerPosition
        let float = MemoryLayout<Float>.size
        // As Decoder's scratch: normed, delta, queries, attended, keys, values, gate, up; then the int8 copy of the widest.
        let widths = 2 * (model.hidden + model.queryWidth + model.kvWidth + model.intermediate)
        let widest = max(model.intermediate, model.hidden, model.queryWidth)
        let messages = 2 * options.stages * options.rowsPerBatch * model.hidden * float
        let logits = range.upperBound == model.layers ? options.concurrency * model.vocabulary * float : 0
        workBytes = options.rowsPerBatch * (widths * float + 2 * widest) + messages + logits
    }
}

/// What keeps a model from being placed.
public enum PlacementError: WordedError, Equatable {
    /// One stage of the division that comes nearest to fitting.
    public struct Need: Sendable, Equatable {
        public var layers: Range<Int>
        public var memory: StageMemory
        public var limit: Int?
    }

    case doesNotFit([Need])
    case nodes(flag: String, expected: Int, got: Int)

    public var wording: Wording {
        switch self {
        case .doesNotFit(let needs):
            Wording(
                "--node-memory", "the model does not fit, however its layers are divided",
                expected: "room for " + needs.enumerated().map(Self.text).joined(separator: "; "),
                got: needs.map { $0.limit.map(Self.size) ?? "no limit" }.joined(separator: ", "),
                advice: "quantize it further, lower --cache-memory or --batch, or add stages or memory")
        case .nodes(let flag, let expected, let got):
            Wording(
                flag, "there must be one value a stage, or one for all", expected: "\(expected) values",
                got: "\(got)", advice: "list them with commas between, or change --stages")
        }
    }

    private static func text(_ stage: Int, _ need: Need) -> String {
        let memory = need.memory
        return "stage \(stage + 1) (layers \(need.layers.lowerBound)–\(need.layers.upperBound - 1)): "
            + "\(size(memory.bytes)), of it weights \(size(memory.weightBytes)), cache \(size(memory.cacheBytes)), "
            + "work \(size(memory.workBytes + StageMemory.processBytes))"
    }

    private static func size(_ bytes: Int) -> String {
        let hundredths = (bytes + 5_000_000) / 10_000_000
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest) GB"
    }
}
