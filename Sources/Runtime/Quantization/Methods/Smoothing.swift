import Foundation

/// Factors moved from a norm's weights into the layers that read it (AWQ, Lin et al. 2023): columns of large inputs get
/// larger weights, which lose less to rounding, and the norm gives as much less. The function and the architecture stay.
struct Smoothing: Sendable {
    /// Of each norm's tensor, [hidden]: what its layers' columns are multiplied by, exactly what the norm's stored
    /// weights have been divided by.
    private(set) var factors: [String: [Float]] = [:]
    /// Of each such tensor, in the checkpoint's dtype.
    private(set) var norms: [String: [Float]] = [:]

    static func names(_ layer: Int) -> [String] {
        ["input_layernorm", "post_attention_layernorm"].map { "model.layers.\(layer).\($0).weight" }
    }

    /// Exponents of the inputs' magnitudes that are tried; 0 leaves all as it is.
    static let exponents: [Float] = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8]

    /// Tries each exponent on the layers behind a norm and keeps the best, by the error of their outputs.
    mutating func search(
        norm name: String, weights: AlignedBuffer<Float>, dtype: DType, layers: [(layer: LinearLayer, linear: Linear)],
        scheme: QuantizationScheme, moments: SecondMoments, place: String, pool: ThreadPool
    ) throws {
        let n = moments.columns
        let diagonal = moments.diagonal
        let magnitude = diagonal.map { max($0, 1e-20).squareRoot() }
        // Relative to the geometric mean, so that the weights' overall size stays.
        let middle = exp(magnitude.reduce(0) { $0 + log($1) } / Float(n))
        var best: (error: Double, factors: [Float], norm: [Float])?
        for exponent in Self.exponents {
            let wanted = magnitude.map { max(1e-2, min(1e2, pow($0 / middle, exponent))) }
            let stored = (0..<n).map { ScaleSearch.stored(weights.pointer[$0] / wanted[$0], dtype) }
            let factors = (0..<n).map { stored[$0] == 0 ? 1 : weights.pointer[$0] / stored[$0] }
            let importance = (0..<n).map { diagonal[$0] / (factors[$0] * factors[$0]) }
            var error = 0.0
            for (layer, linear) in layers {
                guard case .dense(let dense) = linear.weights else { preconditionFailure("full weights") }
                let scaled = OwnedRows(layer.rows, width: n)
                defer { withExtendedLifetime(scaled) {} }
                for row in 0..<layer.rows {
                    for i in 0..<n { scaled.rows[row][i] = dense.pointer[row * n + i] * factors[i] }
                }
                let quantized = try PackedWeight(
                    LayerQuantizer(
                        LayerContext(module: layer.module, rows: layer.rows, columns: n, dtype: dtype, scheme: scheme),
                        method: SearchedScale(importance: [layer.module: importance]), place: place, pool: pool
                    ).quantize(scaled.rows.values))
                pool.run(layer.rows) { row, _ in
                    let restored = quantized.dequantized(row: row, dtype: .f32)
                    for i in 0..<n { scaled.rows[row][i] = restored[i] / factors[i] - dense.pointer[row * n + i] }
                }
                error += moments.quadraticForm(scaled, pool: pool)
            }
            if best.map({ error < $0.error }) ?? true { best = (error, factors, stored) }
        }
        guard let best, best.factors.contains(where: { $0 != 1 }) else { return }
        factors[name] = best.factors
        norms[name] = best.norm
    }

    /// Changes a layer's weights and norms in place; they must be the caller's own.
    func apply(to layer: DecoderLayer, index: Int) {
        let names = Self.names(index)
        for (name, norm, linears) in [
            (names[0], layer.attentionNorm, [layer.query, layer.key, layer.value]),
            (names[1], layer.mlpNorm, [layer.gate, layer.up]),
        ] {
            guard let factors = factors[name], let stored = norms[name] else { continue }
            for i in 0..<norm.count { norm.pointer[i] = stored[i] }
            for linear in linears {
                guard case .dense(let dense) = linear.weights else { preconditionFailure("full weights") }
                for row in 0..<linear.outputs {
                    for i in 0..<linear.inputs { dense.pointer[row * linear.inputs + i] *= factors[i] }
                }
            }
        }
    }
}
