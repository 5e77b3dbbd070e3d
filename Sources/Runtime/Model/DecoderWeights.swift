import CKernels
import Foundation

/// One block's weights. Shapes: query [heads·headDim, hidden], key and value [kvHeads·headDim, hidden],
/// output [hidden, heads·headDim], gate and up [intermediate, hidden], down [hidden, intermediate].
struct DecoderLayer: Sendable {
    var attentionNorm, mlpNorm: AlignedBuffer<Float>
    var query, key, value, output: Linear
    var gate, up, down: Linear
}

/// How linear layers are computed.
public enum ComputePrecision: String, Sendable, CaseIterable {
    /// Quantized layers with int8 activations, others in fp32.
    case auto
    /// Everything in fp32: quantized weights are dequantized at load. The reference.
    case fp32
}

/// A stage's share of a checkpoint, in memory and in the order that the kernels read.
struct DecoderWeights: Sendable {
    /// Columns that share a scale in a head that is rounded at load.
    static let headGroup = 32

    let range: Range<Int>
    let layers: [DecoderLayer]
    /// The embedding table, on the first stage.
    let embedding: EmbeddingTable?
    /// The final norm and the head [vocabulary, hidden], on the last stage.
    let finalNorm: AlignedBuffer<Float>?
    let head: Linear?

    /// Reads the layers in `range`, with the embedding if it begins at 0 and the head if it ends at the last.
    /// - Throws: `CheckpointError`, `QuantizationError`.
    init(_ checkpoint: Checkpoint, range: Range<Int>, precision: ComputePrecision, compute: Compute) throws {
        let model = checkpoint.configuration
        let quantization = try checkpoint.quantization
        let loader = WeightLoader(
            checkpoint: checkpoint, quantization: quantization, precision: precision, compute: compute)
        self.range = range

        layers = try range.map { index in
            let layer = "model.layers.\(index)."
            let attention = layer + "self_attn."
            let queryWidth = model.heads * model.headDim
            let keyWidth = model.kvHeads * model.headDim
            return DecoderLayer(
                attentionNorm: try loader.vector(layer + "input_layernorm.weight", model.hidden),
                mlpNorm: try loader.vector(layer + "post_attention_layernorm.weight", model.hidden),
                query: try loader.linear(attention + "q_proj", model.hidden, queryWidth, bias: model.qkvBias),
                key: try loader.linear(attention + "k_proj", model.hidden, keyWidth, bias: model.qkvBias),
                value: try loader.linear(attention + "v_proj", model.hidden, keyWidth, bias: model.qkvBias),
                output: try loader.linear(attention + "o_proj", queryWidth, model.hidden, bias: model.outputBias),
                gate: try loader.linear(layer + "mlp.gate_proj", model.hidden, model.intermediate, bias: model.mlpBias),
                up: try loader.linear(layer + "mlp.up_proj", model.hidden, model.intermediate, bias: model.mlpBias),
                down: try loader.linear(
                    layer + "mlp.down_proj", model.intermediate, model.hidden, bias: model.mlpBias))
        }

        embedding =
            range.lowerBound == 0
            ? try EmbeddingTable(checkpoint, kernels: compute.kernels) : nil
        if range.upperBound == model.layers {
            finalNorm = try loader.finalNorm()
            head = try loader.head(
                model.tiedEmbeddings ? "model.embed_tokens" : "lm_head", model.hidden, model.vocabulary)
        } else {
            finalNorm = nil
            head = nil
        }
    }

    /// The norm before the head, alone.
    static func finalNorm(_ checkpoint: Checkpoint, compute: Compute) throws -> AlignedBuffer<Float> {
        try WeightLoader(checkpoint: checkpoint, quantization: nil, precision: .fp32, compute: compute).finalNorm()
    }

    /// Bytes in memory.
    var byteCount: Int {
        let norms = layers.reduce(finalNorm?.byteCount ?? 0) { $0 + $1.attentionNorm.byteCount + $1.mlpNorm.byteCount }
        return norms + productByteCount + (embedding?.byteCount ?? 0)
    }

    /// Bytes of the head, where this part of the model has it.
    var headByteCount: Int { head?.byteCount ?? 0 }

    /// Bytes of the linear layers and the head: what every decoding step reads.
    var productByteCount: Int {
        layers.reduce(head?.byteCount ?? 0) { sum, layer in
            [layer.query, layer.key, layer.value, layer.output, layer.gate, layer.up, layer.down]
                .reduce(sum) { $0 + $1.byteCount }
        }
    }
}

/// Reads tensors by name and puts them into the kernels' order.
private struct WeightLoader {
    let checkpoint: Checkpoint
    let quantization: QuantizationConfiguration?
    let precision: ComputePrecision
    let compute: Compute

    func vector(_ name: String, _ count: Int) throws -> AlignedBuffer<Float> {
        try dense(name, [count])
    }

    func finalNorm() throws -> AlignedBuffer<Float> {
        try vector("model.norm.weight", checkpoint.configuration.hidden)
    }

    func linear(_ module: String, _ inputs: Int, _ outputs: Int, bias hasBias: Bool) throws -> Linear {
        let bias = hasBias ? try vector(module + ".bias", outputs) : nil
        let weights: Linear.Weights
        if let scheme = try quantization?.scheme(for: module) {
            weights = try quantized(module, inputs, outputs, scheme)
        } else {
            weights = .dense(try dense(module + ".weight", [outputs, inputs]))
        }
        return Linear(inputs: inputs, outputs: outputs, weights: weights, bias: bias)
    }

    /// The head, from `module`'s weights: its own, or the embedding's. In a quantized model it is the largest product of
    /// a decoding step, so there it runs in int8 even where the file holds it in full: groups of 32 columns, rounded to
    /// nearest at load.
    func head(_ module: String, _ inputs: Int, _ outputs: Int) throws -> Linear {
        guard precision == .auto, let quantization, try quantization.scheme(for: module) == nil else {
            return try linear(module, inputs, outputs, bias: false)
        }
        let name = module + ".weight"
        let info = try checkpoint.info(name)
        let packed =
            info.shape == [outputs, inputs] && info.dtype.isSupportedFloat
            ? try checkpoint.withBytes(name) {
                PackedWeights.roundToNearest(
                    $0, info.dtype, rows: outputs, columns: inputs, group: DecoderWeights.headGroup,
                    kernels: compute.kernels, pool: compute.pool)
            } : nil
        guard let packed else {
            // Reading it whole tells what is wrong with it.
            _ = try dense(name, [outputs, inputs])
            preconditionFailure("\(name) was refused without a reason")
        }
        checkpoint.release(name)
        return Linear(inputs: inputs, outputs: outputs, weights: .packed(packed), bias: nil)
    }

    private func dense(_ name: String, _ shape: [Int]) throws -> AlignedBuffer<Float> {
        let buffer = AlignedBuffer<Float>(count: shape.reduce(1, *))
        try checkpoint.copyFloat32(name, shape: shape, into: buffer.buffer)
        checkpoint.release(name)
        return buffer
    }

    private func quantized(
        _ module: String, _ inputs: Int, _ outputs: Int, _ scheme: QuantizationScheme
    ) throws -> Linear.Weights {
        let layer = LinearLayer(module: module, rows: outputs, columns: inputs)
        defer { for tensor in [".weight_packed", ".weight_scale"] { checkpoint.release(module + tensor) } }
        guard precision == .fp32 else {
            let scales = try PackedScales(reading: layer, from: checkpoint, scheme: scheme)
            return .packed(
                try PackedWeights(scales, from: checkpoint, kernels: compute.kernels, pool: compute.pool))
        }
        let packed = try PackedWeight(reading: layer, from: checkpoint, scheme: scheme)
        let buffer = AlignedBuffer<Float>(count: outputs * inputs)
        compute.pool.run(outputs) { row, _ in
            packed.dequantized(row: row, dtype: .f32).withUnsafeBufferPointer {
                (buffer.pointer + row * inputs).update(from: $0.baseAddress!, count: inputs)
            }
        }
        return .dense(buffer)
    }
}
