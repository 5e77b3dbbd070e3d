import Foundation
import Runtime
import Testing

/// Fixtures/quantization/goldens.json: what PyPI's compressed-tensors makes of small matrices (make_goldens.py).
struct QuantizationGoldens: Decodable {
    struct Weight: Decodable {
        let shape: [Int]
        let data: Data
    }

    struct Case: Decodable, CustomTestStringConvertible {
        let weight: String
        let dtype: String
        let bits: Int
        let symmetric: Bool
        let groupSize: Int?
        let packed, scale: Data
        let packedShape, scaleShape: [Int]
        let zeroPoint: Data?
        let zeroPointShape: [Int]?
        let dequantized: Data?

        var scheme: QuantizationScheme { QuantizationScheme(bits: bits, symmetric: symmetric, groupSize: groupSize) }
        var testDescription: String { "\(weight) \(scheme.label)" }
    }

    let weights: [String: Weight]
    let cases: [Case]

    static let directory = fixture("quantization")

    static let shared: QuantizationGoldens = {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        // The names of weights are keys too, and hold no underscore.
        let data = try! Data(contentsOf: directory.appendingPathComponent("goldens.json"))
        return try! decoder.decode(QuantizationGoldens.self, from: data)
    }()
}

/// Floats of a dtype, decoded by Foundation-free code that is not the library's.
func decodeFloats(_ data: Data, _ dtype: String) -> [Float] {
    data.withUnsafeBytes { bytes in
        switch dtype {
        case "F32": (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
        case "F16":
            (0..<bytes.count / 2).map { Float(bytes.loadUnaligned(fromByteOffset: 2 * $0, as: Float16.self)) }
        default:
            (0..<bytes.count / 2).map {
                Float(bitPattern: UInt32(bytes.loadUnaligned(fromByteOffset: 2 * $0, as: UInt16.self)) << 16)
            }
        }
    }
}

func words(_ data: Data) -> [UInt32] {
    data.withUnsafeBytes { bytes in
        (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self) }
    }
}

@Suite struct QuantizationGoldenTests {
    private func quantize(_ golden: QuantizationGoldens.Case) throws -> (weight: PackedWeight, quality: SignalToNoise) {
        let weight = try #require(QuantizationGoldens.shared.weights[golden.weight])
        return try weight.data.withUnsafeBytes {
            try PackedWeight.quantizing(
                $0, rows: weight.shape[0], columns: weight.shape[1], dtype: DType(rawValue: golden.dtype)!,
                scheme: golden.scheme)
        }
    }

    @Test(arguments: QuantizationGoldens.shared.cases)
    func equalsCompressedTensorsBitForBit(_ golden: QuantizationGoldens.Case) throws {
        let packed = try quantize(golden).weight
        #expect(packed.scales.map(\.bitPattern) == decodeFloats(golden.scale, golden.dtype).map(\.bitPattern))
        #expect(golden.scaleShape == [packed.rows, packed.groups])
        if let zeroPoint = golden.zeroPoint {
            let ours = Packing.packZeroPoints(
                try #require(packed.zeroPoints), rows: packed.rows, groups: packed.groups, bits: golden.bits)
            #expect(ours == words(zeroPoint))
            #expect(golden.zeroPointShape == [golden.scheme.words(packed.rows), packed.groups])
        } else {
            #expect(packed.zeroPoints == nil)
        }
        let expected = words(golden.packed)
        if packed.words != expected {
            let index = zip(packed.words, expected).enumerated().first { $1.0 != $1.1 }!.offset
            let rowWords = golden.packedShape[1]
            Issue.record(
                """
                row \(index / rowWords), word \(index % rowWords): got \(String(packed.words[index], radix: 16)), \
                expected \(String(expected[index], radix: 16))
                """)
        }
        #expect(golden.packedShape == [packed.rows, golden.scheme.words(packed.columns)])
    }

    @Test(arguments: QuantizationGoldens.shared.cases.filter { $0.dequantized != nil })
    func dequantizesBitForBit(_ golden: QuantizationGoldens.Case) throws {
        let packed = try quantize(golden).weight
        let expected = decodeFloats(golden.dequantized!, golden.dtype)
        for row in 0..<packed.rows {
            let ours = packed.dequantized(row: row)
            let theirs = Array(expected[row * packed.columns..<(row + 1) * packed.columns])
            // −0 and 0 are told apart too.
            #expect(ours.map(\.bitPattern) == theirs.map(\.bitPattern), "row \(row)")
        }
    }

    @Test(arguments: QuantizationGoldens.shared.cases.filter { $0.dequantized != nil })
    func qualityIsTheRatioOfTheDequantizedWeights(_ golden: QuantizationGoldens.Case) throws {
        let weight = try #require(QuantizationGoldens.shared.weights[golden.weight])
        let original = decodeFloats(weight.data, golden.dtype).map(Double.init)
        let restored = decodeFloats(golden.dequantized!, golden.dtype).map(Double.init)
        let signal = original.reduce(0) { $0 + $1 * $1 }
        let noise = zip(original, restored).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        let quality = try quantize(golden).quality
        // Sums of some thousand doubles in another order.
        #expect(abs(quality.signal - signal) <= 1e-12 * signal)
        #expect(abs(quality.noise - noise) <= 1e-12 * noise)
        if noise > 0 { #expect(abs(try #require(quality.decibels) - 10 * log10(signal / noise)) < 1e-9) }
    }

    @Test func formatExamples() {
        func pack(_ quants: [Int8], _ bits: Int) -> [UInt32] {
            var out = [UInt32](repeating: 0, count: (quants.count * bits + 31) / 32)
            quants.withUnsafeBufferPointer { quants in
                out.withUnsafeMutableBufferPointer { Packing.pack(quants, bits: bits, into: $0) }
            }
            return out
        }
        #expect(pack([-8, -7, -6, -5, -4, -3, -2, -1], 4) == [0x7654_3210])
        #expect(pack([0, 1, 2, 3, 4, 5, 6, 7], 4) == [0xFEDC_BA98])
        #expect(pack([-128, -1, 0, 127], 8) == [0xFF80_7F00])
        #expect(pack([7, 7, 7], 4) == [0x0000_0FFF])
        #expect(pack([127, 127], 8) == [0x0000_FFFF])
    }

    @Test func packingIsUndoneForEverySize() {
        var generator = SystemRandomNumberGenerator()
        for bits in [4, 8] {
            let limit = 1 << (bits - 1)
            for count in [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129] {
                let quants = (0..<count).map { _ in Int8(Int.random(in: -limit..<limit, using: &generator)) }
                var out = [UInt32](repeating: 0, count: (count * bits + 31) / 32)
                var back = [Int8](repeating: 0, count: count)
                quants.withUnsafeBufferPointer { quants in
                    out.withUnsafeMutableBufferPointer { Packing.pack(quants, bits: bits, into: $0) }
                }
                out.withUnsafeBytes { bytes in
                    back.withUnsafeMutableBufferPointer { Packing.unpack(bytes, bits: bits, into: $0) }
                }
                #expect(back == quants, "bits \(bits), count \(count)")
                let zeroPoints = Packing.packZeroPoints(quants, rows: count, groups: 1, bits: bits)
                #expect(Packing.unpackZeroPoints(zeroPoints, rows: count, groups: 1, bits: bits) == quants)
            }
        }
    }
}
