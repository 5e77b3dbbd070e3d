import Foundation

/// Turns a quantized checkpoint back into a plain one, for engines that do not read compressed-tensors and for
/// comparisons. What quantization has lost stays lost.
public struct ModelDequantizer: Sendable {
    private struct Plan {
        let layer: LinearLayer
        let scheme: QuantizationScheme
        let target: TensorInfo
    }

    private let checkpoint: Checkpoint
    private let plans: [Plan]
    private let copies: [TensorInfo]

    /// - Parameter dtype: of the dequantized weights; nil for that of the scales, in whose arithmetic the reference
    ///   dequantizes.
    /// - Throws: `QuantizationError.notQuantized`, and what `Checkpoint.validate` throws; nothing is written.
    public init(_ checkpoint: Checkpoint, dtype: DType? = nil) throws {
        precondition(dtype?.isSupportedFloat ?? true)
        guard let quantization = try checkpoint.quantization else {
            throw QuantizationError.notQuantized(place: checkpoint.directory.path)
        }
        try checkpoint.validate()
        self.checkpoint = checkpoint
        let model = checkpoint.configuration
        plans = try ([model.embedding] + model.decoderLinearLayers + [model.head]).compactMap { layer in
            guard checkpoint.tensors[layer.module + ".weight_packed"] != nil,
                let scheme = try quantization.scheme(for: layer.module)
            else { return nil }
            let scale = try checkpoint.info(layer.module + ".weight_scale")
            let target = TensorInfo(
                name: layer.weight, dtype: dtype ?? scale.dtype, shape: [layer.rows, layer.columns])
            return Plan(layer: layer, scheme: scheme, target: target!)
        }
        let packed = Set(
            plans.flatMap { plan in
                plan.layer.tensors(scheme: plan.scheme).map(\.name).filter { $0 != plan.layer.module + ".bias" }
            })
        copies = checkpoint.tensors.values.filter { !packed.contains($0.name) }.sorted { $0.name < $1.name }
    }

    /// Writes the directory, which appears whole or not at all.
    /// - Throws: `FileWriteError`, `CheckpointError`, `QuantizationError`.
    public func write(
        to output: URL, overwrite: Bool = false, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws {
        guard output.standardizedFileURL.path != checkpoint.directory.standardizedFileURL.path else {
            throw QuantizationError.outputIsInput(path: output.path)
        }
        let directory = try AtomicDirectory(url: output, overwrite: overwrite)
        let writer = try SafetensorsWriter(
            url: directory.temporary.appending(path: "model.safetensors"), tensors: copies + plans.map(\.target),
            metadata: ["format": "pt"], shownAs: directory.shown("model.safetensors"))
        for info in copies {
            try checkpoint.copyFinite(info.name, to: writer)
        }
        for (index, plan) in plans.enumerated() {
            try write(plan, to: writer)
            progress(index + 1, plans.count)
        }
        try writer.finish()
        var config = checkpoint.configurationJSON
        config["quantization_config"] = nil
        try directory.write(JSONValue.object(config).serialized(), to: "config.json")
        try checkpoint.copyOtherFiles(to: directory.temporary)
        try directory.commit()
    }

    private func write(_ plan: Plan, to writer: SafetensorsWriter) throws {
        let packed = try PackedWeight(reading: plan.layer, from: checkpoint, scheme: plan.scheme)
        checkpoint.release(plan.layer.module + ".weight_packed")
        let rowBytes = plan.layer.columns * plan.target.dtype.size
        var bytes = [UInt8](repeating: 0, count: rowBytes)
        for row in 0..<plan.layer.rows {
            let values = packed.dequantized(row: row, dtype: plan.target.dtype)
            try bytes.withUnsafeMutableBytes { bytes in
                values.withUnsafeBufferPointer { FloatConversion.convert($0, to: plan.target.dtype, into: bytes) }
                try writer.write(plan.target.name, UnsafeRawBufferPointer(bytes), at: row * rowBytes)
            }
        }
    }
}
