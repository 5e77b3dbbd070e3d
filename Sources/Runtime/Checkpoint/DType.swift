/// The element types of safetensors, by the names that the format gives them.
public enum DType: String, Sendable, CaseIterable {
    case bool = "BOOL"
    case u8 = "U8"
    case i8 = "I8"
    case f8e4m3 = "F8_E4M3"
    case f8e5m2 = "F8_E5M2"
    case u16 = "U16"
    case i16 = "I16"
    case f16 = "F16"
    case bf16 = "BF16"
    case u32 = "U32"
    case i32 = "I32"
    case f32 = "F32"
    case u64 = "U64"
    case i64 = "I64"
    case f64 = "F64"

    /// Bytes an element.
    public var size: Int {
        switch self {
        case .bool, .u8, .i8, .f8e4m3, .f8e5m2: 1
        case .u16, .i16, .f16, .bf16: 2
        case .u32, .i32, .f32: 4
        case .u64, .i64, .f64: 8
        }
    }

    /// Whether weights of this type can be converted to fp32 here.
    public var isSupportedFloat: Bool { self == .f32 || self == .f16 || self == .bf16 }

    /// The name in config.json's `torch_dtype`, of the types that a model can be stored in.
    public var torchName: String? {
        switch self {
        case .f32: "float32"
        case .f16: "float16"
        case .bf16: "bfloat16"
        default: nil
        }
    }
}

/// A tensor's name, element type and shape (row-major, slowest dimension first).
public struct TensorInfo: Sendable, Equatable {
    public let name: String
    public let dtype: DType
    public let shape: [Int]
    /// Elements; fits an Int together with `byteCount`, which the initializer checks.
    public let count: Int
    public let byteCount: Int

    /// nil where a dimension is negative or the size in bytes overflows.
    public init?(name: String, dtype: DType, shape: [Int]) {
        var count = 1
        for dimension in shape {
            guard dimension >= 0 else { return nil }
            let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
            guard !overflow else { return nil }
            count = product
        }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: dtype.size)
        guard !overflow else { return nil }
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.count = count
        byteCount = bytes
    }
}
