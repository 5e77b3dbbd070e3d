import CKernels
import Foundation

/// The rows of the embedding [vocabulary, hidden], read from the mapped file as they stand there: a batch touches a
/// handful of rows, so nothing is loaded ahead but the scales of a quantized one.
final class EmbeddingTable: Sendable {
    private enum Source {
        /// `model.embed_tokens.weight` in the checkpoint's dtype.
        case plain(Checkpoint, DType)
        /// Quantized, its integers in the mapped file.
        case packed(Checkpoint, PackedScales)
        /// Quantized, in memory.
        case memory(PackedWeight)
    }

    private let source: Source
    private let hidden: Int
    private let kernels: KernelSet
    let byteCount: Int

    /// - Throws: `CheckpointError` where it is no embedding of this model, `QuantizationError`.
    init(_ checkpoint: Checkpoint, kernels: KernelSet) throws {
        let model = checkpoint.configuration
        self.kernels = kernels
        hidden = model.hidden
        if let scheme = try checkpoint.quantization?.scheme(for: model.embedding.module) {
            let scales = try PackedScales(reading: model.embedding, from: checkpoint, scheme: scheme)
            source = .packed(checkpoint, scales)
            byteCount = try checkpoint.info(Self.words).byteCount + scales.values.count * MemoryLayout<Float>.size
            return
        }
        let info = try checkpoint.info(model.embedding.weight)
        guard info.shape == [model.vocabulary, model.hidden], info.dtype.isSupportedFloat else {
            throw CheckpointError.tensor(
                path: checkpoint.directory.path, name: info.name, problem: "it is no embedding of this model",
                expected: "[\(model.vocabulary), \(model.hidden)] in F32, F16 or BF16",
                got: "\(info.shape) in \(info.dtype.rawValue)")
        }
        source = .plain(checkpoint, info.dtype)
        byteCount = info.byteCount
    }

    init(_ weight: PackedWeight, kernels: KernelSet) {
        self.kernels = kernels
        hidden = weight.columns
        source = .memory(weight)
        byteCount = weight.words.count * 4 + weight.scales.count * 4
    }

    private static let words = "model.embed_tokens.weight_packed"

    /// Writes row `token` [hidden] in fp32.
    func copyRow(_ token: Int, into out: UnsafeMutablePointer<Float>) throws {
        switch source {
        case .memory(let weight): weight.restore(row: token, into: out)
        case .packed(let checkpoint, let scales):
            try checkpoint.withBytes(Self.words) { scales.restore(row: token, words: $0, into: out) }
        case .plain(let checkpoint, let dtype):
            try checkpoint.withBytes("model.embed_tokens.weight") { bytes in
                let row = bytes.baseAddress! + token * hidden * dtype.size
                switch dtype {
                case .f16:
                    kernels.table.pointee.f16_to_f32(row.assumingMemoryBound(to: UInt16.self), out, Int64(hidden))
                case .bf16:
                    kernels.table.pointee.bf16_to_f32(row.assumingMemoryBound(to: UInt16.self), out, Int64(hidden))
                default:
                    memcpy(out, row, hidden * MemoryLayout<Float>.size)
                }
            }
        }
    }
}
