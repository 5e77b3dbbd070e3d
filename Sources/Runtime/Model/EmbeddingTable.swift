import CKernels
import Foundation

/// The rows of `model.embed_tokens.weight` [vocabulary, hidden], read from the mapped file in the checkpoint's dtype: a
/// batch touches a handful of rows, so nothing is loaded ahead.
final class EmbeddingTable: Sendable {
    private static let name = "model.embed_tokens.weight"
    private let checkpoint: Checkpoint
    private let dtype: DType
    private let hidden: Int
    private let kernels: KernelSet
    let byteCount: Int

    init(_ checkpoint: Checkpoint, kernels: KernelSet) throws {
        let info = try checkpoint.info(Self.name)
        let model = checkpoint.configuration
        guard info.shape == [model.vocabulary, model.hidden], info.dtype.isSupportedFloat else {
            throw CheckpointError.tensor(
                path: checkpoint.directory.path, name: Self.name, problem: "it is no embedding of this model",
                expected: "[\(model.vocabulary), \(model.hidden)] in F32, F16 or BF16",
                got: "\(info.shape) in \(info.dtype.rawValue)")
        }
        self.checkpoint = checkpoint
        self.kernels = kernels
        dtype = info.dtype
        hidden = model.hidden
        byteCount = info.byteCount
    }

    /// Writes row `token` [hidden] in fp32.
    func copyRow(_ token: Int, into out: UnsafeMutablePointer<Float>) throws {
        try checkpoint.withBytes(Self.name) { bytes in
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
