import Foundation

/// The decoder's layers quantized by a method that needs calibration, one after the other, each kept on the disk when it
/// is done.
final class CalibratedLayers {
    private let quantizer: ModelQuantizer
    private let work: PartialWork
    private let compute: Compute
    private var smoothing = Smoothing()
    private var qualities: [String: SignalToNoise] = [:]
    /// By what reaches the head behind the quantized layers.
    private var headMethod: (any RoundingMethod)?

    private var checkpoint: Checkpoint { quantizer.checkpoint }
    private var recipe: QuantizationRecipe { quantizer.recipe }
    var pool: ThreadPool { compute.pool }

    init(_ quantizer: ModelQuantizer, output: URL, metadata: [String: String]) throws {
        self.quantizer = quantizer
        compute = Compute(
            kernels: try KernelSet.select(nil),
            threads: quantizer.recipe.threads ?? ProcessInfo.processInfo.activeProcessorCount)
        work = try PartialWork(output: output, key: quantizer.key(metadata: metadata))
    }

    /// A norm's weights, where smoothing has changed them.
    func norm(_ tensor: String) -> [Float]? { smoothing.norms[tensor] }

    /// nil for modules that are not among the decoder's layers.
    func quality(of module: String) -> SignalToNoise? { qualities[module] }

    /// How the head is rounded; nil for other modules.
    func headMethod(of layer: LinearLayer) -> (any RoundingMethod)? {
        layer == quantizer.headPlan?.layer ? headMethod : nil
    }

    /// Copies a module's tensors from where they were kept.
    func copy(_ plan: ModelQuantizer.Plan, to writer: ShardedWriter) throws {
        let file = try work.file(Self.index(of: plan.layer))
        for target in plan.targets { try file.withBytes(target.name) { try writer.write(target.name, $0) } }
    }

    private static func index(of layer: LinearLayer) -> Int { Int(layer.module.split(separator: ".")[2])! }

    func finished() { work.remove() }

    func run(progress: (_ modules: Int) -> Void) throws {
        let model = checkpoint.configuration
        guard let calibration = recipe.calibration else { preconditionFailure("calibration was checked") }
        let runner = try LayerRunner(model, windows: calibration.windows, compute: compute)
        let table = try EmbeddingTable(checkpoint, kernels: compute.kernels)
        if recipe.smooths { try smooth(runner, table) }
        let embedding = try quantizer.embedding(pool).map { EmbeddingTable($0, kernels: compute.kernels) }
        let walk = try CalibrationWalk(runner, reference: table, embedding: embedding)
        let slots = SlotQuantizer(
            recipe: recipe, dtype: { [checkpoint] in try checkpoint.info($0.weight).dtype },
            place: checkpoint.directory.path, compute: compute)
        for index in 0..<model.layers {
            let exact = try layer(index)
            smoothing.apply(to: exact, index: index)
            let layers = model.linearLayers(index)
            let plans = quantizer.plans.filter { $0.layer.module.hasPrefix("model.layers.\(index).") }
            if let file = work.finished(index) {
                try walk.step(exact, layers) { input in
                    try input.slot.places.map { place in
                        guard let plan = plans.first(where: { $0.layer == layers[place] }) else {
                            return exact.linears[place]
                        }
                        let packed = try PackedWeight(plan.layer, scheme: plan.scheme, file: file)
                        return slots.linear(packed, bias: exact.linears[place].bias)
                    }
                }
                for plan in plans { qualities[plan.layer.module] = try Self.quality(plan, file, exact, layers) }
            } else {
                var results: [String: QuantizedLayer] = [:]
                try walk.step(exact, layers) { input in
                    let places = input.slot.places
                    let found = try slots.quantize(
                        Array(layers[places]), exact: Array(exact.linears[places]), input: input)
                    for (layer, result) in zip(layers[places], found) { results[layer.module] = result.packed }
                    return found.map(\.linear)
                }
                let writer = try work.writer(index, tensors: plans.flatMap(\.targets))
                for plan in plans {
                    guard let result = results[plan.layer.module] else { preconditionFailure(plan.layer.module) }
                    try ModelQuantizer.write(result, plan) { try writer.write($0, $1) }
                    qualities[plan.layer.module] = try Self.quality(PackedWeight(result), plan, exact, layers)
                }
                try writer.finish()
            }
            progress(quantizer.plans.filter { qualities[$0.layer.module] != nil }.count)
        }
        guard let plan = quantizer.headPlan else { return }
        let norm = try DecoderWeights.finalNorm(checkpoint, compute: compute)
        headMethod = try slots.calibrated([plan.layer], on: walk.output(norm), plan.scheme).method
    }

    /// The layer in fp32, its memory its own.
    private func layer(_ index: Int) throws -> DecoderLayer {
        try DecoderWeights(checkpoint, range: index..<index + 1, precision: .fp32, compute: compute).layers[0]
    }

    /// One pass over the full model, before any layer is quantized.
    private func smooth(_ runner: LayerRunner, _ table: EmbeddingTable) throws {
        let model = checkpoint.configuration
        let x = try runner.embedded(table)
        for index in 0..<model.layers {
            let exact = try layer(index)
            let layers = model.linearLayers(index)
            func search(_ name: String, _ norm: AlignedBuffer<Float>, _ places: Range<Int>) throws {
                guard let scheme = recipe.plan[layers[places.lowerBound].module] else { return }
                let moments = try SecondMoments(
                    of: runner.normed(x, norm), reaching: layers[places.lowerBound], pool: pool)
                try smoothing.search(
                    norm: name, weights: norm, dtype: try checkpoint.info(name).dtype,
                    layers: places.map { (layers[$0], exact.linears[$0]) }, scheme: scheme, moments: moments,
                    place: checkpoint.directory.path, pool: compute.pool)
            }
            let names = Smoothing.names(index)
            try search(names[0], exact.attentionNorm, CalibrationWalk.Slot.attention.places)
            // The second norm reads the stream behind the attention.
            let a = runner.attended(exact, runner.normed(x, exact.attentionNorm))
            runner.add(runner.apply(exact.output, a), to: x)
            try search(names[1], exact.mlpNorm, CalibrationWalk.Slot.mlp.places)
            let m = runner.normed(x, exact.mlpNorm)
            let g = runner.gated(runner.apply(exact.gate, m), runner.apply(exact.up, m))
            runner.add(runner.apply(exact.down, g), to: x)
        }
    }

    private static func quality(
        _ plan: ModelQuantizer.Plan, _ file: SafetensorsFile, _ exact: DecoderLayer, _ layers: [LinearLayer]
    ) throws -> SignalToNoise {
        try quality(PackedWeight(plan.layer, scheme: plan.scheme, file: file), plan, exact, layers)
    }

    /// Against the weights as they were (smoothed, where they are), not against what a method aimed at.
    private static func quality(
        _ packed: PackedWeight, _ plan: ModelQuantizer.Plan, _ exact: DecoderLayer, _ layers: [LinearLayer]
    ) throws -> SignalToNoise {
        guard let place = layers.firstIndex(of: plan.layer), case .dense(let dense) = exact.linears[place].weights
        else {
            preconditionFailure("full weights")
        }
        var (signal, noise) = (0.0, 0.0)
        for row in 0..<packed.rows {
            let restored = packed.dequantized(row: row)
            for i in 0..<packed.columns {
                let w = Double(dense.pointer[row * packed.columns + i])
                signal += w * w
                noise += (w - Double(restored[i])) * (w - Double(restored[i]))
            }
        }
        return SignalToNoise(signal: signal, noise: noise)
    }
}
