/// What each part of a model takes in memory and asks of a machine, from its outline alone.
public struct ModelCosts: Sendable, Equatable {
    /// What is never divided: the embedding, a layer, the head with the norm before it.
    public struct Part: Sendable, Equatable {
        public internal(set) var parameters = 0
        /// In memory, as this runtime holds it: packed for a kernel set, or in fp32.
        public internal(set) var weightBytes = 0
        /// Of these, what each step reads.
        public internal(set) var readBytes = 0
        /// Multiply-accumulates of a row.
        public internal(set) var macs = 0
        /// The same as so many 8-bit products: one in fp32 takes the time of four, for its lanes are four times as wide.
        public internal(set) var products = 0
    }

    public let embedding: Part
    public let layers: [Part]
    public let head: Part
    /// Sums of the layers before each, for `part`.
    private let sums: [Part]
    /// Keys and values of one position in one layer.
    public let cacheBytesPerPosition: Int
    /// 8-bit products that attention over one position is worth, in one layer.
    let attentionProducts: Int
    let model: ModelConfiguration

    static let productsPerFloatMAC = 4

    /// - Throws: `QuantizationError` for a pattern that cannot be used.
    public init(
        _ outline: ModelOutline, precision: ComputePrecision = .auto, cachePrecision: CachePrecision = .fp32,
        kernels: KernelSet
    ) throws {
        let model = outline.configuration
        self.model = model
        let quantization = precision == .fp32 ? nil : outline.quantization

        func linear(_ layer: LinearLayer, headGroup: Int? = nil) throws -> Part {
            var scheme = try quantization?.scheme(for: layer.module)
            var scales = outline.tensors?[layer.module + ".weight_scale"]?.dtype ?? model.dtype
            if scheme == nil, let headGroup {
                // As the loader rounds it.
                scheme = QuantizationScheme(bits: 8, groupSize: headGroup)
                scales = .bf16
            }
            let count = layer.rows * layer.columns
            var bytes = count * MemoryLayout<Float>.size
            if let scheme {
                bytes = PackedWeights.byteCount(
                    bits: scheme.bits, rows: layer.rows, columns: layer.columns,
                    scaleGroup: scheme.groupSize ?? layer.columns, asymmetric: !scheme.symmetric,
                    bfloatScales: scales == .bf16, kernels)
            }
            let bias = layer.bias ? layer.rows : 0
            return Part(
                parameters: count + bias, weightBytes: bytes + bias * 4, readBytes: bytes + bias * 4, macs: count,
                products: count * (scheme == nil ? Self.productsPerFloatMAC : 1))
        }

        let table = model.vocabulary * model.hidden
        embedding = Part(
            parameters: table, weightBytes: table * outline.dtype("model.embed_tokens.weight").size)
        layers = try (0..<model.layers).map { index in
            let norms = Part(parameters: 2 * model.hidden, weightBytes: 2 * model.hidden * 4)
            return try model.linearLayers(index).map { try linear($0) }.reduce(norms, +)
        }
        let headModule = LinearLayer(
            module: model.tiedEmbeddings ? "model.embed_tokens" : model.head.module, rows: model.vocabulary,
            columns: model.hidden)
        var head = try linear(headModule, headGroup: quantization == nil ? nil : DecoderWeights.headGroup)
        if model.tiedEmbeddings { head.parameters = 0 }
        sums = layers.reduce(into: [Part()]) { $0.append($0.last! + $1) }
        self.head = head + Part(parameters: model.hidden, weightBytes: model.hidden * 4)
        cacheBytesPerPosition = 2 * model.kvWidth * cachePrecision.bytes
        attentionProducts = 2 * model.queryWidth * Self.productsPerFloatMAC
    }

    public var parameters: Int { (layers + [embedding, head]).reduce(0) { $0 + $1.parameters } }

    /// All that a stage with these layers holds.
    public func part(_ range: Range<Int>) -> Part {
        var sum = sums[range.upperBound] - sums[range.lowerBound]
        if range.lowerBound == 0 { sum = sum + embedding }
        if range.upperBound == layers.count { sum = sum + head }
        return sum
    }
}

extension ModelCosts.Part {
    static func + (a: Self, b: Self) -> Self { a.with(b, +) }
    static func - (a: Self, b: Self) -> Self { a.with(b, -) }

    private func with(_ other: Self, _ join: (Int, Int) -> Int) -> Self {
        Self(
            parameters: join(parameters, other.parameters), weightBytes: join(weightBytes, other.weightBytes),
            readBytes: join(readBytes, other.readBytes), macs: join(macs, other.macs),
            products: join(products, other.products))
    }
}
