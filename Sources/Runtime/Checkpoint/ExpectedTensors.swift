/// A linear layer: y = W [rows, columns] · x + bias.
public struct LinearModule: Sendable, Equatable {
    /// The module's name; its weight is `name` + ".weight".
    public let name: String
    public let rows: Int
    public let columns: Int
    public let bias: Bool
}

/// How a linear layer's weight is packed in compressed-tensors' `pack-quantized` format.
public struct LinearPacking: Sendable, Equatable {
    /// 4 or 8.
    public let bits: Int
    public let symmetric: Bool
    /// Columns that share a scale; nil for one scale a row.
    public let groupSize: Int?

    public init(bits: Int, symmetric: Bool, groupSize: Int?) {
        self.bits = bits
        self.symmetric = symmetric
        self.groupSize = groupSize
    }
}

/// A tensor that a model consists of.
public struct ExpectedTensor: Sendable, Equatable {
    public let name: String
    public let shape: [Int]
    /// False for what a checkpoint may leave out: the head where it is tied.
    public let required: Bool
    /// The types it may have.
    public let dtypes: [DType]

    /// What a weight may be stored as.
    public static let floats: [DType] = [.f32, .f16, .bf16]

    public init(_ name: String, _ shape: [Int], required: Bool = true, dtypes: [DType] = Self.floats) {
        self.name = name
        self.shape = shape
        self.required = required
        self.dtypes = dtypes
    }
}

extension ModelConfiguration {
    /// The seven linear layers of decoder layer `layer`, in the order of their use.
    public func linearModules(layer: Int) -> [LinearModule] {
        let prefix = "model.layers.\(layer)."
        func linear(_ name: String, _ rows: Int, _ columns: Int, _ bias: Bool) -> LinearModule {
            LinearModule(name: prefix + name, rows: rows, columns: columns, bias: bias)
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

    /// The head. Where embeddings are tied its weight is the embedding's, and no tensor of its own.
    public var headModule: LinearModule { LinearModule(name: "lm_head", rows: vocabulary, columns: hidden, bias: false) }

    /// The tensors of `layers` (all by default), and of the two ends where they are wanted. `packing` says which linear
    /// layers are quantized, and how; nil means that the weight stands there as it is.
    public func expectedTensors(
        layers range: Range<Int>? = nil, embedding: Bool = true, head wantsHead: Bool = true,
        packing: (String) throws -> LinearPacking? = { _ in nil }
    ) rethrows -> [ExpectedTensor] {
        var tensors: [ExpectedTensor] = []
        if embedding || (wantsHead && tiedEmbeddings) {
            tensors.append(ExpectedTensor("model.embed_tokens.weight", [vocabulary, hidden]))
        }
        for layer in range ?? 0..<layers {
            let prefix = "model.layers.\(layer)."
            tensors.append(ExpectedTensor(prefix + "input_layernorm.weight", [hidden]))
            tensors.append(ExpectedTensor(prefix + "post_attention_layernorm.weight", [hidden]))
            for module in linearModules(layer: layer) {
                tensors += module.tensors(packing: try packing(module.name))
            }
        }
        if wantsHead {
            tensors.append(ExpectedTensor("model.norm.weight", [hidden]))
            if tiedEmbeddings {
                tensors.append(ExpectedTensor("lm_head.weight", [vocabulary, hidden], required: false))
            } else {
                tensors += headModule.tensors(packing: try packing(headModule.name))
            }
        }
        return tensors
    }
}

extension LinearModule {
    /// The tensors that hold this layer; shapes as in compressed-tensors where it is packed.
    public func tensors(packing: LinearPacking?) -> [ExpectedTensor] {
        var tensors: [ExpectedTensor] = []
        if let packing {
            let perWord = 32 / packing.bits
            func words(_ values: Int) -> Int { (values + perWord - 1) / perWord }
            let groups = packing.groupSize.map { (columns + $0 - 1) / $0 } ?? 1
            tensors.append(ExpectedTensor(name + ".weight_packed", [rows, words(columns)], dtypes: [.i32]))
            tensors.append(ExpectedTensor(name + ".weight_scale", [rows, groups]))
            tensors.append(ExpectedTensor(name + ".weight_shape", [2], dtypes: [.i64]))
            if !packing.symmetric {
                tensors.append(ExpectedTensor(name + ".weight_zero_point", [words(rows), groups], dtypes: [.i32]))
            }
        } else {
            tensors.append(ExpectedTensor(name + ".weight", [rows, columns]))
        }
        if bias { tensors.append(ExpectedTensor(name + ".bias", [rows])) }
        return tensors
    }
}

extension Checkpoint {
    /// Checks that the checkpoint holds exactly the tensors that its configuration asks for, in the right shapes and
    /// types. Throws `CheckpointError.tensors` that names all that are missing, malformed, or not of this model.
    public func validateTensors(packing: (String) throws -> LinearPacking? = { _ in nil }) throws {
        try configuration.validate(tensors, path: directory.path, packing: packing)
    }
}

extension ModelConfiguration {
    /// Checks that `tensors`, by name, are exactly those of this model; `path` says where they come from.
    public func validate(
        _ tensors: [String: TensorInfo], path: String, packing: (String) throws -> LinearPacking? = { _ in nil }
    ) throws {
        var unclaimed = Set(tensors.keys)
        var missing: [String] = []
        var wrong: [String] = []
        for tensor in try expectedTensors(packing: packing) {
            guard let info = tensors[tensor.name] else {
                if tensor.required { missing.append("missing \(tensor.name)") }
                continue
            }
            unclaimed.remove(tensor.name)
            if info.shape != tensor.shape {
                wrong.append("\(tensor.name) has shape \(info.shape), expected \(tensor.shape)")
            } else if !tensor.dtypes.contains(info.dtype) {
                let types = tensor.dtypes.map(\.rawValue).joined(separator: " or ")
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
