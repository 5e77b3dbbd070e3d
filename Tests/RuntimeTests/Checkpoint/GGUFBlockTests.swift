import Foundation
import Runtime
import Testing

/// Blocks of Q4_K_M files against gguf.quants (Tests/Fixtures/gguf/make_blocks.py), bit for bit.
@Suite struct GGUFBlockTests {
    static let goldens = try! JSONValue(
        parsing: Data(contentsOf: fixture("gguf/blocks.json")), place: "blocks.json"
    ).object!

    @Test(arguments: goldens.keys)
    func dequantize(_ name: String) throws {
        let golden = try #require(Self.goldens[name])
        func data(_ key: String) throws -> Data {
            try #require(golden[key]?.string.flatMap { Data(base64Encoded: $0) })
        }
        let type = try #require(GGUFTensorType(rawValue: UInt32(golden["type"]?.int ?? -1)))
        #expect(type.name == name)
        let bytes = try data("bytes")
        let expected = try data("values")
        #expect(bytes.count == 3 * type.blockBytes && expected.count == 3 * type.blockSize * 4)
        var values = [Float](repeating: .nan, count: expected.count / 4)
        values.withUnsafeMutableBufferPointer { values in
            bytes.withUnsafeBytes { type.dequantize($0, into: values) }
        }
        let wanted = expected.withUnsafeBytes { bytes in
            values.indices.map { bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
        }
        for (index, (got, want)) in zip(values, wanted).enumerated() where got != want {
            Issue.record("\(name), element \(index): expected \(want), got \(got)")
            break
        }
    }
}
