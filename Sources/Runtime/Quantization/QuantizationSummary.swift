extension ModelQuantizer {
    /// What became of one module.
    public struct Layer: Sendable {
        public let layer: LinearLayer
        public let scheme: QuantizationScheme
        public let bytesBefore, bytesAfter: Int
        /// nil before the layer is quantized.
        public var quality: SignalToNoise?
    }

    public struct Summary: Sendable {
        public let method: String
        /// How the embedding is rounded, where it is quantized and the method needs calibration.
        public let embeddingMethod: String?
        public let layers: [Layer]
        /// Bytes of all tensors.
        public let bytesBefore, bytesAfter: Int
        public let parameters: Int

        /// Bits a weight of the quantized modules takes, scales and zero points included.
        public var bitsPerWeight: Double {
            let weights = layers.reduce(0) { $0 + $1.layer.rows * $1.layer.columns }
            return weights == 0 ? 0 : Double(layers.reduce(0) { $0 + $1.bytesAfter } * 8) / Double(weights)
        }

        /// Bits of all tensors for each parameter.
        public var totalBitsPerWeight: Double { Double(bytesAfter * 8) / Double(max(1, parameters)) }

        /// Each scheme in use with its modules, the most used first.
        public var schemes: [(label: String, layers: Int)] {
            Dictionary(grouping: layers, by: \.scheme.label).map { ($0.key, $0.value.count) }
                .sorted { ($1.layers, $0.label) < ($0.layers, $1.label) }
        }
    }

    func summary(_ qualities: [String: SignalToNoise]) -> Summary {
        let layers = plans.map { plan in
            Layer(
                layer: plan.layer, scheme: plan.scheme, bytesBefore: plan.source.byteCount,
                bytesAfter: plan.targets.reduce(0) { $0 + $1.byteCount }, quality: qualities[plan.layer.module])
        }
        let hasEmbedding = plans.contains { $0.layer.module == "model.embed_tokens" }
        return Summary(
            method: recipe.label,
            embeddingMethod: recipe.walks && hasEmbedding ? recipe.methodByWeights.name : nil, layers: layers,
            bytesBefore: checkpoint.tensors.values.reduce(0) { $0 + $1.byteCount },
            bytesAfter: copies.reduce(0) { $0 + $1.byteCount } + layers.reduce(0) { $0 + $1.bytesAfter },
            parameters: checkpoint.tensors.values.reduce(0) { $0 + $1.count })
    }
}
