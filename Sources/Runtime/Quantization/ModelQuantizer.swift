import Foundation

/// Quantizes a checkpoint into a directory of its own, in compressed-tensors' format: linear layers by a scheme, all
/// else copied as it is. Tensor by tensor, so that memory holds the largest one and not the model.
public struct ModelQuantizer: Sendable {
    /// What became of one layer.
    public struct Layer: Sendable {
        public let layer: LinearLayer
        public let bytesBefore, bytesAfter: Int
        /// nil before the layer is quantized.
        public var quality: SignalToNoise?
    }

    public struct Summary: Sendable {
        public let scheme: QuantizationScheme
        public let method: String
        public let layers: [Layer]
        /// Bytes of all tensors.
        public let bytesBefore, bytesAfter: Int
        public let parameters: Int

        /// Bits a weight of the quantized layers takes, scales and zero points included.
        public var bitsPerWeight: Double {
            let weights = layers.reduce(0) { $0 + $1.layer.rows * $1.layer.columns }
            return weights == 0 ? 0 : Double(layers.reduce(0) { $0 + $1.bytesAfter } * 8) / Double(weights)
        }
    }

    private struct Plan {
        let layer: LinearLayer
        /// The tensor that is quantized: the embedding, where a tied head is.
        let source: TensorInfo
        /// weight_packed, weight_scale, weight_shape, and weight_zero_point where asymmetric.
        let targets: [TensorInfo]
    }

    private let checkpoint: Checkpoint
    private let scheme: QuantizationScheme
    private let method: any RoundingMethod
    private let plans: [Plan]
    private let copies: [TensorInfo]
    private let untiesHead: Bool

    /// Checks everything that can be known before work begins; nothing is written.
    ///
    /// - Parameter quantizesHead: whether the head is quantized too. A tied head gets weights of its own then: the
    ///   format has no quantized embedding, so the result is untied.
    /// - Throws: `QuantizationError.alreadyQuantized`, `.indivisible` with every such layer, `CheckpointError`.
    public init(
        _ checkpoint: Checkpoint, scheme: QuantizationScheme, method: any RoundingMethod = RoundToNearest(),
        quantizesHead: Bool = false
    ) throws {
        let model = checkpoint.configuration
        let place = checkpoint.directory.path
        if let present = model.quantizationJSON {
            throw QuantizationError.alreadyQuantized(place: place, method: present["quant_method"]?.string ?? "unknown")
        }
        try checkpoint.validate()
        let layers = model.decoderLinearLayers + (quantizesHead ? [model.head] : [])
        let indivisible = layers.filter { !scheme.divides(columns: $0.columns) }
        guard indivisible.isEmpty else {
            throw QuantizationError.indivisible(
                place: place, layers: indivisible.map { .init(module: $0.module, columns: $0.columns) },
                groupSize: scheme.groupSize ?? 0,
                divisors: [128, 64, 32].filter { size in layers.allSatisfy { $0.columns % size == 0 } })
        }
        self.checkpoint = checkpoint
        self.scheme = scheme
        self.method = method
        untiesHead = quantizesHead && model.tiedEmbeddings
        plans = try layers.map { layer in
            let tied = layer.module == "lm_head" && model.tiedEmbeddings
            let source = try checkpoint.info(tied ? "model.embed_tokens.weight" : layer.weight)
            return Plan(layer: layer, source: source, targets: Self.targets(layer, scheme, dtype: source.dtype))
        }
        // A tied head's own weight is never read; where the embedding is the head, its copy is left out.
        let replaced = Set(layers.map(\.weight) + (model.tiedEmbeddings ? ["lm_head.weight"] : []))
        copies = checkpoint.tensors.values.filter { !replaced.contains($0.name) }.sorted { $0.name < $1.name }
    }

    private static func targets(_ layer: LinearLayer, _ scheme: QuantizationScheme, dtype: DType) -> [TensorInfo] {
        // The bias is copied as it stands.
        layer.tensors(scheme: scheme).filter { $0.name != layer.module + ".bias" }.map {
            TensorInfo(name: $0.name, dtype: $0.dtypes.count == 1 ? $0.dtypes[0] : dtype, shape: $0.shape)!
        }
    }

    /// What the result will hold, without qualities.
    public var plan: Summary { summary(plans.map { report($0, nil) }) }

    /// Quantizes and writes; the directory appears whole or not at all.
    /// - Parameter progress: hears of layers done, and of how many there are.
    /// - Throws: `QuantizationError` (weights that are not finite), `CheckpointError` (output, disk).
    public func write(
        to output: URL, overwrite: Bool = false, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws -> Summary {
        guard output.standardizedFileURL.path != checkpoint.directory.standardizedFileURL.path else {
            throw QuantizationError.outputIsInput(path: output.path)
        }
        let directory = try AtomicDirectory(url: output, overwrite: overwrite)
        let writer = try SafetensorsWriter(
            url: directory.temporary.appending(path: "model.safetensors"),
            tensors: copies + plans.flatMap(\.targets), metadata: ["format": "pt"],
            shownAs: directory.shown("model.safetensors"))
        for info in copies {
            try checkpoint.copyFinite(info.name, to: writer)
        }
        var layers: [Layer] = []
        for (index, plan) in plans.enumerated() {
            layers.append(report(plan, try quantize(plan, into: writer)))
            progress(index + 1, plans.count)
        }
        try writer.finish()
        try directory.write(configuration.serialized(), to: "config.json")
        try checkpoint.copyOtherFiles(to: directory.temporary)
        try directory.commit()
        return summary(layers)
    }

    private func quantize(_ plan: Plan, into writer: SafetensorsWriter) throws -> SignalToNoise {
        let context = LayerContext(
            module: plan.layer.module, rows: plan.layer.rows, columns: plan.layer.columns, dtype: plan.source.dtype,
            scheme: scheme)
        let quantizer = try LayerQuantizer(context, method: method, place: checkpoint.directory.path)
        let result = try checkpoint.withBytes(plan.source.name) { try quantizer.quantize($0) }
        checkpoint.release(plan.source.name)
        try result.words.withUnsafeBytes { try writer.write(plan.targets[0].name, $0) }
        try Self.bytes(result.scales, plan.source.dtype).withUnsafeBytes { try writer.write(plan.targets[1].name, $0) }
        try [Int64(plan.layer.rows).littleEndian, Int64(plan.layer.columns).littleEndian].withUnsafeBytes {
            try writer.write(plan.targets[2].name, $0)
        }
        if !scheme.symmetric {
            let packed = Packing.packZeroPoints(
                result.zeroPoints, rows: plan.layer.rows, groups: scheme.groups(columns: plan.layer.columns),
                bits: scheme.bits)
            try packed.withUnsafeBytes { try writer.write(plan.targets[3].name, $0) }
        }
        return SignalToNoise(signal: result.signal, noise: result.noise)
    }

    private static func bytes(_ values: [Float], _ dtype: DType) -> [UInt8] {
        func stored<F: FloatFormat>(_: F.Type) -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: values.count * F.bytes)
            bytes.withUnsafeMutableBytes { target in
                for (index, value) in values.enumerated() { F.store(value, to: target.baseAddress! + index * F.bytes) }
            }
            return bytes
        }
        return switch dtype {
        case .f16: stored(Float16Format.self)
        case .bf16: stored(BFloat16Format.self)
        default: stored(Float32Format.self)
        }
    }

    private var configuration: JSONValue {
        var config = checkpoint.configurationJSON
        let ignore = plans.contains { $0.layer.module == "lm_head" } ? [] : ["lm_head"]
        config["quantization_config"] =
            QuantizationConfiguration(scheme, observer: method.observer, ignore: ignore).json
        if untiesHead { config["tie_word_embeddings"] = false }
        return .object(config)
    }

    private func report(_ plan: Plan, _ quality: SignalToNoise?) -> Layer {
        Layer(
            layer: plan.layer, bytesBefore: plan.source.byteCount,
            bytesAfter: plan.targets.reduce(0) { $0 + $1.byteCount }, quality: quality)
    }

    private func summary(_ layers: [Layer]) -> Summary {
        let copied = copies.reduce(0) { $0 + $1.byteCount }
        return Summary(
            scheme: scheme, method: method.name, layers: layers,
            bytesBefore: checkpoint.tensors.values.reduce(0) { $0 + $1.byteCount },
            bytesAfter: copied + layers.reduce(0) { $0 + $1.bytesAfter },
            parameters: checkpoint.tensors.values.reduce(0) { $0 + $1.count })
    }
}
