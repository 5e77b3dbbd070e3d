import Foundation
import Runtime

/// A GGUF file put together in memory, so that it can be wrong in any way. Little-endian.
struct GGUFBytes {
    indirect enum Value {
        case u8(UInt8)
        case u32(UInt32)
        case u64(UInt64)
        case i32(Int32)
        case f32(Float)
        case bool(UInt8)
        case string(String)
        case strings([String])
        case ints([Int32])
        case floats([Float])
        /// The number of a type, and the bytes that follow it.
        case raw(UInt32, Data)
    }

    struct Tensor {
        var name: String
        var type: UInt32 = 0
        /// In GGUF's order, fastest dimension first.
        var dimensions: [UInt64]
        var data: Data
        /// Instead of its place.
        var offset: UInt64?
    }

    var magic = Data("GGUF".utf8)
    var version: UInt32 = 3
    var keys: [(String, Value)] = []
    var tensors: [Tensor] = []
    var alignment = 32
    /// Instead of the real ones.
    var tensorCount, keyCount: UInt64?

    subscript(key: String) -> Value? {
        get { keys.first { $0.0 == key }?.1 }
        set {
            let index = keys.firstIndex { $0.0 == key }
            if let newValue {
                if let index { keys[index].1 = newValue } else { keys.append((key, newValue)) }
            } else if let index {
                keys.remove(at: index)
            }
        }
    }

    var data: Data {
        var out = magic
        out.append(version)
        out.append(tensorCount ?? UInt64(tensors.count))
        out.append(keyCount ?? UInt64(keys.count))
        for (key, value) in keys {
            out.append(text: key)
            out.append(value)
        }
        var place = 0
        for tensor in tensors {
            out.append(text: tensor.name)
            out.append(UInt32(tensor.dimensions.count))
            for dimension in tensor.dimensions { out.append(dimension) }
            out.append(tensor.type)
            out.append(tensor.offset ?? UInt64(place))
            place += (tensor.data.count + alignment - 1) / alignment * alignment
        }
        for tensor in tensors {
            out.append(Data(count: (alignment - out.count % alignment) % alignment))
            out.append(tensor.data)
        }
        return out
    }

    /// A whole tiny Llama, all in F32, with the vocabulary of Tests/Fixtures/gguf.
    static func llama(pre: String? = "gpt-2") -> GGUFBytes {
        let vocabulary = try! JSONValue(
            parsing: Data(contentsOf: fixture("gguf/vocabulary.json")), place: "vocabulary.json")
        func texts(_ key: String) -> [String] { vocabulary[key]!.array!.map { $0.string! } }
        var file = GGUFBytes()
        file.keys = [
            ("general.architecture", .string("llama")), ("llama.block_count", .u32(1)),
            ("llama.context_length", .u32(64)), ("llama.embedding_length", .u32(8)),
            ("llama.feed_forward_length", .u32(16)), ("llama.attention.head_count", .u32(2)),
            ("llama.attention.head_count_kv", .u32(1)), ("llama.attention.layer_norm_rms_epsilon", .f32(1e-5)),
            ("llama.rope.freq_base", .f32(10000)), ("tokenizer.ggml.model", .string("gpt2")),
            ("tokenizer.ggml.tokens", .strings(texts("tokens"))),
            ("tokenizer.ggml.token_type", .ints(vocabulary["types"]!.array!.map { Int32($0.int!) })),
            ("tokenizer.ggml.merges", .strings(texts("merges"))), ("tokenizer.ggml.bos_token_id", .u32(510)),
            ("tokenizer.ggml.eos_token_id", .u32(511)),
        ]
        file["tokenizer.ggml.pre"] = pre.map { .string($0) }
        let shapes: [(String, [UInt64])] = [
            ("token_embd.weight", [8, 512]), ("output_norm.weight", [8]), ("blk.0.attn_norm.weight", [8]),
            ("blk.0.ffn_norm.weight", [8]), ("blk.0.attn_q.weight", [8, 8]), ("blk.0.attn_k.weight", [8, 4]),
            ("blk.0.attn_v.weight", [8, 4]), ("blk.0.attn_output.weight", [8, 8]), ("blk.0.ffn_gate.weight", [8, 16]),
            ("blk.0.ffn_up.weight", [8, 16]), ("blk.0.ffn_down.weight", [16, 8]),
        ]
        file.tensors = shapes.map { name, dimensions in
            let count = Int(dimensions.reduce(1, *))
            let values = (0..<count).map { Float(($0 * 37 + name.count) % 101 - 50) / 64 }
            return Tensor(name: name, dimensions: dimensions, data: values.withUnsafeBytes { Data($0) })
        }
        return file
    }
}

extension Data {
    mutating func append<T: FixedWidthInteger>(_ value: T) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }

    mutating func append(text: String) {
        append(UInt64(text.utf8.count))
        append(contentsOf: text.utf8)
    }

    mutating func append(_ value: GGUFBytes.Value) {
        switch value {
        case .u8(let number): scalar(0, number)
        case .u32(let number): scalar(4, number)
        case .u64(let number): scalar(10, number)
        case .i32(let number): scalar(5, number)
        case .f32(let number): scalar(6, number.bitPattern)
        case .bool(let number): scalar(7, number)
        case .string(let text):
            append(UInt32(8))
            append(text: text)
        case .strings(let texts):
            array(8, texts.count)
            for text in texts { append(text: text) }
        case .ints(let numbers):
            array(5, numbers.count)
            for number in numbers { append(number) }
        case .floats(let numbers):
            array(6, numbers.count)
            for number in numbers { append(number.bitPattern) }
        case .raw(let type, let bytes):
            append(type)
            append(bytes)
        }
    }

    private mutating func scalar<T: FixedWidthInteger>(_ type: UInt32, _ value: T) {
        append(type)
        append(value)
    }

    private mutating func array(_ type: UInt32, _ count: Int) {
        append(UInt32(9))
        append(type)
        append(UInt64(count))
    }
}
