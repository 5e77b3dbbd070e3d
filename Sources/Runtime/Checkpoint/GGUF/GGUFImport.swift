import Foundation

/// Turns a GGUF file into a model's directory in Hugging Face's layout.
public struct GGUFImport: Sendable {
    public let configuration: ModelConfiguration
    /// What a person should know about the result, in whole sentences.
    public let notes: [String]
    /// Elements of all weights.
    public let parameters: Int

    private let file: GGUFFile
    private let dtype: DType
    private let tensors: [(source: GGUFFile.Tensor, target: TensorInfo)]
    private let documents: [(name: String, value: JSONObject)]

    /// Reads the whole description and checks it; nothing is written. `dtype` is F16, BF16 or F32: the type of all
    /// weights in the result. Throws `CheckpointError` for a broken file, and for what is not supported: key and value.
    public init(url: URL, dtype: DType = .f16) throws {
        precondition(dtype.isSupportedFloat)
        let file = try GGUFFile(url: url)
        let settings = try GGUFConfiguration(file, dtype: dtype)
        let configuration = try ModelConfiguration(settings, place: file.path)
        let tokenizer = try GGUFTokenizer(
            file, vocabulary: configuration.vocabulary, contextLength: configuration.contextLength)
        try self.init(
            file, configuration, dtype: dtype, notes: tokenizer.notes,
            documents: [
                ("config.json", settings.config), ("generation_config.json", settings.generation),
                ("tokenizer.json", tokenizer.tokenizer), ("tokenizer_config.json", tokenizer.configuration),
            ])
    }

    /// Reads the file as a version of `reference`, whose configuration it takes: for files without a vocabulary, and
    /// for comparisons. The result has no tokenizer. Throws as `init(url:dtype:)`, and where the tensors are not the
    /// reference's.
    package init(url: URL, as reference: Checkpoint, dtype: DType) throws {
        precondition(dtype.isSupportedFloat)
        let file = try GGUFFile(url: url)
        var config = reference.configurationJSON
        config["quantization_config"] = nil
        config["torch_dtype"] = nil
        config["dtype"] = dtype.torchName.map(JSONValue.string)
        // A tied head may have got weights of its own.
        if file.tensors.contains(where: { $0.name == "output.weight" }) { config["tie_word_embeddings"] = false }
        try self.init(
            file, try ModelConfiguration(Settings(.object(config), place: file.path), generation: nil), dtype: dtype,
            notes: [], documents: [("config.json", config)])
    }

    /// The configuration of a file without a vocabulary, by its metadata, and its tensors checked: such a file can be
    /// looked at, but makes no model of its own. Throws as `init(url:dtype:)`.
    static func configuration(ofFileWithoutVocabulary file: GGUFFile) throws -> ModelConfiguration {
        let dtype = DType.f16
        let configuration = try ModelConfiguration(GGUFConfiguration(file, dtype: dtype), place: file.path)
        return try GGUFImport(file, configuration, dtype: dtype, notes: [], documents: []).configuration
    }

    private init(
        _ file: GGUFFile, _ configuration: ModelConfiguration, dtype: DType, notes: [String],
        documents: [(name: String, value: JSONObject)]
    ) throws {
        self.file = file
        self.configuration = configuration
        self.dtype = dtype
        self.notes = notes
        self.documents = documents
        tensors = file.tensors.filter { $0.name != "rope_freqs.weight" }.map { source in
            let name = Self.name(source.name) ?? source.name
            return (source, TensorInfo(name: name, dtype: dtype, shape: source.shape)!)
        }
        parameters = tensors.reduce(0) { $0 + $1.target.count }
        var byName: [String: TensorInfo] = [:]
        for (_, target) in tensors { byName[target.name] = target }
        try configuration.validate(byName, path: file.path)
    }

    /// What was written.
    public struct Summary: Sendable {
        public let tensors: Int
        public let parameters: Int
        /// All files of the directory.
        public let bytes: Int
    }

    /// Writes the directory, which appears whole or not at all. `progress` hears of the parameters done.
    public func write(
        to output: URL, overwrite: Bool = false, progress: (_ parameters: Int) -> Void = { _ in }
    ) throws -> Summary {
        let directory = try AtomicDirectory(url: output, overwrite: overwrite)
        let summary = try write(into: directory, progress: progress)
        try directory.commit()
        return summary
    }

    /// The result as a checkpoint whose files have no names: written to the temporary folder, mapped, and unlinked at
    /// once, so that the system takes their room back however this process ends. What a process leaves that is killed
    /// while it writes, the next one removes.
    /// - Throws: `FileWriteError`, `CheckpointError`.
    func unlinkedCheckpoint() throws -> Checkpoint {
        // The name by which leftovers are known; it is never committed, so nothing stands under it.
        let output = FileManager.default.temporaryDirectory.appending(path: "qquant-compare")
        let directory = try AtomicDirectory(url: output, overwrite: true)
        return try withExtendedLifetime(directory) {
            _ = try write(into: directory) { _ in }
            return try Checkpoint(directory: directory.temporary)
        }
    }

    private func write(into directory: AtomicDirectory, progress: (_ parameters: Int) -> Void) throws -> Summary {
        for (name, value) in documents {
            try directory.write(JSONValue.object(value).serialized(), to: name)
        }
        let writer = try SafetensorsWriter(
            url: directory.temporary.appending(path: "model.safetensors"), tensors: tensors.map(\.target),
            metadata: ["format": "pt"], shownAs: directory.shown("model.safetensors"))
        var done = 0
        for (source, target) in tensors {
            try convert(source, target, to: writer)
            done += target.count
            progress(done)
        }
        try writer.finish()
        let names = try FileManager.default.contentsOfDirectory(atPath: directory.temporary.path)
        let bytes = try names.reduce(0) {
            let path = directory.temporary.appending(path: $1).path
            return $0 + (try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0)
        }
        return Summary(tensors: tensors.count, parameters: parameters, bytes: bytes)
    }

    /// Some rows at a time, so that memory stays small whatever the tensor's size.
    private func convert(_ source: GGUFFile.Tensor, _ target: TensorInfo, to writer: SafetensorsWriter) throws {
        let columns = source.columns
        let rowsAtOnce = max(1, (1 << 20) / columns)
        let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: rowsAtOnce * columns)
        let bytes = UnsafeMutableRawBufferPointer.allocate(
            byteCount: rowsAtOnce * columns * dtype.size, alignment: MemoryLayout<Float>.alignment)
        defer {
            values.deallocate()
            bytes.deallocate()
        }
        let order = rowOrder(target.name)
        try file.file.withBytes(source.range) { raw in
            for begin in stride(from: 0, to: source.rows, by: rowsAtOnce) {
                let rows = begin..<min(begin + rowsAtOnce, source.rows)
                let piece = UnsafeMutableBufferPointer(rebasing: values[..<(rows.count * columns)])
                if let order {
                    for row in rows {
                        let from = order(row) * source.rowBytes
                        let to = (row - begin) * columns
                        source.type.dequantize(
                            UnsafeRawBufferPointer(rebasing: raw[from..<from + source.rowBytes]),
                            into: UnsafeMutableBufferPointer(rebasing: piece[to..<to + columns]))
                    }
                } else {
                    let range = rows.lowerBound * source.rowBytes..<rows.upperBound * source.rowBytes
                    source.type.dequantize(UnsafeRawBufferPointer(rebasing: raw[range]), into: piece)
                }
                try check(piece, from: begin * columns, of: source)
                let out = UnsafeMutableRawBufferPointer(rebasing: bytes[..<(piece.count * dtype.size)])
                FloatConversion.convert(UnsafeBufferPointer(piece), to: dtype, into: out)
                try writer.write(target.name, UnsafeRawBufferPointer(out), at: begin * columns * dtype.size)
            }
        }
        file.file.release(source.range)
    }

    /// Every value must be finite, and stay so in the type that is written.
    private func check(_ values: UnsafeMutableBufferPointer<Float>, from start: Int, of tensor: GGUFFile.Tensor) throws
    {
        // The least magnitude that rounds to infinity.
        let limit: Float =
            switch dtype {
            case .f16: 65520
            case .bf16: Float(bitPattern: 0x7F7F_8000)
            default: .infinity
            }
        var isBad = false
        for value in values { isBad = isBad || !(value.magnitude < limit) }
        guard isBad, let index = values.firstIndex(where: { !($0.magnitude < limit) }) else { return }
        guard values[index].isFinite else {
            throw CheckpointError.notFinite(
                path: file.path, name: tensor.name, index: start + index,
                value: values[index].isNaN ? "NaN" : "\(values[index])")
        }
        throw CheckpointError.tensor(
            path: file.path, name: tensor.name, problem: "holds a value too large for \(dtype.rawValue)",
            expected: "a type that holds it: bf16 or f32", got: "\(values[index]) at element \(start + index)")
    }

    /// The GGUF row that row r of the result is; nil where they are the same. llama.cpp rotates neighbouring pairs and
    /// Hugging Face the two halves of a head, so its converter interleaves the halves' rows of q and k, in Llama and in
    /// Mistral, which it calls Llama.
    private func rowOrder(_ name: String) -> ((Int) -> Int)? {
        guard configuration.family != .qwen2, name.contains("self_attn.q_proj") || name.contains("self_attn.k_proj")
        else { return nil }
        let headDim = configuration.headDim
        return { row in
            let (head, within) = row.quotientAndRemainder(dividingBy: headDim)
            let (half, index) = within.quotientAndRemainder(dividingBy: headDim / 2)
            return head * headDim + 2 * index + half
        }
    }

    /// Hugging Face's name of a GGUF tensor; nil for one that these families do not have.
    private static func name(_ name: String) -> String? {
        switch name {
        case "token_embd.weight": return "model.embed_tokens.weight"
        case "output_norm.weight": return "model.norm.weight"
        case "output.weight": return "lm_head.weight"
        default: break
        }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "blk", let layer = Int(parts[1]), "\(layer)" == parts[1] else { return nil }
        let modules = [
            "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
            "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
            "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
        ]
        return modules[String(parts[2])].map { "model.layers.\(layer).\($0).\(parts[3])" }
    }
}
