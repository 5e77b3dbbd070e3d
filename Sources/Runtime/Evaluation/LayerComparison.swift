import Foundation

/// How one linear layer of a candidate, or its embedding, differs from the reference's.
public struct LayerComparison: Sendable, Equatable {
    public let module: String
    /// The candidate's: "int4 g64", or the type in which it stands there.
    public let scheme: String
    /// Of the weights: 10·log10(Σ w² / Σ (w − ŵ)²). Infinite where they are equal, nil for a layer of zeros.
    public let decibels: Double?
    /// ‖y − ŷ‖ / ‖y‖ of the layer's outputs on the reference's inputs, as the runtime computes them; nil where the
    /// outputs are zero, and for the embedding, whose rows are its weights.
    public let outputError: Double?
    /// Whether it is of a decoder layer, and not embedding or head.
    public var isInDecoder: Bool { module.hasPrefix("model.layers.") }

    /// Walks the decoder layer by layer, both models on the reference's activations: each figure is a layer's own
    /// error, with nothing of the layers before. Memory holds one layer of both. Embedding and head are told of where
    /// their weights differ.
    static func all(
        reference: Checkpoint, candidate: Checkpoint, windows: [[Int32]], precision: ComputePrecision,
        threads: Int?
    ) throws -> [LayerComparison] {
        let model = reference.configuration
        let compute = Compute(
            kernels: try KernelSet.select(nil), threads: threads ?? ProcessInfo.processInfo.activeProcessorCount)
        let runner = try LayerRunner(model, windows: windows, compute: compute)
        let probe = LayerProbe(
            runner: runner, x: try runner.embedded(EmbeddingTable(reference, kernels: compute.kernels)))
        let quantization = try candidate.quantization
        let decoder = try (0..<model.layers).flatMap { index -> [LayerComparison] in
            let exact = try DecoderWeights(reference, range: index..<index + 1, precision: .fp32, compute: compute)
            let other = try DecoderWeights(candidate, range: index..<index + 1, precision: precision, compute: compute)
            let errors = probe.step(exact.layers[0], other.layers[0])
            let names = ["input_layernorm", "post_attention_layernorm"]
            let norms = try names.map { try Self.normRatio("model.layers.\(index).\($0).weight", reference, candidate) }
            return try zip(model.linearLayers(index), errors).enumerated().map { place, pair in
                let (layer, error) = pair
                // q, k and v read the first norm, gate and up the second.
                let ratio = place < 3 ? norms[0] : place == 4 || place == 5 ? norms[1] : nil
                let scheme = try quantization?.scheme(for: layer.module)
                return LayerComparison(
                    module: layer.module, scheme: try scheme?.label ?? candidate.info(layer.weight).dtype.rawValue,
                    decibels: try signalToNoise(reference.plainWeight(layer), layer, candidate, scheme, ratio).decibels,
                    outputError: error)
            }
        }
        let embedding = try end(
            model.embedding.module, reference.plainWeight(model.embedding), model.embedding, candidate, nil
        ) { nil }
        let head = try end(
            model.head.module, reference.plainWeight(model.headWeights), candidate.configuration.headWeights, candidate,
            normRatio("model.norm.weight", reference, candidate)
        ) {
            let last = model.layers..<model.layers
            return probe.head(
                try DecoderWeights(reference, range: last, precision: .fp32, compute: compute),
                try DecoderWeights(candidate, range: last, precision: precision, compute: compute))
        }
        return [embedding].compactMap { $0 } + decoder + [head].compactMap { $0 }
    }

    /// Embedding or head; nil where the candidate's weights, which stand in `layer`, are the reference's.
    private static func end(
        _ module: String, _ exact: [Float], _ layer: LinearLayer, _ candidate: Checkpoint, _ ratio: [Float]?,
        outputError: () throws -> Double?
    ) throws -> LayerComparison? {
        let scheme = try candidate.quantization?.scheme(for: layer.module)
        let quality = try signalToNoise(exact, layer, candidate, scheme, ratio)
        guard quality.noise > 0 else { return nil }
        return LayerComparison(
            module: module, scheme: try scheme?.label ?? candidate.info(layer.weight).dtype.rawValue,
            decibels: quality.decibels, outputError: try outputError())
    }

    /// The candidate's norm over the reference's, [hidden]; nil where they are equal.
    private static func normRatio(_ name: String, _ reference: Checkpoint, _ candidate: Checkpoint) throws -> [Float]? {
        let shape = [reference.configuration.hidden]
        let (exact, other) = (try reference.float32(name, shape: shape), try candidate.float32(name, shape: shape))
        return exact == other ? nil : zip(exact, other).map { $0 == 0 ? 1 : $1 / $0 }
    }

    /// Of the candidate's `layer`, its columns multiplied by `ratio` [columns], against `exact` [rows, columns].
    private static func signalToNoise(
        _ exact: [Float], _ layer: LinearLayer, _ candidate: Checkpoint, _ scheme: QuantizationScheme?,
        _ ratio: [Float]?
    ) throws -> SignalToNoise {
        let shape = [layer.rows, layer.columns]
        let packed = try scheme.map { try PackedWeight(reading: layer, from: candidate, scheme: $0) }
        let plain = packed == nil ? try candidate.float32(layer.weight, shape: shape) : []
        var (signal, noise) = (0.0, 0.0)
        for row in 0..<layer.rows {
            let begin = row * layer.columns
            let got = packed?.dequantized(row: row, dtype: .f32) ?? Array(plain[begin..<begin + layer.columns])
            for column in 0..<layer.columns {
                let w = Double(exact[begin + column])
                let difference = w - Double(got[column] * (ratio?[column] ?? 1))
                signal += w * w
                noise += difference * difference
            }
        }
        return SignalToNoise(signal: signal, noise: noise)
    }
}

extension ModelConfiguration {
    /// Where the head's weights stand: where embeddings are tied, in them.
    fileprivate var headWeights: LinearLayer { tiedEmbeddings ? embedding : head }
}

extension Checkpoint {
    /// A layer's weights [rows, columns] in fp32, dequantized where they are packed.
    func plainWeight(_ layer: LinearLayer) throws -> [Float] {
        guard let scheme = try quantization?.scheme(for: layer.module) else {
            return try float32(layer.weight, shape: [layer.rows, layer.columns])
        }
        let packed = try PackedWeight(reading: layer, from: self, scheme: scheme)
        return (0..<layer.rows).flatMap { packed.dequantized(row: $0, dtype: .f32) }
    }
}

/// Takes windows through the reference's layers, one at a time, and shows each linear layer's input to the candidate's
/// too.
private struct LayerProbe {
    let runner: LayerRunner
    let x: OwnedRows

    /// The relative errors of query, key, value, output, gate, up and down.
    func step(_ exact: DecoderLayer, _ other: DecoderLayer) -> [Double?] {
        let n = runner.normed(x, exact.attentionNorm)
        // A method may have moved factors from a norm into the layers behind it: each has its own norm.
        let otherNormed = runner.normed(x, other.attentionNorm)
        let (q, queryError) = both(exact.query, other.query, n, otherNormed)
        let (k, keyError) = both(exact.key, other.key, n, otherNormed)
        let (v, valueError) = both(exact.value, other.value, n, otherNormed)
        let a = runner.attended(q, k, v)
        let (output, outputError) = both(exact.output, other.output, a, a)
        runner.add(output, to: x)
        let m = runner.normed(x, exact.mlpNorm)
        let otherM = runner.normed(x, other.mlpNorm)
        let (gate, gateError) = both(exact.gate, other.gate, m, otherM)
        let (up, upError) = both(exact.up, other.up, m, otherM)
        let g = runner.gated(gate, up)
        let (down, downError) = both(exact.down, other.down, g, g)
        runner.add(down, to: x)
        return [queryError, keyError, valueError, outputError, gateError, upError, downError]
    }

    /// The relative error of the logits, once all layers have been stepped through; both are the model's last part.
    func head(_ exact: DecoderWeights, _ other: DecoderWeights) -> Double? {
        guard let norm = exact.finalNorm, let otherNorm = other.finalNorm, let head = exact.head,
            let otherHead = other.head
        else { preconditionFailure("the last part of a model has a head") }
        return both(head, otherHead, runner.normed(x, norm), runner.normed(x, otherNorm)).error
    }

    private func both(
        _ exact: Linear, _ other: Linear, _ input: OwnedRows, _ otherInput: OwnedRows
    ) -> (output: OwnedRows, error: Double?) {
        let expected = runner.apply(exact, input)
        let got = runner.apply(other, otherInput)
        defer { withExtendedLifetime((expected, got)) {} }
        var (signal, noise) = (0.0, 0.0)
        for (a, b) in zip(expected.rows.values, got.rows.values) {
            signal += Double(a) * Double(a)
            noise += (Double(a) - Double(b)) * (Double(a) - Double(b))
        }
        return (expected, signal > 0 ? (noise / signal).squareRoot() : nil)
    }
}
