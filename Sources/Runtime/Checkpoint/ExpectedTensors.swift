/// A tensor that a model consists of.
public struct ExpectedTensor: Sendable, Equatable {
    public let name: String
    public let shape: [Int]
    /// False for what a checkpoint may leave out: the head where it is tied.
    public let required: Bool
    /// The types it may have.
    public let dtypes: [DType]
    /// Types that other writers give it: they are read, and never written.
    public let alsoRead: [DType]

    /// What a weight may be stored as.
    public static let floats: [DType] = [.f32, .f16, .bf16]

    public init(
        _ name: String, _ shape: [Int], required: Bool = true, dtypes: [DType] = Self.floats, alsoRead: [DType] = []
    ) {
        self.name = name
        self.shape = shape
        self.required = required
        self.dtypes = dtypes
        self.alsoRead = alsoRead
    }
}

extension ModelConfiguration {
    /// The tensors of `layers` (all by default), and of the two ends where they are wanted. `scheme` says which linear
    /// layers are quantized, and how; nil means that the weight stands there as it is.
    public func expectedTensors(
        layers range: Range<Int>? = nil, embedding: Bool = true, head wantsHead: Bool = true,
        scheme: (String) throws -> QuantizationScheme? = { _ in nil }
    ) rethrows -> [ExpectedTensor] {
        var tensors: [ExpectedTensor] = []
        if embedding || (wantsHead && tiedEmbeddings) {
            tensors += self.embedding.tensors(scheme: try scheme(self.embedding.module))
        }
        for layer in range ?? 0..<layers {
            let prefix = "model.layers.\(layer)."
            tensors.append(ExpectedTensor(prefix + "input_layernorm.weight", [hidden]))
            tensors.append(ExpectedTensor(prefix + "post_attention_layernorm.weight", [hidden]))
            for linear in linearLayers(layer) { tensors += linear.tensors(scheme: try scheme(linear.module)) }
        }
        if wantsHead {
            tensors.append(ExpectedTensor("model.norm.weight", [hidden]))
            if tiedEmbeddings {
                tensors.append(ExpectedTensor("lm_head.weight", [vocabulary, hidden], required: false))
            } else {
                tensors += head.tensors(scheme: try scheme(head.module))
            }
        }
        return tensors
    }
}

extension LinearLayer {
    /// The tensors that hold this layer; as they are in compressed-tensors' `pack-quantized` format where a scheme is
    /// given.
    public func tensors(scheme: QuantizationScheme?) -> [ExpectedTensor] {
        var tensors: [ExpectedTensor] = []
        if let scheme {
            let groups = scheme.groups(columns: columns)
            tensors.append(ExpectedTensor(module + ".weight_packed", [rows, scheme.words(columns)], dtypes: [.i32]))
            tensors.append(ExpectedTensor(module + ".weight_scale", [rows, groups]))
            tensors.append(ExpectedTensor(module + ".weight_shape", [2], dtypes: [.i64], alsoRead: [.i32]))
            if !scheme.symmetric {
                tensors.append(
                    ExpectedTensor(module + ".weight_zero_point", [scheme.words(rows), groups], dtypes: [.i32]))
            }
        } else {
            tensors.append(ExpectedTensor(weight, [rows, columns]))
        }
        if bias { tensors.append(ExpectedTensor(module + ".bias", [rows])) }
        return tensors
    }
}

extension Checkpoint {
    /// Checks that the checkpoint holds exactly the tensors that its configuration asks for, in the right shapes and
    /// types. Throws `CheckpointError.tensors` that names all that are missing, malformed, or not of this model.
    public func validateTensors(scheme: (String) throws -> QuantizationScheme? = { _ in nil }) throws {
        try configuration.validate(tensors, path: directory.path, scheme: scheme)
    }
}

extension ModelConfiguration {
    /// Checks that `tensors`, by name, are exactly those of this model; `path` says where they come from.
    public func validate(
        _ tensors: [String: TensorInfo], path: String, scheme: (String) throws -> QuantizationScheme? = { _ in nil }
    ) throws {
        var unclaimed = Set(tensors.keys)
        var missing: [String] = []
        var wrong: [String] = []
        for tensor in try expectedTensors(scheme: scheme) {
            guard let info = tensors[tensor.name] else {
                if tensor.required { missing.append("missing \(tensor.name)") }
                continue
            }
            unclaimed.remove(tensor.name)
            if info.shape != tensor.shape {
                wrong.append("\(tensor.name) has shape \(info.shape), expected \(tensor.shape)")
                continue
            }
            let readable = tensor.dtypes + tensor.alsoRead
            if !readable.contains(info.dtype) {
                let types = readable.map(\.rawValue).joined(separator: " or ")
                wrong.append("\(tensor.name) is \(info.dtype.rawValue), expected \(types)")
            }
        }
        // Old checkpoints carry RoPE's frequencies, which follow from the configuration.
        let extra = unclaimed.filter { !$0.hasSuffix(".rotary_emb.inv_freq") }.sorted()
        let problems = [missing, wrong, extra.map { "unexpected \(printable($0))" }].flatMap(Self.abridged)
        guard problems.isEmpty else { throw CheckpointError.tensors(path: path, problems: problems) }
    }

    private static func abridged(_ problems: [String]) -> [String] {
        problems.count <= 8 ? problems : problems.prefix(7) + ["and \(problems.count - 7) more like the last"]
    }
}
