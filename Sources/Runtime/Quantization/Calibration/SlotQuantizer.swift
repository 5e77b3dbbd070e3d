import Foundation

/// Quantizes the products of one slot of a layer on the inputs that the calibration walk brings.
struct SlotQuantizer {
    let recipe: QuantizationRecipe
    let dtype: (LinearLayer) throws -> DType
    let place: String
    let compute: Compute

    /// - Parameter exact: the slot's products in fp32.
    /// - Returns: what they become, for the file and for the walk; where a layer is kept, itself and nothing.
    func quantize(
        _ layers: [LinearLayer], exact: [Linear], input: CalibrationWalk.Input
    ) throws -> [(linear: Linear, packed: QuantizedLayer?)] {
        guard let scheme = recipe.plan[layers[0].module] else { return exact.map { ($0, nil) } }
        let (method, factor, rows) = try calibrated(layers, on: input.rows, scheme)
        return try zip(layers, exact).map { layer, linear in
            guard case .dense(let dense) = linear.weights else { preconditionFailure("full weights") }
            var target = UnsafeBufferPointer(dense.buffer)
            let moved = try factor.flatMap { try compensated(layer, linear, dense, input, rows, $0) }
            if let moved { target = moved.rows.values }
            let quantizer = try LayerQuantizer(
                LayerContext(
                    module: layer.module, rows: layer.rows, columns: layer.columns, dtype: try dtype(layer),
                    scheme: scheme), method: method, place: place, pool: compute.pool)
            let result = try withExtendedLifetime(moved) { try quantizer.quantize(target) }
            return (self.linear(PackedWeight(result), bias: linear.bias), result)
        }
    }

    /// The recipe's method for layers that read the same input [tokens, columns], what GPTQ learned of it, and the input as
    /// the method counts it: with int8 activations where the recipe says so.
    /// - Throws: `QuantizationError.activationsOverflow`, `.singular`
    func calibrated(
        _ layers: [LinearLayer], on input: OwnedRows, _ scheme: QuantizationScheme
    ) throws -> (method: any RoundingMethod, factor: GPTQFactor?, rows: OwnedRows) {
        let rows = recipe.quantizesActivations ? int8Image(input.rows, scheme: scheme) : input
        defer { withExtendedLifetime(input) {} }
        let moments = try SecondMoments(of: rows, reaching: layers[0], pool: compute.pool)
        func each<Value>(_ value: Value) -> [String: Value] {
            Dictionary(uniqueKeysWithValues: layers.map { ($0.module, value) })
        }
        switch recipe.method {
        case .gptq:
            let factor = try GPTQFactor(
                moments, damping: recipe.gptq.damping, module: layers[0].module, pool: compute.pool)
            return (GPTQ(factors: each(factor), options: recipe.gptq), factor, rows)
        case .imatrix: return (SearchedScale(importance: each(moments.diagonal)), nil, rows)
        case .mse, .awq: return (SearchedScale(), nil, rows)
        case .rtn: return (RoundToNearest(), nil, rows)
        }
    }

    /// As the walk computes it: as the runtime will, or by its weights alone.
    func linear(_ packed: PackedWeight, bias: AlignedBuffer<Float>?) -> Linear {
        let weights: Linear.Weights
        if recipe.quantizesActivations {
            weights = .packed(PackedWeights(packed, kernels: compute.kernels, pool: compute.pool))
        } else {
            let dense = AlignedBuffer<Float>(count: packed.rows * packed.columns)
            compute.pool.run(packed.rows) { row, _ in
                packed.dequantized(row: row, dtype: .f32).withUnsafeBufferPointer {
                    (dense.pointer + row * packed.columns).update(from: $0.baseAddress!, count: packed.columns)
                }
            }
            weights = .dense(dense)
        }
        return Linear(inputs: packed.columns, outputs: packed.rows, weights: weights, bias: bias)
    }

    /// The weights that would give the full model's outputs from the inputs as they are by now, as far as a linear layer
    /// can: W' = W + a·Eᵀ·X̂·(X̂ᵀ·X̂ + damping)⁻¹, E [tokens, outputs] being what the full model's outputs (and its residual
    /// stream) have more than W·x̂. So a layer also makes good what those before it lost (Li et al. 2025, GPTAQ, with the
    /// residual stream as a further target).
    private func compensated(
        _ layer: LinearLayer, _ linear: Linear, _ dense: AlignedBuffer<Float>, _ input: CalibrationWalk.Input,
        _ rows: OwnedRows, _ factor: GPTQFactor
    ) throws -> OwnedRows? {
        guard recipe.compensation > 0 else { return nil }
        let difference = OwnedRows(copying: input.reference.rows)
        let error = OwnedRows(rows.rows.rows, width: layer.rows)
        defer { withExtendedLifetime((difference, error, rows, input)) {} }
        for i in 0..<difference.rows.values.count { difference.rows.pointer[i] -= rows.rows.pointer[i] }
        denseProduct(dense, difference.rows, into: error.rows, pool: compute.pool)
        if let gap = input.gap { compute.add(error.rows, gap.rows) }
        let n = layer.columns
        let product = OwnedRows(layer.rows, width: n)
        product.rows.pointer.update(repeating: 0, count: layer.rows * n)
        DenseAlgebra.addTransposedProduct(error.rows, rows.rows, to: product.rows.pointer, pool: compute.pool)
        let scale = recipe.compensation / Float(rows.rows.rows)
        let ordered = OwnedRows(layer.rows, width: n)
        defer { withExtendedLifetime(ordered) {} }
        for row in 0..<layer.rows {
            for place in 0..<n { ordered.rows[row][place] = product.rows[row][factor.order[place]] * scale }
        }
        DenseAlgebra.timesInverse(ordered.rows, upper: factor.upper.pointer, pool: compute.pool)
        for row in 0..<layer.rows {
            for place in 0..<n {
                let column = factor.order[place]
                product.rows[row][column] = dense.pointer[row * n + column] + ordered.rows[row][place]
            }
        }
        return product
    }

    /// x as int8 activations stand for it, a scale for every group.
    private func int8Image(_ x: Rows, scheme: QuantizationScheme) -> OwnedRows {
        let group = PackedWeights.kernelGroup(columns: x.width, scaleGroup: scheme.groupSize ?? x.width)
        let image = OwnedRows(x.rows, width: x.width)
        compute.pool.run(x.rows) { row, _ in
            for begin in stride(from: 0, to: x.width, by: group) {
                let range = begin..<min(x.width, begin + group)
                let top = range.reduce(Float(0)) { max($0, x[row][$1].magnitude) }
                let (scale, inverse) = (top / 127, top > 0x1p-120 ? 127 / top : 0)
                for i in range { image.rows[row][i] = ((x[row][i] * inverse + 0x1.8p23) - 0x1.8p23) * scale }
            }
        }
        return image
    }
}
