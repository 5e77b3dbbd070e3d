import Foundation

/// How one linear layer of a candidate differs from the reference's.
public struct LayerComparison: Sendable, Equatable {
    public let module: String
    /// The candidate's: "int4 g64", or the type in which it stands there.
    public let scheme: String
    /// Of the weights: 10·log10(Σ w² / Σ (w − ŵ)²). Infinite where they are equal, nil for a layer of zeros.
    public let decibels: Double?
    /// ‖y − ŷ‖ / ‖y‖ of the layer's outputs on the reference's inputs, as the runtime computes them; nil where the
    /// outputs are zero.
    public let outputError: Double?

    /// Walks the decoder layer by layer, both models on the reference's activations: each figure is a layer's own
    /// error, with nothing of the layers before. Memory holds one layer of both.
    static func all(
        reference: Checkpoint, candidate: Checkpoint, windows: [[Int32]], precision: ComputePrecision,
        threads: Int?
    ) throws -> [LayerComparison] {
        let model = reference.configuration
        let compute = Compute(
            kernels: try KernelSet.select(nil), threads: threads ?? ProcessInfo.processInfo.activeProcessorCount)
        let probe = try LayerProbe(model, windows: windows, compute: compute)
        try probe.embed(EmbeddingTable(reference, kernels: compute.kernels))
        let quantization = try candidate.quantization
        return try (0..<model.layers).flatMap { index -> [LayerComparison] in
            let exact = try DecoderWeights(reference, range: index..<index + 1, precision: .fp32, compute: compute)
            let other = try DecoderWeights(candidate, range: index..<index + 1, precision: precision, compute: compute)
            let errors = probe.step(exact.layers[0], other.layers[0])
            return try zip(model.linearLayers(index), errors).map { layer, error in
                let scheme = try quantization?.scheme(for: layer.module)
                return LayerComparison(
                    module: layer.module, scheme: try scheme?.label ?? candidate.info(layer.weight).dtype.rawValue,
                    decibels: try signalToNoise(layer, reference, candidate, scheme).decibels, outputError: error)
            }
        }
    }

    private static func signalToNoise(
        _ layer: LinearLayer, _ reference: Checkpoint, _ candidate: Checkpoint, _ scheme: QuantizationScheme?
    ) throws -> SignalToNoise {
        let shape = [layer.rows, layer.columns]
        let exact = try reference.plainWeight(layer)
        let packed = try scheme.map { try PackedWeight(reading: layer, from: candidate, scheme: $0) }
        let plain = packed == nil ? try candidate.float32(layer.weight, shape: shape) : []
        var (signal, noise) = (0.0, 0.0)
        for row in 0..<layer.rows {
            let begin = row * layer.columns
            let got = packed?.dequantized(row: row, dtype: .f32) ?? Array(plain[begin..<begin + layer.columns])
            for column in 0..<layer.columns {
                let w = Double(exact[begin + column])
                let difference = w - Double(got[column])
                signal += w * w
                noise += difference * difference
            }
        }
        return SignalToNoise(signal: signal, noise: noise)
    }
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

/// Takes a batch of windows through the reference's layers, one at a time, and shows each linear layer's input to the
/// candidate's too. The steps are `Decoder.forward`'s.
private final class LayerProbe {
    private let model: ModelConfiguration
    private let compute: Compute
    private let rotary: RotaryTable
    private let cache: KVCache
    private let batch: Batch
    private let hidden: AlignedBuffer<Float>
    private let x: Rows
    /// Their memory lives as long as the probe.
    private var rows: [AlignedBuffer<Float>] = []

    init(_ model: ModelConfiguration, windows: [[Int32]], compute: Compute) throws {
        self.model = model
        self.compute = compute
        rotary = RotaryTable(model.rope, headDim: model.headDim)
        rotary.reserve(windows.map(\.count).max() ?? 0)
        var batch = Batch()
        var pages = 0
        for (index, window) in windows.enumerated() {
            let count = (window.count + KVCache.pagePositions - 1) / KVCache.pagePositions
            batch.append(
                sequence: index, tokens: window, firstPosition: 0, pages: (pages..<pages + count).map(Int32.init),
                readouts: [], request: "window", traced: false)
            pages += count
        }
        self.batch = batch
        cache = try KVCache(
            layers: 1, kvHeads: model.kvHeads, headDim: model.headDim, precision: .fp32, pages: pages)
        hidden = AlignedBuffer(count: batch.rows * model.hidden)
        x = Rows(hidden.pointer, rows: batch.rows, width: model.hidden)
    }

    func embed(_ table: EmbeddingTable) throws {
        for (row, token) in batch.tokens.enumerated() { try table.copyRow(Int(token), into: x[row]) }
    }

    /// The relative errors of query, key, value, output, gate, up and down.
    func step(_ exact: DecoderLayer, _ other: DecoderLayer) -> [Double?] {
        rows.removeAll(keepingCapacity: true)
        let segments = batch.segments.map(\.rows)
        let normed = room(model.hidden)
        compute.rmsNorm(x, exact.attentionNorm, epsilon: model.rmsEpsilon, into: normed)
        let (q, queryError) = both(exact.query, other.query, normed)
        let (k, keyError) = both(exact.key, other.key, normed)
        let (v, valueError) = both(exact.value, other.value, normed)
        compute.rotate(q, headDim: model.headDim, positions: batch.positions, rotary)
        compute.rotate(k, headDim: model.headDim, positions: batch.positions, rotary)
        let attended = room(model.heads * model.headDim)
        compute.attend(
            zip(batch.segments, segments).map {
                AttentionSegment(rows: $1, firstPosition: $0.firstPosition, pages: $0.pages, pattern: nil)
            }, queries: q, keys: k, values: v, into: attended, cache: cache, layer: 0, heads: model.heads)
        let (attention, outputError) = both(exact.output, other.output, attended)
        compute.add(x, attention)

        compute.rmsNorm(x, exact.mlpNorm, epsilon: model.rmsEpsilon, into: normed)
        let (gate, gateError) = both(exact.gate, other.gate, normed)
        let (up, upError) = both(exact.up, other.up, normed)
        compute.siluMultiply(gate, up)
        let (down, downError) = both(exact.down, other.down, gate)
        compute.add(x, down)
        return [queryError, keyError, valueError, outputError, gateError, upError, downError]
    }

    private func both(_ exact: Linear, _ other: Linear, _ input: Rows) -> (output: Rows, error: Double?) {
        let expected = apply(exact, input)
        let got = apply(other, input)
        var (signal, noise) = (0.0, 0.0)
        for (a, b) in zip(expected.values, got.values) {
            signal += Double(a) * Double(a)
            noise += (Double(a) - Double(b)) * (Double(a) - Double(b))
        }
        return (expected, signal > 0 ? (noise / signal).squareRoot() : nil)
    }

    private func apply(_ layer: Linear, _ input: Rows) -> Rows {
        let out = room(layer.outputs)
        var input = Compute.Input(input, segments: batch.segments.map(\.rows))
        compute.apply(layer, to: &input, into: out)
        return out
    }

    private func room(_ width: Int) -> Rows {
        let buffer = AlignedBuffer<Float>(count: batch.rows * width)
        rows.append(buffer)
        return Rows(buffer.pointer, rows: batch.rows, width: width)
    }
}
