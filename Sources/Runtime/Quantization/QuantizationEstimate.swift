import Foundation

/// What a quantization will need, for a dry run: memory from the shapes, time from what this machine does with a small
/// piece of the work.
public struct QuantizationEstimate: Sendable {
    /// Of the process at its peak, in bytes.
    public let memoryBytes: Int
    public let seconds: Double
}

extension ModelQuantizer {
    /// Runs the method on a small random layer, and a product of matrices, for a second or so.
    public func estimate() throws -> QuantizationEstimate {
        let threads = recipe.threads ?? ProcessInfo.processInfo.activeProcessorCount
        let compute = Compute(kernels: try KernelSet.select(nil), threads: threads)
        let model = checkpoint.configuration
        let largest = plans.map { $0.layer.rows * $0.layer.columns }.max() ?? 0
        let largestBytes = plans.map { $0.targets.reduce(0) { $0 + $1.byteCount } }.max() ?? 0
        let isWalking = recipe.walks

        // Integers, scales and packed words of one module, and the pages of its weights.
        var memory = 60_000_000 + 3 * largestBytes + 2 * largest
        let ends = plans.filter { !$0.layer.module.hasPrefix("model.layers.") }
        let alone = isWalking ? ends : plans
        var seconds = 0.0
        let searched = try Self.secondsPerWeight(
            recipe.walks ? recipe.methodByWeights : recipe.decoderMethod, plans.first?.scheme)
        seconds += searched * Double(alone.reduce(0) { $0 + $1.layer.rows * $1.layer.columns })
        if isWalking, let calibration = recipe.calibration {
            let tokens = calibration.tokens
            let widest = max(model.hidden, model.intermediate, model.queryWidth)
            let block = model.linearLayers(0).reduce(0) { $0 + $1.rows * $1.columns }
            // The block twice, the moments with their factor, both streams and what a layer keeps of them.
            memory += 4 * (2 * block + 3 * widest * widest)
            memory += 4 * tokens * (6 * model.hidden + 4 * model.intermediate)
            let rate = Self.productsPerSecond(compute)
            var products = 2.0 * Double(block * tokens)
            let passes = recipe.method == .gptq ? 1.5 + 3.0 * Double(recipe.gptq.refinements) : 0
            for layer in model.linearLayers(0) {
                products += passes * Double(layer.rows * layer.columns * layer.columns)
            }
            for columns in [model.hidden, model.queryWidth, model.hidden, model.intermediate] {
                products += 0.5 * Double(columns * columns * tokens)
                if recipe.method == .gptq { products += 0.35 * pow(Double(columns), 3) * Double(threads) }
            }
            if let head = headPlan?.layer {
                products += passes * Double(head.rows * head.columns * head.columns) / Double(model.layers)
            }
            if recipe.smooths { products += Double(block * tokens) + 8 * Double(block * model.hidden) }
            let tries = recipe.smooths ? 9.0 : 1.0
            seconds += Double(model.layers) * (products / rate + tries * searched * Double(block))
        }
        let bytes = Double(checkpoint.tensors.values.reduce(0) { $0 + $1.byteCount } + plan.bytesAfter)
        // Reading, digest and writing.
        seconds += bytes / 500e6
        return QuantizationEstimate(memoryBytes: memory, seconds: seconds)
    }

    private static func secondsPerWeight(_ method: any RoundingMethod, _ scheme: QuantizationScheme?) throws -> Double {
        guard let scheme else { return 0 }
        let (rows, columns) = (512, 1024)
        var state: UInt32 = 1
        let values = (0..<rows * columns).map { _ -> Float in
            state = state &* 1_664_525 &+ 1_013_904_223
            return Float(Int32(bitPattern: state)) / Float(Int32.max)
        }
        let measured = method is GPTQ ? SearchedScale() : method
        let importance = (method as? SearchedScale).map { $0.name == "imatrix" } ?? false
        let quantizer = try LayerQuantizer(
            LayerContext(module: "trial", rows: rows, columns: columns, dtype: .f32, scheme: scheme),
            method: importance ? SearchedScale() : measured, place: "trial")
        let clock = ContinuousClock()
        let time = try clock.measure { _ = try values.withUnsafeBufferPointer { try quantizer.quantize($0) } }
        return time / .seconds(1) / Double(rows * columns)
    }

    private static func productsPerSecond(_ compute: Compute) -> Double {
        let n = 768
        let (a, b, c) = (OwnedRows(n, width: n), AlignedBuffer<Float>(count: n * n), OwnedRows(n, width: n))
        a.rows.pointer.update(repeating: 1, count: n * n)
        b.pointer.update(repeating: 1, count: n * n)
        defer { withExtendedLifetime((a, c)) {} }
        let clock = ContinuousClock()
        let time = clock.measure { for _ in 0..<3 { denseProduct(b, a.rows, into: c.rows, pool: compute.pool) } }
        return 3 * pow(Double(n), 3) / (time / .seconds(1))
    }
}
