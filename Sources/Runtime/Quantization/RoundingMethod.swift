/// How real weights become integers: round to nearest, a search for the best scale, GPTQ. A method is asked once per layer, where it may do what concerns the whole layer (an inverse Hessian, the
/// columns' importance), and what it returns then quantizes blocks of rows on all cores.
public protocol RoundingMethod: Sendable {
    /// The name on the command line and in reports.
    var name: String { get }
    /// What `observer` says in `quantization_config`.
    var observer: String { get }

    /// Whether columns are quantized in an order of their own ("actorder": "weight").
    var activationOrder: Bool { get }

    /// - Throws: what the method itself refuses, such as a layer without calibration data.
    func prepare(_ layer: LayerContext) throws -> any BlockQuantizer
}

extension RoundingMethod {
    public var activationOrder: Bool { false }
}

/// Quantizes blocks of one layer's rows. Called on several threads at once, so it only reads its own state.
public protocol BlockQuantizer: Sendable {
    /// Rows of a block that suit the method; nil where any do.
    var preferredRows: Int? { get }

    /// Fills all of `result`. Every scale is representable in the layer's dtype; a scale that is not finite is found by
    /// the caller and refused by name.
    func quantize(_ weights: WeightBlock, into result: QuantizedBlock)
}

extension BlockQuantizer {
    public var preferredRows: Int? { nil }
}

/// The layer that is being quantized.
public struct LayerContext: Sendable {
    /// `model.layers.0.self_attn.q_proj`
    public let module: String
    /// W is [rows, columns], that is [out, in].
    public let rows, columns: Int
    /// The checkpoint's dtype of W, in which the scales are stored.
    public let dtype: DType
    public let scheme: QuantizationScheme

    public init(module: String, rows: Int, columns: Int, dtype: DType, scheme: QuantizationScheme) {
        self.module = module
        self.rows = rows
        self.columns = columns
        self.dtype = dtype
        self.scheme = scheme
    }
}

/// Some consecutive rows of W, converted exactly to fp32, all finite.
public struct WeightBlock {
    /// [rows, columns]
    public let values: UnsafeBufferPointer<Float>
    public let firstRow, rows, columns: Int

    public func row(_ index: Int) -> UnsafeBufferPointer<Float> {
        UnsafeBufferPointer(rebasing: values[index * columns..<(index + 1) * columns])
    }
}

/// What the rows of a WeightBlock become.
public struct QuantizedBlock {
    /// Signed q, [rows, columns].
    public let quants: UnsafeMutableBufferPointer<Int8>
    /// [rows, groups]
    public let scales: UnsafeMutableBufferPointer<Float>
    /// Signed, [rows, groups]; zeros when symmetric.
    public let zeroPoints: UnsafeMutableBufferPointer<Int8>
}
