/// A linear layer of the supported families: W [rows, columns], that is [out, in].
public struct LinearLayer: Sendable, Equatable {
    /// `model.layers.0.self_attn.q_proj`, `lm_head`
    public let module: String
    /// `self_attn.q_proj`, `lm_head`: the same for every decoder layer.
    public let kind: String
    public let rows, columns: Int

    /// The tensor `<module>.weight`.
    public var weight: String { module + ".weight" }
}

extension ModelConfiguration {
    /// The decoder's linear layers in the order in which they are used, without the head.
    public var decoderLinearLayers: [LinearLayer] {
        let shapes: [(kind: String, rows: Int, columns: Int)] = [
            ("self_attn.q_proj", heads * headDim, hidden), ("self_attn.k_proj", kvHeads * headDim, hidden),
            ("self_attn.v_proj", kvHeads * headDim, hidden), ("self_attn.o_proj", hidden, heads * headDim),
            ("mlp.gate_proj", intermediate, hidden), ("mlp.up_proj", intermediate, hidden),
            ("mlp.down_proj", hidden, intermediate),
        ]
        return (0..<layers).flatMap { layer in
            shapes.map {
                LinearLayer(
                    module: "model.layers.\(layer).\($0.kind)", kind: $0.kind, rows: $0.rows, columns: $0.columns)
            }
        }
    }

    /// The head, W [vocabulary, hidden]; with tied embeddings its weight is that of `model.embed_tokens`.
    public var head: LinearLayer {
        LinearLayer(module: "lm_head", kind: "lm_head", rows: vocabulary, columns: hidden)
    }
}
