import Crypto
import Foundation

/// Quantizes a checkpoint into a directory of its own, in compressed-tensors' format: modules by the recipe's plan, all
/// else copied as it is. Tensor by tensor, or, where a method needs calibration, layer by layer, so that memory holds
/// the largest of these and not the model.
public struct ModelQuantizer: Sendable {
    struct Plan {
        let layer: LinearLayer
        let scheme: QuantizationScheme
        /// The tensor that is quantized: the embedding, where a tied head gets weights of its own.
        let source: TensorInfo
        /// weight_packed, weight_scale, weight_shape, and weight_zero_point where asymmetric.
        let targets: [TensorInfo]
    }

    let checkpoint: Checkpoint
    let recipe: QuantizationRecipe
    let plans: [Plan]
    let copies: [TensorInfo]
    private let untiesHead: Bool

    /// What is refused before anything is measured, which takes its time: a source that is quantized already, an output
    /// that must not be replaced.
    /// - Parameter output: nil where nothing will be written.
    /// - Throws: `QuantizationError.alreadyQuantized`, `.outputIsInput`; `FileWriteError`.
    public static func check(_ checkpoint: Checkpoint, output: URL?, overwrite: Bool) throws {
        try refuseQuantized(checkpoint)
        guard let output else { return }
        try checkpoint.refuseReplacement(by: output)
        // Made and dropped: it knows what it may replace.
        _ = try AtomicDirectory(url: output, overwrite: overwrite)
    }

    private static func refuseQuantized(_ checkpoint: Checkpoint) throws {
        guard let present = checkpoint.configuration.quantizationJSON else { return }
        throw QuantizationError.alreadyQuantized(
            place: checkpoint.directory.path, method: present["quant_method"]?.string ?? "unknown")
    }

    /// Checks everything that can be known before work begins; nothing is written.
    /// - Throws: `QuantizationError.alreadyQuantized`, `.nothing`, `.indivisible` with every such layer, `.notCalibrated`,
    ///   `.override`; `CheckpointError`.
    public init(_ checkpoint: Checkpoint, recipe: QuantizationRecipe) throws {
        let model = checkpoint.configuration
        let place = checkpoint.directory.path
        try Self.refuseQuantized(checkpoint)
        try checkpoint.validate()
        try recipe.plan.validate()
        if recipe.walks, recipe.calibration == nil {
            throw QuantizationError.notCalibrated(place: place, method: recipe.label)
        }
        let layers = recipe.plan.quantized
        guard !layers.isEmpty else { throw QuantizationError.nothing(place: place) }
        let uneven = layers.filter { !recipe.plan[$0.module]!.divides(columns: $0.columns) }
        guard uneven.isEmpty else {
            let sizes = Set(uneven.compactMap { recipe.plan[$0.module]?.groupSize })
            throw QuantizationError.indivisible(
                place: place,
                layers: uneven.map {
                    .init(
                        module: $0.module, columns: $0.columns,
                        groupSize: sizes.count == 1 ? nil : recipe.plan[$0.module]?.groupSize)
                },
                groupSize: sizes.count == 1 ? sizes.first : nil,
                divisors: [128, 64, 32].filter { size in layers.allSatisfy { $0.columns % size == 0 } })
        }
        self.checkpoint = checkpoint
        self.recipe = recipe
        untiesHead = model.tiedEmbeddings && recipe.plan["lm_head"] != nil
        plans = try layers.map { layer in
            let tied = layer.module == "lm_head" && model.tiedEmbeddings
            let source = try checkpoint.info(tied ? model.embedding.weight : layer.weight)
            let scheme = recipe.plan[layer.module]!
            return Plan(
                layer: layer, scheme: scheme, source: source, targets: Self.targets(layer, scheme, dtype: source.dtype))
        }
        // A tied head's own weight is never read; where the embedding is the head, its copy is left out.
        let replaced = Set(layers.map(\.weight) + (model.tiedEmbeddings ? ["lm_head.weight"] : []))
        copies = checkpoint.tensors.values.filter { !replaced.contains($0.name) }.sorted { $0.name < $1.name }
    }

    /// All of the decoder by one scheme.
    /// - Parameter quantizesHead: whether the head is quantized too; a tied head gets weights of its own then.
    public init(
        _ checkpoint: Checkpoint, scheme: QuantizationScheme, method: QuantizationRecipe.Method = .rtn,
        quantizesHead: Bool = false
    ) throws {
        let plan = QuantizationPlan(checkpoint.configuration, scheme: scheme, head: quantizesHead ? scheme : nil)
        try self.init(checkpoint, recipe: QuantizationRecipe(plan: plan, method: method))
    }

    private static func targets(_ layer: LinearLayer, _ scheme: QuantizationScheme, dtype: DType) -> [TensorInfo] {
        // The bias is copied as it stands.
        layer.tensors(scheme: scheme).filter { $0.name != layer.module + ".bias" }.map {
            TensorInfo(name: $0.name, dtype: $0.dtypes.count == 1 ? $0.dtypes[0] : dtype, shape: $0.shape)!
        }
    }

    /// What the result will hold, without qualities.
    public var plan: Summary { summary([:]) }

    /// Quantizes and writes; the directory appears whole or not at all.
    /// - Parameter progress: hears of modules done, and of how many there are.
    /// - Throws: `QuantizationError` (weights that are not finite, or overflow), `CheckpointError` (output, disk).
    public func write(
        to output: URL, overwrite: Bool = false, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws -> Summary {
        try checkpoint.refuseReplacement(by: output)
        let directory = try AtomicDirectory(url: output, overwrite: overwrite)
        let metadata = recipe.metadata(sourceDigest: try checkpoint.digest())
        let calibrated = try recipe.walks ? CalibratedLayers(self, output: output, metadata: metadata) : nil
        let pool =
            calibrated?.pool ?? ThreadPool(threads: recipe.threads ?? ProcessInfo.processInfo.activeProcessorCount)
        do {
            return try write(into: directory, calibrated, pool, metadata, progress)
        } catch let error where Self.isRefusal(error) {
            // A mended source is another one: no later run takes these layers.
            calibrated?.finished()
            throw error
        }
    }

    /// Whether the weights or the calibration are to blame, and not the disk.
    private static func isRefusal(_ error: any Error) -> Bool {
        if error is QuantizationError { return true }
        if case .notFinite? = error as? CheckpointError { return true }
        return false
    }

    private func write(
        into directory: AtomicDirectory, _ calibrated: CalibratedLayers?, _ pool: ThreadPool,
        _ metadata: [String: String], _ progress: (_ done: Int, _ total: Int) -> Void
    ) throws -> Summary {
        try calibrated?.run { progress($0, plans.count) }
        let writer = try ShardedWriter(
            directory, tensors: copies + plans.flatMap(\.targets), metadata: metadata, maxBytes: recipe.maxShardBytes)
        for info in copies {
            if let changed = calibrated?.norm(info.name) {
                try Self.bytes(changed, info.dtype).withUnsafeBytes { try writer.write(info.name, $0) }
            } else {
                try checkpoint.copyFinite(info.name, to: writer.writer(of: info.name))
            }
        }
        var qualities: [String: SignalToNoise] = [:]
        for (index, plan) in plans.enumerated() {
            if let done = calibrated?.quality(of: plan.layer.module) {
                qualities[plan.layer.module] = done
                try calibrated?.copy(plan, to: writer)
            } else {
                let result = try quantize(plan, pool, method: calibrated?.headMethod(of: plan.layer))
                qualities[plan.layer.module] = SignalToNoise(signal: result.signal, noise: result.noise)
                try Self.write(result, plan) { try writer.write($0, $1) }
            }
            if calibrated == nil { progress(index + 1, plans.count) }
        }
        let summary = summary(qualities)
        try writer.finish(totalBytes: summary.bytesAfter)
        try directory.write(configuration.serialized(), to: "config.json")
        try checkpoint.copyOtherFiles(to: directory.temporary)
        try directory.commit()
        calibrated?.finished()
        return summary
    }

    /// Straight from the file.
    /// - Parameter method: nil takes the recipe's, by the weights alone where it needs calibration.
    private func quantize(
        _ plan: Plan, _ pool: ThreadPool, method: (any RoundingMethod)? = nil
    ) throws -> QuantizedLayer {
        let context = LayerContext(
            module: plan.layer.module, rows: plan.layer.rows, columns: plan.layer.columns, dtype: plan.source.dtype,
            scheme: plan.scheme)
        let quantizer = try LayerQuantizer(
            context, method: method ?? (recipe.walks ? recipe.methodByWeights : recipe.decoderMethod),
            place: checkpoint.directory.path, pool: pool)
        let result = try checkpoint.withBytes(plan.source.name) { try quantizer.quantize($0) }
        checkpoint.release(plan.source.name)
        return result
    }

    /// The head, where it is quantized by weights of its own. An embedding that is the head too is none: its rows are looked
    /// up as they are as well, and what GPTQ does for the products costs those more (on the embedded model, int8: mean KL
    /// 0.00013 against 0.00007 by the weights alone).
    var headPlan: Plan? { plans.first { $0.layer.module == "lm_head" } }

    /// The embedding quantized by its weights alone, where it is quantized: what the calibration begins with.
    func embedding(_ pool: ThreadPool) throws -> PackedWeight? {
        guard let plan = plans.first(where: { $0.layer.module == "model.embed_tokens" }) else { return nil }
        return PackedWeight(try quantize(plan, pool))
    }

    static func write(
        _ result: QuantizedLayer, _ plan: Plan, to write: (String, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try result.words.withUnsafeBytes { try write(plan.targets[0].name, $0) }
        try bytes(result.scales, plan.source.dtype).withUnsafeBytes { try write(plan.targets[1].name, $0) }
        try [Int64(plan.layer.rows).littleEndian, Int64(plan.layer.columns).littleEndian].withUnsafeBytes {
            try write(plan.targets[2].name, $0)
        }
        if !plan.scheme.symmetric {
            let packed = Packing.packZeroPoints(
                result.zeroPoints, rows: plan.layer.rows, groups: plan.scheme.groups(columns: plan.layer.columns),
                bits: plan.scheme.bits)
            try packed.withUnsafeBytes { try write(plan.targets[3].name, $0) }
        }
    }

    private static func bytes(_ values: [Float], _ dtype: DType) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: values.count * dtype.size)
        values.withUnsafeBufferPointer { values in
            bytes.withUnsafeMutableBytes { FloatConversion.convert(values, to: dtype, into: $0) }
        }
        return bytes
    }

    private var configuration: JSONValue {
        var config = checkpoint.configurationJSON
        config["quantization_config"] =
            recipe.plan.configuration(recipe.decoderMethod, embedding: recipe.methodByWeights).json
        if untiesHead { config["tie_word_embeddings"] = false }
        return .object(config)
    }

    /// A digest of source and recipe, by which an interrupted run is known again.
    func key(metadata: [String: String]) -> String {
        let schemes = plans.map { "\($0.layer.module)=\($0.scheme.name)" }
        let text = (metadata.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" } + schemes)
            .joined(separator: "\n")
        return Hex.text(SHA256.hash(data: Data(text.utf8)))
    }
}

extension Checkpoint {
    /// - Throws: `QuantizationError.outputIsInput` where a directory at `output` would replace this one, by a link too.
    func refuseReplacement(by output: URL) throws {
        guard !AtomicName.replaces(directory.path, at: output.path) else {
            throw QuantizationError.outputIsInput(path: output.path)
        }
    }
}
