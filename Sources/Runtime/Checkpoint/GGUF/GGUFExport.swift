import Foundation

/// Writes a checkpoint, plain or compressed-tensors, as a GGUF file for llama.cpp.
///
/// Integers stay as they are where the block can hold them: symmetric int8 in Q8_0, symmetric int4 in all three, int4
/// with zero points in Q4_1, when groups are multiples of 32 columns. Everything else is rounded as ggml rounds it. The
/// embedding, and a head that is not quantized, are Q8_0 in every file; norms and biases F32.
public struct GGUFExport: Sendable {
    public enum Format: String, Sendable, CaseIterable {
        case q80 = "Q8_0"
        case q40 = "Q4_0"
        case q41 = "Q4_1"

        var type: GGUFTensorType { self == .q80 ? .q80 : self == .q40 ? .q40 : .q41 }
        /// llama.cpp's LLAMA_FTYPE.
        var fileType: Int { self == .q80 ? 7 : self == .q40 ? 2 : 3 }
    }

    public struct Summary: Sendable {
        public let tensors, bytes: Int
        /// Layers whose integers were kept and whose scales fp16 holds; kept with a rounded scale or minimum; and
        /// rounded anew from their weights.
        public let exact, roundedScales, requantized: Int
    }

    /// What a person should know about the result, in whole sentences.
    public let notes: [String]
    private let checkpoint: Checkpoint
    private let format: Format
    private let vocabulary: GGUFVocabulary?
    private let plan: [Item]

    private struct Item {
        let name: String
        let source: String
        let shape: [Int]
        let type: GGUFTensorType
        /// Of a linear layer that is packed.
        var scheme: QuantizationScheme?
        /// Heads whose halves llama.cpp wants interleaved.
        var heads: Int?

        var columns: Int { shape.last! }
        var rows: Int { shape.count == 1 ? 1 : shape[0] }
        var bytes: Int { rows * columns / type.blockSize * type.blockBytes }
    }

    /// Checks the checkpoint; nothing is written.
    /// - Throws: `CheckpointError` where rows are no whole blocks, and what `Checkpoint.validate` throws.
    public init(_ checkpoint: Checkpoint, format: Format) throws {
        try checkpoint.validate()
        self.checkpoint = checkpoint
        self.format = format
        let (vocabulary, note) = GGUFVocabulary.of(checkpoint)
        self.vocabulary = vocabulary
        notes = [note].compactMap { $0 }

        let model = checkpoint.configuration
        let quantization = try checkpoint.quantization
        let isPermuted = model.family != .qwen2
        var items = [
            Item(
                name: "token_embd.weight", source: "model.embed_tokens", shape: [model.vocabulary, model.hidden],
                type: .q80, scheme: try quantization?.scheme(for: "model.embed_tokens")),
            Item(name: "output_norm.weight", source: "model.norm", shape: [model.hidden], type: .f32),
        ]
        if !model.tiedEmbeddings {
            let scheme = try quantization?.scheme(for: "lm_head")
            items.append(
                Item(
                    name: "output.weight", source: "lm_head", shape: [model.vocabulary, model.hidden],
                    type: scheme == nil ? .q80 : format.type, scheme: scheme))
        }
        for index in 0..<model.layers {
            for (name, source) in [("attn_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm")] {
                items.append(
                    Item(
                        name: "blk.\(index).\(name).weight", source: "model.layers.\(index).\(source)",
                        shape: [model.hidden], type: .f32))
            }
            for (name, layer) in zip(Self.names, model.linearLayers(index)) {
                let heads = name == "attn_q" ? model.heads : name == "attn_k" ? model.kvHeads : nil
                var item = Item(
                    name: "blk.\(index).\(name).weight", source: layer.module, shape: [layer.rows, layer.columns],
                    type: format.type)
                item.scheme = try quantization?.scheme(for: layer.module)
                item.heads = isPermuted ? heads : nil
                items.append(item)
                guard layer.bias else { continue }
                var bias = Item(
                    name: "blk.\(index).\(name).bias", source: layer.module, shape: [layer.rows], type: .f32)
                bias.heads = isPermuted ? heads : nil
                items.append(bias)
            }
        }
        for item in items where item.columns % item.type.blockSize != 0 {
            throw CheckpointError.tensor(
                path: checkpoint.directory.path, name: item.source,
                problem: "rows are no whole blocks of \(item.type.name)",
                expected: "a multiple of \(item.type.blockSize)", got: "\(item.columns)")
        }
        plan = items
    }

    private static let names = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]

    /// Writes the file, which appears whole or not at all.
    /// - Throws: `FileWriteError`, `CheckpointError`, `QuantizationError`.
    public func write(
        to url: URL, overwrite: Bool = false, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws -> Summary {
        let file = try AtomicFile(url, overwrite: overwrite)
        var header = header()
        let factors = frequencyFactors
        if let factors {
            header.add(tensor: "rope_freqs.weight", .f32, shape: [factors.count], bytes: factors.count * 4)
        }
        for item in plan { header.add(tensor: item.name, item.type, shape: item.shape, bytes: item.bytes) }
        let description = header.bytes
        try file.reserve(description.count + header.dataBytes)
        try file.write(description)
        if let factors { try file.write(padded(Self.bytes(factors))) }
        var (exact, rounded, requantized) = (0, 0, 0)
        for (index, item) in plan.enumerated() {
            switch try write(item, to: file) {
            case true?: exact += 1
            case false?: rounded += 1
            case nil: if item.type.blockSize > 1 { requantized += 1 }
            }
            progress(index + 1, plan.count)
        }
        try file.commit()
        return Summary(
            tensors: plan.count + (factors == nil ? 0 : 1), bytes: description.count + header.dataBytes, exact: exact,
            roundedScales: rounded, requantized: requantized)
    }

    private func header() -> GGUFHeader {
        let model = checkpoint.configuration
        let architecture = model.family == .qwen2 ? "qwen2" : "llama"
        var header = GGUFHeader()
        header.add("general.architecture", architecture)
        header.add("general.name", checkpoint.directory.lastPathComponent)
        header.add("general.file_type", format.fileType)
        header.add("general.quantization_version", 2)
        for (key, value) in [
            ("context_length", model.contextLength), ("embedding_length", model.hidden),
            ("block_count", model.layers), ("feed_forward_length", model.intermediate),
            ("attention.head_count", model.heads), ("attention.head_count_kv", model.kvHeads),
            ("attention.key_length", model.headDim), ("attention.value_length", model.headDim),
            ("rope.dimension_count", model.headDim), ("vocab_size", model.vocabulary),
        ] { header.add("\(architecture).\(key)", value) }
        header.add("\(architecture).attention.layer_norm_rms_epsilon", model.rmsEpsilon)
        header.add("\(architecture).rope.freq_base", Float(model.rope.theta))
        if case .linear(let factor) = model.rope.scaling {
            header.add("\(architecture).rope.scaling.type", "linear")
            header.add("\(architecture).rope.scaling.factor", Float(factor))
        }
        if let vocabulary { vocabulary.write(to: &header) } else { header.add("tokenizer.ggml.model", "no_vocab") }
        if let bos = model.bosToken { header.add("tokenizer.ggml.bos_token_id", Int(bos)) }
        if let eos = model.eosTokens.first { header.add("tokenizer.ggml.eos_token_id", Int(eos)) }
        return header
    }

    /// What llama.cpp divides each frequency by: Llama 3's scaling.
    private var frequencyFactors: [Float]? {
        let model = checkpoint.configuration
        guard case .llama3 = model.rope.scaling else { return nil }
        let scaled = RotaryTable.frequencies(model.rope, headDim: model.headDim)
        return scaled.enumerated().map { index, frequency in
            Float(pow(model.rope.theta, -2 * Double(index) / Double(model.headDim)) / Double(frequency))
        }
    }

    /// Whether all scales were kept exactly; nil for what has no integers to keep.
    private func write(_ item: Item, to file: AtomicFile) throws -> Bool? {
        if item.shape.count == 1 {
            let suffix = item.name.hasSuffix(".bias") ? ".bias" : ".weight"
            let values = try checkpoint.float32(item.source + suffix, shape: item.shape)
            try file.write(padded(Self.bytes((0..<values.count).map { values[order(item, $0)] })))
            return nil
        }
        let writer = GGUFBlockWriter(type: item.type)
        let packed = try item.scheme.map {
            try PackedWeight(
                reading: LinearLayer(module: item.source, rows: item.rows, columns: item.columns), from: checkpoint,
                scheme: $0)
        }
        let keeps = packed.map { Self.keeps($0.scheme, item.type, columns: item.columns) } ?? false
        let plain = packed == nil ? try checkpoint.float32(item.source + ".weight", shape: item.shape) : []
        checkpoint.release(item.source + (packed == nil ? ".weight" : ".weight_packed"))
        var isExact = true
        var bytes: [UInt8] = []
        for row in 0..<item.rows {
            let source = order(item, row)
            if let packed, keeps {
                let quants = packed.quants(row: source)
                for begin in stride(from: 0, to: item.columns, by: 32) {
                    let group = source * packed.groups + begin / (packed.scheme.groupSize ?? item.columns)
                    let isKept = writer.block(
                        quants[begin..<begin + 32], scale: packed.scales[group],
                        zeroPoint: packed.zeroPoints?[group] ?? 0, bits: packed.scheme.bits, into: &bytes)
                    isExact = isExact && isKept
                }
            } else if let packed {
                packed.dequantized(row: source, dtype: .f32).withUnsafeBufferPointer { writer.row($0, into: &bytes) }
            } else {
                plain.withUnsafeBufferPointer {
                    let begin = source * item.columns
                    writer.row(UnsafeBufferPointer(rebasing: $0[begin..<begin + item.columns]), into: &bytes)
                }
            }
            if bytes.count > 1 << 20, row + 1 < item.rows {
                try file.write(bytes)
                bytes.removeAll(keepingCapacity: true)
            }
        }
        try file.write(bytes + [UInt8](repeating: 0, count: GGUFHeader.padding(item.bytes)))
        return keeps ? isExact : nil
    }

    private static func keeps(_ scheme: QuantizationScheme, _ type: GGUFTensorType, columns: Int) -> Bool {
        guard (scheme.groupSize ?? columns) % 32 == 0 else { return false }
        switch type {
        case .q80: return scheme.symmetric
        case .q40: return scheme.symmetric && scheme.bits == 4
        default: return scheme.bits == 4
        }
    }

    /// The checkpoint's row that row `row` of the file is.
    private func order(_ item: Item, _ row: Int) -> Int {
        guard item.heads != nil else { return row }
        let headDim = checkpoint.configuration.headDim
        let (head, within) = row.quotientAndRemainder(dividingBy: headDim)
        return head * headDim + within % 2 * (headDim / 2) + within / 2
    }

    private static func bytes(_ values: [Float]) -> [UInt8] {
        values.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) } }
    }

    private func padded(_ bytes: [UInt8]) -> [UInt8] {
        bytes + [UInt8](repeating: 0, count: GGUFHeader.padding(bytes.count))
    }
}
