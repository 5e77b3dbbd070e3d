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
    private let dtype: DType?
    private let plans: [Plan]
    private let copies: [TensorInfo]

    /// - Parameter dtype: of all tensors; nil leaves those that were not quantized as they are, and takes for the others
    ///   that of their scales, in whose arithmetic the reference dequantizes.
    /// - Throws: `QuantizationError.notQuantized`, and what `Checkpoint.validate` throws; nothing is written.
    public init(_ checkpoint: Checkpoint, dtype: DType? = nil) throws {
        precondition(dtype?.isSupportedFloat ?? true)
        guard let quantization = try checkpoint.quantization else {
            throw QuantizationError.notQuantized(place: checkpoint.directory.path)
        }
        try checkpoint.validate()
        self.checkpoint = checkpoint
        self.dtype = dtype
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
    /// - Throws: `FileWriteError`, `CheckpointError`, `QuantizationError` (`.outputIsInput`, `.tooLarge` for the dtype).
    public func write(
        to output: URL, overwrite: Bool = false, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws {
        try checkpoint.refuseReplacement(by: output)
        let directory = try AtomicDirectory(url: output, overwrite: overwrite)
        let writer = try SafetensorsWriter(
            url: directory.temporary.appending(path: "model.safetensors"),
            tensors: copies.map(converted) + plans.map(\.target),
            metadata: ["format": "pt"], shownAs: directory.shown("model.safetensors"))
        for info in copies {
            try copy(info, as: converted(info), to: writer)
        }
        for (index, plan) in plans.enumerated() {
            try write(plan, to: writer)
            progress(index + 1, plans.count)
        }
        try writer.finish()
        var config = checkpoint.configurationJSON
        config["quantization_config"] = nil
        if let name = dtype?.torchName {
            // transformers 5 writes `dtype`, those before it `torch_dtype`.
            let keys = ["dtype", "torch_dtype"].filter { config[$0] != nil }
            for key in keys.isEmpty ? ["torch_dtype"] : keys { config[key] = .string(name) }
        }
        try directory.write(JSONValue.object(config).serialized(), to: "config.json")
        try checkpoint.copyOtherFiles(to: directory.temporary)
        try directory.commit()
    }

    private func write(_ plan: Plan, to writer: SafetensorsWriter) throws {
        let packed = try PackedWeight(reading: plan.layer, from: checkpoint, scheme: plan.scheme)
        checkpoint.release(plan.layer.module + ".weight_packed")
        let rowBytes = plan.layer.columns * plan.target.dtype.size
        var bytes = [UInt8](repeating: 0, count: rowBytes)
        var tooLarge = 0
        for row in 0..<plan.layer.rows {
            let values = packed.dequantized(row: row, dtype: plan.target.dtype)
            tooLarge += values.count { !$0.isFinite }
            try bytes.withUnsafeMutableBytes { bytes in
                values.withUnsafeBufferPointer { FloatConversion.convert($0, to: plan.target.dtype, into: bytes) }
                try writer.write(plan.target.name, UnsafeRawBufferPointer(bytes), at: row * rowBytes)
            }
        }
        try refuse(tooLarge, plan.target)
    }

    /// What a tensor that was not quantized becomes.
    private func converted(_ info: TensorInfo) -> TensorInfo {
        guard let dtype, info.dtype.isSupportedFloat else { return info }
        return TensorInfo(name: info.name, dtype: dtype, shape: info.shape)!
    }

    /// Some of the tensor at a time, so that memory stays small whatever its size.
    private func copy(_ info: TensorInfo, as target: TensorInfo, to writer: SafetensorsWriter) throws {
        guard target != info else { return try checkpoint.copyFinite(info.name, to: writer) }
        let piece = min(info.count, 1 << 20)
        let scratch = UnsafeMutableBufferPointer<Float>.allocate(capacity: piece)
        defer { scratch.deallocate() }
        var bytes = [UInt8](repeating: 0, count: piece * target.dtype.size)
        var tooLarge = 0
        try checkpoint.withBytes(info.name) { source in
            for begin in stride(from: 0, to: info.count, by: 1 << 20) {
                let end = min(begin + piece, info.count)
                let part = UnsafeRawBufferPointer(rebasing: source[begin * info.dtype.size..<end * info.dtype.size])
                let values = UnsafeMutableBufferPointer(rebasing: scratch[..<(end - begin)])
                if let bad = FloatConversion.convert(part, info.dtype, into: values) {
                    throw CheckpointError.notFinite(
                        path: checkpoint.directory.path, name: info.name, index: begin + bad,
                        value: values[bad].isNaN ? "NaN" : "\(values[bad])")
                }
                tooLarge += values.count { !ScaleSearch.stored($0, target.dtype).isFinite }
                try bytes.withUnsafeMutableBytes { bytes in
                    let room = UnsafeMutableRawBufferPointer(rebasing: bytes[..<(values.count * target.dtype.size)])
                    FloatConversion.convert(UnsafeBufferPointer(values), to: target.dtype, into: room)
                    try writer.write(target.name, UnsafeRawBufferPointer(room), at: begin * target.dtype.size)
                }
            }
        }
        checkpoint.release(info.name)
        try refuse(tooLarge, target)
    }

    private func refuse(_ tooLarge: Int, _ target: TensorInfo) throws {
        guard tooLarge == 0 else {
            throw QuantizationError.tooLarge(
                place: checkpoint.directory.path, tensor: target.name, dtype: target.dtype, count: tooLarge)
        }
    }
}
