import Foundation

/// What a quantization will need, for a dry run: memory from the shapes, time from what this machine does with a small
/// piece of the work.
public struct QuantizationEstimate: Sendable {
    /// Of the process at its peak, in bytes.
    public private(set) var memoryBytes: Int
    public private(set) var seconds: Double

    /// This process has measured sensitivities, and the next will have to: as long, and in as much memory.
    public mutating func addMeasuring(seconds: Double) {
        self.seconds += seconds
        var usage = rusage()
        guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return }
        memoryBytes = max(memoryBytes, usage.ru_maxrss * 1024)
    }
}

extension ModelQuantizer {
    /// Runs the method on a small random layer, and a window of tokens through one layer's products, for a second or so.
    public func estimate() throws -> QuantizationEstimate {
        let threads = recipe.threads ?? ProcessInfo.processInfo.activeProcessorCount
        let compute = Compute(kernels: try KernelSet.select(nil), threads: threads)
        let largest = plans.map { $0.layer.rows * $0.layer.columns }.max() ?? 0
        let largestBytes = plans.map { $0.targets.reduce(0) { $0 + $1.byteCount } }.max() ?? 0
        // Integers, scales and packed words of one module, and the pages of its weights.
        var memory = 60_000_000 + 3 * largestBytes + 2 * largest
        // The decoder's scheme: the first module may be the embedding.
        let scheme = (plans.first { !$0.layer.isEnd } ?? plans[0]).scheme
        let weights = plans.reduce(0) { $0 + $1.layer.rows * $1.layer.columns }
        var seconds = try Double(weights) * Self.secondsPerWeight(recipe.methodByWeights, scheme, compute)
        if recipe.walks, let calibration = recipe.calibration {
            memory += walkBytes(tokens: calibration.tokens)
            let window = calibration.windows[0].count
            let rate = productsPerSecond(compute, tokens: window)
            // Attention, norms, copies, checks and packing beside the products: by SmolLM2-135M with all methods.
            seconds += 1.3 * products(tokens: Double(calibration.tokens), threads: threads) / rate
            if recipe.smooths {
                let searched = try Self.secondsPerWeight(SearchedScale(), scheme, compute)
                seconds += searched * smoothedWeights * Double(Smoothing.exponents.count)
            }
        }
        let bytes = Double(checkpoint.tensors.values.reduce(0) { $0 + $1.byteCount } + plan.bytesAfter)
        // Reading, digest and writing.
        seconds += bytes / 500e6
        return QuantizationEstimate(memoryBytes: memory, seconds: seconds)
    }

    private var model: ModelConfiguration { checkpoint.configuration }

    /// Of one decoder layer.
    private var layerWeights: Int { model.linearLayers(0).reduce(0) { $0 + $1.rows * $1.columns } }

    /// Behind norms, in all layers.
    private var smoothedWeights: Double {
        let layers = model.linearLayers(0)
        let places = Array(CalibrationWalk.Slot.attention.places) + Array(CalibrationWalk.Slot.mlp.places)
        return Double(model.layers * places.reduce(0) { $0 + layers[$1].rows * layers[$1].columns })
    }

    /// What the walk over the calibration holds.
    private func walkBytes(tokens: Int) -> Int {
        let widest = max(model.hidden, model.intermediate, model.queryWidth)
        // The layer twice, the moments with their factor, both streams and what a layer keeps of them.
        var values = 2 * layerWeights + 3 * widest * widest + tokens * (7 * model.hidden + 5 * model.intermediate)
        // The heap keeps, in pieces, what the pass before the walk has freed (measured on two models).
        if recipe.smooths { values += tokens * 5 * (model.hidden + model.intermediate) }
        // Differences of inputs and outputs, and what they move the weights by.
        if recipe.compensation > 0 { values += 2 * (tokens * widest + model.hidden * widest) }
        return 4 * values
    }

    /// Multiplications of all matrix products of the walk.
    private func products(tokens: Double, threads: Int) -> Double {
        let (layers, weights) = (Double(model.layers), Double(layerWeights))
        /// Of second moments: the tiles of 256 columns on and above the diagonal.
        func moments(_ columns: [Int]) -> Double {
            columns.reduce(0.0) { $0 + Double($1 * ($1 + 256)) / 2 } * tokens
        }
        let inputs = [model.hidden, model.queryWidth, model.hidden, model.intermediate]
        // Through the full model and the quantized one.
        var products = layers * (2 * weights * tokens + moments(inputs))
        if recipe.method == .gptq {
            // A product of the weights with the second moments.
            let once = plans.filter { $0.layer.module != model.embedding.module }.reduce(0.0) {
                $0 + Double($1.layer.rows) * pow(Double($1.layer.columns), 2)
            }
            products += 2.5 * Double(1 + recipe.gptq.refinements) * once
            // One thread factors them.
            products += 0.35 * layers * Double(threads) * inputs.reduce(0.0) { $0 + pow(Double($1), 3) }
            if recipe.compensation > 0 { products += layers * 2 * weights * tokens + once }
        }
        if recipe.smooths {
            products += layers * (weights * tokens + moments([model.hidden, model.hidden]))
            products += smoothedWeights * Double(model.hidden * Smoothing.exponents.count)
        }
        return products
    }

    /// Of W [rows, columns] · x in one decoder layer, all of its products in turn, for a window of so many tokens.
    private func productsPerSecond(_ compute: Compute, tokens: Int) -> Double {
        let layers = model.linearLayers(0)
        let widest = layers.map { max($0.rows, $0.columns) }.max() ?? 1
        let weights = AlignedBuffer<Float>(count: layers.map { $0.rows * $0.columns }.max() ?? 1)
        let (x, y) = (OwnedRows(tokens, width: widest), OwnedRows(tokens, width: widest))
        weights.pointer.update(repeating: 1, count: weights.count)
        x.rows.pointer.update(repeating: 1, count: tokens * widest)
        defer { withExtendedLifetime((weights, x, y)) {} }
        let seconds = Self.seconds {
            for layer in layers {
                denseProduct(
                    weights, Rows(x.rows.pointer, rows: tokens, width: layer.columns),
                    into: Rows(y.rows.pointer, rows: tokens, width: layer.rows), pool: compute.pool)
            }
        }
        return Double(layerWeights * tokens) / seconds
    }

    private static func secondsPerWeight(
        _ method: any RoundingMethod, _ scheme: QuantizationScheme, _ compute: Compute
    ) throws -> Double {
        let (rows, columns) = (512, 1024)
        var state: UInt32 = 1
        let values = (0..<rows * columns).map { _ -> Float in
            state = state &* 1_664_525 &+ 1_013_904_223
            return Float(Int32(bitPattern: state)) / Float(Int32.max)
        }
        let quantizer = try LayerQuantizer(
            LayerContext(module: "trial", rows: rows, columns: columns, dtype: .f32, scheme: scheme),
            method: method, place: "trial", pool: compute.pool)
        let time = try seconds { _ = try values.withUnsafeBufferPointer { try quantizer.quantize($0) } }
        return time / Double(rows * columns)
    }

    /// Of one call: the mean over calls of 0.3 s in all, long enough to meet whatever else the machine has to do, after one
    /// that warms up.
    private static func seconds(_ body: () throws -> Void) rethrows -> Double {
        try body()
        let began = ContinuousClock.now
        var calls = 0.0
        repeat {
            try body()
            calls += 1
        } while ContinuousClock.now - began < .milliseconds(300)
        return (ContinuousClock.now - began) / .seconds(1) / calls
    }
}
