/// A linear layer of the supported families: y = W [rows, columns] · x + bias, W being [out, in].
public struct LinearLayer: Sendable, Equatable {
    /// `model.layers.0.self_attn.q_proj`, `lm_head`
    public let module: String
    public let rows, columns: Int
    public let bias: Bool

    public init(module: String, rows: Int, columns: Int, bias: Bool = false) {
        self.module = module
        self.rows = rows
        self.columns = columns
        self.bias = bias
    }

    /// The tensor `<module>.weight`.
    public var weight: String { module + ".weight" }
}

extension ModelConfiguration {
    /// The seven linear layers of decoder layer `index`, in the order of their use.
    public func linearLayers(_ index: Int) -> [LinearLayer] {
        func linear(_ name: String, _ rows: Int, _ columns: Int, _ bias: Bool) -> LinearLayer {
            LinearLayer(module: "model.layers.\(index).\(name)", rows: rows, columns: columns, bias: bias)
        }
        return [
            linear("self_attn.q_proj", queryWidth, hidden, qkvBias),
            linear("self_attn.k_proj", kvWidth, hidden, qkvBias),
            linear("self_attn.v_proj", kvWidth, hidden, qkvBias),
            linear("self_attn.o_proj", hidden, queryWidth, outputBias),
            linear("mlp.gate_proj", intermediate, hidden, mlpBias),
            linear("mlp.up_proj", intermediate, hidden, mlpBias),
            linear("mlp.down_proj", hidden, intermediate, mlpBias),
        ]
    }

    /// The decoder's linear layers in the order in which they are used, without the head.
    public var decoderLinearLayers: [LinearLayer] { (0..<layers).flatMap(linearLayers) }

    /// The head, W [vocabulary, hidden]. Where embeddings are tied its weight is that of `model.embed_tokens`, and no
    /// tensor of its own.
    public var head: LinearLayer { LinearLayer(module: "lm_head", rows: vocabulary, columns: hidden) }
}
