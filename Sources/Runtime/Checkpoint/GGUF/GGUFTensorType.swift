/// The types of GGUF tensors that are read, by the file's numbers.
public enum GGUFTensorType: UInt32, Sendable, CaseIterable {
    case f32 = 0
    case f16 = 1
    case q40 = 2
    case q41 = 3
    case q50 = 6
    case q51 = 7
    case q80 = 8
    case q4K = 12
    case q5K = 13
    case q6K = 14
    case bf16 = 30

    public var name: String {
        switch self {
        case .f32: "F32"
        case .f16: "F16"
        case .q40: "Q4_0"
        case .q41: "Q4_1"
        case .q50: "Q5_0"
        case .q51: "Q5_1"
        case .q80: "Q8_0"
        case .q4K: "Q4_K"
        case .q5K: "Q5_K"
        case .q6K: "Q6_K"
        case .bf16: "BF16"
        }
    }

    /// Elements a block.
    public var blockSize: Int {
        switch self {
        case .f32, .f16, .bf16: 1
        case .q40, .q41, .q50, .q51, .q80: 32
        case .q4K, .q5K, .q6K: 256
        }
    }

    /// Bytes a block.
    public var blockBytes: Int {
        switch self {
        case .f32: 4
        case .f16, .bf16: 2
        case .q40: 18
        case .q41: 20
        case .q50: 22
        case .q51: 24
        case .q80: 34
        case .q4K: 144
        case .q5K: 176
        case .q6K: 210
        }
    }

    /// What ggml calls a type that is not read here.
    static func unsupportedName(_ number: UInt32) -> String {
        let names: [UInt32: String] = [
            9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
            20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S",
            23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0",
            39: "MXFP4",
        ]
        return names[number] ?? "type \(number)"
    }

    /// Writes the values of whole blocks to `out`, in fp32 and in ggml's order of operations. A block of 32 holds a
    /// scale in fp16 and, in Q4_1, a minimum; byte i of the nibbles holds element i below and element i+16 above.
    package func dequantize(_ bytes: UnsafeRawBufferPointer, into out: UnsafeMutableBufferPointer<Float>) {
        precondition(out.count % blockSize == 0 && bytes.count == out.count / blockSize * blockBytes)
        guard let source = bytes.baseAddress, let target = out.baseAddress else { return }
        func half(_ offset: Int) -> Float {
            FloatConversion.float(half: source.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
        }
        switch self {
        case .f32: _ = FloatConversion.convert(bytes, .f32, into: out)
        case .f16: _ = FloatConversion.convert(bytes, .f16, into: out)
        case .bf16: _ = FloatConversion.convert(bytes, .bf16, into: out)
        case .q80:
            for block in 0..<out.count / 32 {
                let scale = half(block * 34)
                for i in 0..<32 {
                    let q = source.load(fromByteOffset: block &* 34 &+ 2 &+ i, as: Int8.self)
                    target[block &* 32 &+ i] = scale * Float(q)
                }
            }
        case .q40:
            for block in 0..<out.count / 32 {
                let scale = half(block * 18)
                for i in 0..<16 {
                    let pair = source.load(fromByteOffset: block &* 18 &+ 2 &+ i, as: UInt8.self)
                    target[block &* 32 &+ i] = scale * Float(Int32(pair & 15) - 8)
                    target[block &* 32 &+ i &+ 16] = scale * Float(Int32(pair >> 4) - 8)
                }
            }
        case .q41:
            for block in 0..<out.count / 32 {
                let scale = half(block * 20)
                let minimum = half(block * 20 + 2)
                for i in 0..<16 {
                    let pair = source.load(fromByteOffset: block &* 20 &+ 4 &+ i, as: UInt8.self)
                    target[block &* 32 &+ i] = scale * Float(pair & 15) + minimum
                    target[block &* 32 &+ i &+ 16] = scale * Float(pair >> 4) + minimum
                }
            }
        case .q50, .q51, .q4K, .q5K, .q6K:
            for block in 0..<out.count / blockSize {
                let from = source + block * blockBytes
                let to = target + block * blockSize
                switch self {
                case .q50, .q51: GGUFBlocks.dequantize5(from, hasMinimum: self == .q51, into: to)
                case .q6K: GGUFBlocks.dequantize6K(from, into: to)
                default: GGUFBlocks.dequantizeK(from, fiveBits: self == .q5K, into: to)
                }
            }
        }
    }
}
