import Foundation

/// A quantized linear layer as the file holds it, in memory: W [rows, columns] in words of 32 bits, with its scales and
/// zero points unpacked.
public struct PackedWeight: Sendable, Equatable {
    public let rows, columns: Int
    public let scheme: QuantizationScheme
    /// In which the scales are stored, and a reader dequantizes.
    public let scaleDType: DType
    /// [rows, scheme.words(columns)], little-endian, as in `weight_packed`.
    public let words: [UInt32]
    /// [rows, groups]
    public let scales: [Float]
    /// Signed, [rows, groups]; nil when symmetric.
    public let zeroPoints: [Int8]?

    public var groups: Int { scheme.groups(columns: columns) }

    init(_ layer: QuantizedLayer) {
        rows = layer.context.rows
        columns = layer.context.columns
        scheme = layer.context.scheme
        scaleDType = layer.context.dtype
        words = layer.words
        scales = layer.scales
        zeroPoints = scheme.symmetric ? nil : layer.zeroPoints
    }

    /// Quantizes W [rows, columns], given in the bytes of `dtype` at any address.
    /// - Throws: QuantizationError.notFinite, .scaleOverflow, .indivisible, .dtype, and what the method throws.
    public static func quantizing(
        _ source: UnsafeRawBufferPointer, module: String = "weight", rows: Int, columns: Int, dtype: DType,
        scheme: QuantizationScheme, method: any RoundingMethod = RoundToNearest()
    ) throws -> (weight: PackedWeight, quality: SignalToNoise) {
        guard scheme.divides(columns: columns) else {
            throw QuantizationError.indivisible(
                place: module, layers: [.init(module: module, columns: columns)],
                groupSize: scheme.groupSize ?? columns,
                divisors: [])
        }
        let context = LayerContext(module: module, rows: rows, columns: columns, dtype: dtype, scheme: scheme)
        let layer = try LayerQuantizer(context, method: method, place: module).quantize(source)
        return (PackedWeight(layer), SignalToNoise(signal: layer.signal, noise: layer.noise))
    }

    /// Reads the tensors of `layer` from a checkpoint.
    /// - Throws: QuantizationError.packedTensor for a wrong shape or dtype, .notFinite for a scale that is not finite,
    ///   and the checkpoint's own error for a missing tensor.
    public init(reading layer: LinearLayer, from checkpoint: Checkpoint, scheme: QuantizationScheme) throws {
        let scales = try PackedScales(reading: layer, from: checkpoint, scheme: scheme)
        rows = layer.rows
        columns = layer.columns
        self.scheme = scheme
        scaleDType = scales.dtype
        words = try checkpoint.withBytes(layer.module + ".weight_packed", Self.words)
        self.scales = scales.values
        zeroPoints = scales.zeroPoints
    }

    /// Reads the tensors of `layer` from a file that the quantizer itself has written.
    init(_ layer: LinearLayer, scheme: QuantizationScheme, file: SafetensorsFile) throws {
        rows = layer.rows
        columns = layer.columns
        self.scheme = scheme
        let groups = scheme.groups(columns: layer.columns)
        guard let scale = file.entries[layer.module + ".weight_scale"]?.info, scale.shape == [layer.rows, groups] else {
            throw CheckpointError.missingTensor(path: file.file.path, name: layer.module + ".weight_scale")
        }
        scaleDType = scale.dtype
        words = try file.withBytes(layer.module + ".weight_packed", Self.words)
        scales = try file.withBytes(scale.name) { bytes in
            [Float](unsafeUninitializedCapacity: scale.count) { values, count in
                let target = UnsafeMutableBufferPointer(rebasing: values[..<scale.count])
                _ = FloatConversion.convert(bytes, scale.dtype, into: target)
                count = scale.count
            }
        }
        zeroPoints =
            scheme.symmetric
            ? nil
            : Packing.unpackZeroPoints(
                try file.withBytes(layer.module + ".weight_zero_point", Self.words), rows: rows, groups: groups,
                bits: scheme.bits)
    }

    fileprivate static func words(_ bytes: UnsafeRawBufferPointer) -> [UInt32] {
        [UInt32](unsafeUninitializedCapacity: bytes.count / 4) { words, count in
            UnsafeMutableRawBufferPointer(words).copyMemory(from: bytes)
            count = bytes.count / 4
        }
    }

    /// Signed q of one row.
    public func quants(row: Int) -> [Int8] {
        let rowWords = scheme.words(columns)
        return [Int8](unsafeUninitializedCapacity: columns) { quants, count in
            words.withUnsafeBytes { bytes in
                Packing.unpack(
                    UnsafeRawBufferPointer(rebasing: bytes[row * rowWords * 4..<(row + 1) * rowWords * 4]),
                    bits: scheme.bits, into: UnsafeMutableBufferPointer(rebasing: quants[0..<columns]))
            }
            count = columns
        }
    }

    /// ŵ [columns] of one row, in the arithmetic of `dtype` (the scales' own where nil).
    public func dequantized(row: Int, dtype: DType? = nil) -> [Float] {
        switch dtype ?? scaleDType {
        case .f16: dequantized(row, Float16Format.self)
        case .bf16: dequantized(row, BFloat16Format.self)
        default: dequantized(row, Float32Format.self)
        }
    }

    /// As `dequantized(row:)` in fp32, into memory that holds a row.
    func restore(row: Int, into target: UnsafeMutablePointer<Float>) {
        dequantized(row: row, dtype: .f32).withUnsafeBufferPointer {
            target.update(from: $0.baseAddress!, count: columns)
        }
    }

    private func dequantized<F: FloatFormat>(_ row: Int, _: F.Type) -> [Float] {
        let quants = quants(row: row)
        return [Float](unsafeUninitializedCapacity: columns) { values, count in
            scales.withUnsafeBufferPointer { scales in
                quants.withUnsafeBufferPointer { quants in
                    (zeroPoints ?? []).withUnsafeBufferPointer { zeroPoints in
                        guard columns > 0 else { return }
                        Dequantization.row(
                            F.self, quants: quants.baseAddress!, scales: scales.baseAddress! + row * groups,
                            zeroPoints: self.zeroPoints == nil ? nil : zeroPoints.baseAddress! + row * groups,
                            columns: columns, groupSize: scheme.groupSize ?? columns, into: values.baseAddress!)
                    }
                }
            }
            count = columns
        }
    }
}

/// A quantized layer's scales and zero points in memory, checked against its other tensors, which stay in the file.
struct PackedScales {
    let layer: LinearLayer
    let scheme: QuantizationScheme
    /// In which the scales are stored.
    let dtype: DType
    /// [rows, groups]
    let values: [Float]
    /// Signed, [rows, groups]; nil when symmetric.
    let zeroPoints: [Int8]?

    /// - Throws: as `PackedWeight.init(reading:)`.
    init(reading layer: LinearLayer, from checkpoint: Checkpoint, scheme: QuantizationScheme) throws {
        self.layer = layer
        self.scheme = scheme
        let (rows, columns) = (layer.rows, layer.columns)
        let groups = scheme.groups(columns: columns)
        let place = checkpoint.directory.path
        func check(_ suffix: String, _ dtypes: [DType], _ shape: [Int]) throws -> DType {
            let info = try checkpoint.info(layer.module + suffix)
            guard dtypes.contains(info.dtype), info.shape == shape else {
                throw QuantizationError.packedTensor(
                    place: place, tensor: info.name,
                    expected: "\(dtypes.map(\.rawValue).joined(separator: " or ")) \(shape)",
                    got: "\(info.dtype.rawValue) \(info.shape)")
            }
            return info.dtype
        }
        guard scheme.divides(columns: columns) else {
            throw QuantizationError.packedTensor(
                place: place, tensor: layer.module, expected: "columns in groups of \(scheme.groupSize ?? columns)",
                got: "\(columns) columns")
        }
        _ = try check(".weight_packed", [.i32], [rows, scheme.words(columns)])
        dtype = try check(".weight_scale", [.f16, .bf16, .f32], [rows, groups])
        _ = try check(".weight_shape", [.i64, .i32], [2])
        let stored = try checkpoint.withBytes(layer.module + ".weight_shape") { bytes -> [Int] in
            bytes.count == 16
                ? (0..<2).map { Int(bytes.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self)) }
                : (0..<2).map { Int(bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self)) }
        }
        guard stored == [rows, columns] else {
            throw QuantizationError.packedTensor(
                place: place, tensor: layer.module + ".weight_shape", expected: "\([rows, columns])", got: "\(stored)")
        }
        values = try checkpoint.float32(layer.module + ".weight_scale", shape: [rows, groups])
        if let index = values.firstIndex(where: { !$0.isFinite }) {
            throw QuantizationError.notFinite(
                place: place, tensor: layer.module + ".weight_scale", value: "\(values[index])",
                index: [index / groups, index % groups], count: values.count { !$0.isFinite })
        }
        if scheme.symmetric {
            zeroPoints = nil
        } else {
            _ = try check(".weight_zero_point", [.i32], [scheme.words(rows), groups])
            let packed = try checkpoint.withBytes(layer.module + ".weight_zero_point", PackedWeight.words)
            zeroPoints = Packing.unpackZeroPoints(packed, rows: rows, groups: groups, bits: scheme.bits)
        }
    }
}

extension PackedScales {
    /// One row [columns] in fp32, from the bytes of `weight_packed`.
    func restore(row: Int, words: UnsafeRawBufferPointer, into target: UnsafeMutablePointer<Float>) {
        let rowBytes = scheme.words(layer.columns) * 4
        let groups = scheme.groups(columns: layer.columns)
        withUnsafeTemporaryAllocation(of: Int8.self, capacity: layer.columns) { quants in
            Packing.unpack(
                UnsafeRawBufferPointer(rebasing: words[row * rowBytes..<(row + 1) * rowBytes]), bits: scheme.bits,
                into: quants)
            values.withUnsafeBufferPointer { scales in
                (zeroPoints ?? []).withUnsafeBufferPointer { zeros in
                    Dequantization.row(
                        Float32Format.self, quants: quants.baseAddress!, scales: scales.baseAddress! + row * groups,
                        zeroPoints: zeroPoints == nil ? nil : zeros.baseAddress! + row * groups,
                        columns: layer.columns, groupSize: scheme.groupSize ?? layer.columns, into: target)
                }
            }
        }
    }
}
