import Foundation
import Runtime
import Testing

/// Valid files, written by Python's safetensors and read as torch reads them.
@Suite struct SafetensorsTests {
    struct GoldenTensor: Decodable {
        let shape: [Int]
        let float32: String

        enum CodingKeys: String, CodingKey {
            case shape
            case float32 = "F32"
        }
    }

    static let goldens: [String: [String: GoldenTensor]] = try! JSONDecoder().decode(
        [String: [String: GoldenTensor]].self, from: Data(contentsOf: fixture("checkpoints/goldens.json")))

    @Test(arguments: goldens.keys.sorted())
    func everyTensorAsTorchConvertsIt(_ name: String) throws {
        let checkpoint = try Checkpoint(directory: fixture("checkpoints/\(name)"))
        let golden = try #require(Self.goldens[name])
        #expect(Set(checkpoint.tensors.keys) == Set(golden.keys))
        try checkpoint.validate()
        for (tensor, expected) in golden {
            #expect(try checkpoint.info(tensor).shape == expected.shape, "\(name) \(tensor)")
            let values = try checkpoint.float32(tensor, shape: expected.shape)
            #expect(values.withUnsafeBytes { fnv($0) } == expected.float32, "\(name) \(tensor)")
            // Given back and read again, the same.
            checkpoint.release(tensor)
            #expect(try checkpoint.float32(tensor, shape: expected.shape) == values, "\(name) \(tensor), released")
        }
        #expect(checkpoint.files.allSatisfy { $0.metadata == ["format": "pt"] })
    }

    @Test func kinds() throws {
        let tied = try Checkpoint(directory: fixture("checkpoints/f32-tied"))
        #expect(tied.configuration.tiedEmbeddings && tied.configuration.dtype == .f32 && tied.files.count == 1)
        #expect(tied.tensors["lm_head.weight"] == nil)
        let sharded = try Checkpoint(directory: fixture("checkpoints/bf16-sharded"))
        #expect(
            !sharded.configuration.tiedEmbeddings && sharded.configuration.dtype == .bf16 && sharded.files.count == 3)
    }

    @Test func everyFiniteHalfIsConvertedExactly() throws {
        let patterns = (UInt16.min...UInt16.max).filter { $0 & 0x7C00 != 0x7C00 }
        try check("F16", patterns) { Float(Float16(bitPattern: $0)) }
    }

    @Test func everyFiniteBFloatIsConvertedExactly() throws {
        let patterns = (UInt16.min...UInt16.max).filter { $0 & 0x7F80 != 0x7F80 }
        try check("BF16", patterns) { Float(bitPattern: UInt32($0) << 16) }
    }

    private func check(_ dtype: String, _ patterns: [UInt16], _ expected: (UInt16) -> Float) throws {
        try copied("checkpoints/f32-tied") { directory in
            // A header of odd length: the data is aligned to nothing.
            var header =
                #"{"t":{"dtype":"\#(dtype)","shape":[\#(patterns.count)],"data_offsets":[0,\#(2 * patterns.count)]}}"#
            if header.utf8.count % 2 == 0 { header += " " }
            let data = patterns.withUnsafeBytes { Data($0) }
            try safetensors(header, data: data).write(to: directory.appending(path: "model.safetensors"))
            let values = try Checkpoint(directory: directory).float32("t", shape: [patterns.count])
            let wrong = zip(values, patterns).first { $0.bitPattern != expected($1).bitPattern }
            #expect(wrong == nil, "pattern \(String(wrong?.1 ?? 0, radix: 16)) became \(wrong?.0 ?? 0)")
        }
    }

    @Test(arguments: [
        ("F16", UInt16(0x7C00), "inf"), ("F16", 0xFE01, "NaN"), ("BF16", 0xFF80, "-inf"), ("BF16", 0x7FC0, "NaN"),
    ])
    func notFinite(_ dtype: String, bits: UInt16, value: String) throws {
        try copied("checkpoints/f32-tied") { directory in
            var values = [UInt16](repeating: 0, count: 21)
            values[17] = bits
            let header = #"{"t":{"dtype":"\#(dtype)","shape":[3,7],"data_offsets":[0,42]}}"#
            let url = directory.appending(path: "model.safetensors")
            try safetensors(header, data: values.withUnsafeBytes { Data($0) }).write(to: url)
            let said = wording { _ = try Checkpoint(directory: directory).float32("t", shape: [3, 7]) }
            #expect(
                said == "\(url.path), tensor t: element 17 is \(value); expected finite weights; "
                    + "the weights are damaged: download or convert them again")
        }
    }

    @Test func zeroDimensionsAndScalars() throws {
        try temporaryDirectory { directory in
            let url = directory.appending(path: "x.safetensors")
            let header =
                #"{"a":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]},"b":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#
            try safetensors(header, data: Data([0, 0, 128, 63])).write(to: url)
            let file = try SafetensorsFile(url: url)
            #expect(file.entries["a"]?.info.count == 0)
            #expect(try file.withBytes("b") { $0.loadUnaligned(as: Float.self) } == 1)
        }
    }

    @Test func writerRoundTripAndLayout() throws {
        try temporaryDirectory { directory in
            let url = directory.appending(path: "x.safetensors")
            let tensors = [
                TensorInfo(name: "z", dtype: .f16, shape: [3])!, TensorInfo(name: "b", dtype: .f32, shape: [2, 2])!,
                TensorInfo(name: "ä\"\n", dtype: .i64, shape: [2])!, TensorInfo(name: "empty", dtype: .u8, shape: [0])!,
            ]
            let bytes = tensors.map { info in Data((0..<info.byteCount).map { UInt8(($0 * 7 + info.name.count) & 255) })
            }
            let writer = try SafetensorsWriter(url: url, tensors: tensors, metadata: ["format": "pt"])
            #expect(!FileManager.default.fileExists(atPath: url.path))
            // In any order, in pieces.
            for (info, data) in zip(tensors, bytes).reversed() {
                try data.withUnsafeBytes { raw in
                    let half = raw.count / 2
                    try writer.write(info.name, UnsafeRawBufferPointer(rebasing: raw[half...]), at: half)
                    try writer.write(info.name, UnsafeRawBufferPointer(rebasing: raw[..<half]))
                }
            }
            try writer.finish()
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["x.safetensors"])
            let file = try SafetensorsFile(url: url)
            #expect(file.metadata == ["format": "pt"])
            for (info, data) in zip(tensors, bytes) {
                #expect(file.entries[info.name]?.info == info)
                #expect(try file.withBytes(info.name) { Data($0) } == data)
                // Aligned to its element.
                try file.withBytes(info.name) {
                    #expect($0.count == 0 || Int(bitPattern: $0.baseAddress) % info.dtype.size == 0)
                }
            }
            #expect(
                wording { _ = try SafetensorsWriter(url: url, tensors: [], metadata: [:]) }?.contains("exists already")
                    == true)
        }
    }

    @Test func digestIsOfNamesAndBytes() throws {
        try copied("checkpoints/bf16-sharded") { directory in
            let before = try Checkpoint(directory: directory).digest()
            #expect(before.count == 64)
            #expect(try Checkpoint(directory: fixture("checkpoints/bf16-sharded")).digest() == before)
            // A file that has no part in the model's numbers.
            try Data("{}".utf8).write(to: directory.appending(path: "tokenizer_config.json"))
            #expect(try Checkpoint(directory: directory).digest() == before)
            let url = directory.appending(path: "model-00003-of-00003.safetensors")
            var bytes = try Data(contentsOf: url)
            bytes[bytes.count - 1] ^= 1
            try bytes.write(to: url)
            #expect(try Checkpoint(directory: directory).digest() != before)
        }
    }
}
