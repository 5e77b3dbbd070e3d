import Foundation
import Runtime
import Testing

/// What holds for every weight, whatever it is.
@Suite struct RoundingPropertyTests {
    static let schemes = [4, 8].flatMap { bits in
        [true, false].flatMap { symmetric in
            [nil, 32, 64, 128].map { QuantizationScheme(bits: bits, symmetric: symmetric, groupSize: $0) }
        }
    }

    private func quantized(
        _ values: [Float], rows: Int, _ scheme: QuantizationScheme, dtype: DType = .f32,
        method: any RoundingMethod = RoundToNearest()
    ) throws -> (weight: PackedWeight, values: [Float], restored: [Float]) {
        let stored: [Float]
        let weight: PackedWeight
        if dtype == .f16 {
            let halves = values.map { Float16($0) }
            stored = halves.map { Float($0) }
            weight = try halves.withUnsafeBytes {
                try PackedWeight.quantizing(
                    $0, rows: rows, columns: values.count / rows, dtype: dtype, scheme: scheme, method: method
                ).weight
            }
        } else {
            stored = values
            weight = try values.withUnsafeBytes {
                try PackedWeight.quantizing(
                    $0, rows: rows, columns: values.count / rows, dtype: dtype, scheme: scheme, method: method
                ).weight
            }
        }
        return (weight, stored, (0..<rows).flatMap { weight.dequantized(row: $0, dtype: .f32) })
    }

    private func squares(_ a: [Float], _ b: [Float]) -> [Double] {
        zip(a, b).map { one, other -> Double in
            let difference = Double(one) - Double(other)
            return difference * difference
        }
    }

    private func groups(_ values: [Double], size: Int) -> [Double] {
        stride(from: 0, to: values.count, by: size).map { values[$0..<min($0 + size, values.count)].reduce(0, +) }
    }

    /// To nearest: no weight is off by more than half a step.
    @Test(arguments: schemes, [UInt64(1), 2, 3])
    func halfAStepAtMost(_ scheme: QuantizationScheme, _ seed: UInt64) throws {
        var random = SeededValues(seed)
        let (rows, columns) = (5, 256)
        let values = random.normals(rows * columns).map { $0 * 0.02 }
        let (weight, stored, restored) = try quantized(values, rows: rows, scheme)
        let size = scheme.groupSize ?? columns
        for i in values.indices {
            let group = i / columns * weight.groups + i % columns / size
            // Half a step, and fp32's own rounding.
            #expect(
                abs(stored[i] - restored[i]) <= weight.scales[group] * 0.5001,
                "\(scheme.label), seed \(seed), \(i): \(stored[i]) became \(restored[i])")
        }
    }

    /// A searched scale is never worse than the nearest one, in any group.
    @Test(arguments: schemes, [DType.f32, .f16])
    func searchNeverLoses(_ scheme: QuantizationScheme, _ dtype: DType) throws {
        for seed in UInt64(1)...4 {
            var random = SeededValues(seed)
            let (rows, columns) = (4, 256)
            var values = random.normals(rows * columns).map { $0 * 0.02 }
            values[17] *= 30
            let nearest = try quantized(values, rows: rows, scheme, dtype: dtype)
            let searched = try quantized(values, rows: rows, scheme, dtype: dtype, method: SearchedScale())
            let size = scheme.groupSize ?? columns
            let before = groups(squares(nearest.values, nearest.restored), size: size)
            let after = groups(squares(searched.values, searched.restored), size: size)
            for (group, pair) in zip(before, after).enumerated() {
                #expect(pair.1 <= pair.0 * 1.0001, "\(scheme.label) \(dtype), seed \(seed), group \(group)")
            }
            if scheme.bits == 4, scheme.symmetric {
                #expect(after.reduce(0, +) < 0.99 * before.reduce(0, +), "\(scheme.label), seed \(seed)")
            }
        }
    }

    /// Columns that count more lose less.
    @Test func importanceCounts() throws {
        var random = SeededValues(7)
        let (rows, columns) = (16, 64)
        let values = random.normals(rows * columns)
        let importance = (0..<columns).map { $0 % 8 == 0 ? Float(100) : 1 }
        let scheme = QuantizationScheme(bits: 4, groupSize: 32)
        func loss(_ method: any RoundingMethod) throws -> Double {
            let result = try quantized(values, rows: rows, scheme, method: method)
            let losses = squares(result.values, result.restored)
            return losses.indices.reduce(0.0) { $0 + losses[$1] * Double(importance[$1 % columns]) }
        }
        #expect(
            try loss(SearchedScale(importance: ["weight": importance])) < 0.9 * loss(SearchedScale()))
    }

    /// What is on a grid already stays there.
    @Test(arguments: schemes)
    func idempotent(_ scheme: QuantizationScheme) throws {
        var random = SeededValues(11)
        let columns = 256
        let size = scheme.groupSize ?? columns
        // Every group uses the whole of the integers' range, so its extremes give its scale away.
        let values = (0..<columns).map { index -> Float in
            let q = index % size == 0 ? scheme.minimum : index % size == 1 ? scheme.maximum : nil
            return Float(q ?? Int((random.uniform() - 0.5) * Float(scheme.maximum))) * 0.125
        }
        let once = try quantized(values, rows: 1, scheme, method: SearchedScale())
        let twice = try quantized(once.restored, rows: 1, scheme, method: SearchedScale())
        for i in values.indices {
            let tolerance = abs(values[i]) * 1e-5
            #expect(abs(once.restored[i] - values[i]) <= tolerance, "\(scheme.label) at \(i)")
            #expect(abs(twice.restored[i] - once.restored[i]) <= tolerance, "\(scheme.label) at \(i)")
        }
    }

    /// Zeros, constants, denormals and a lone outlier, by every method that needs no calibration.
    @Test(arguments: schemes)
    func unusualWeights(_ scheme: QuantizationScheme) throws {
        let columns = 128
        var outlier = (0..<columns).map { Float($0 % 13 - 6) / 100 }
        outlier[5] = 1e4
        let cases: [(String, [Float])] = [
            ("zeros", [Float](repeating: 0, count: columns)), ("constant", [Float](repeating: 0.3, count: columns)),
            ("negative", [Float](repeating: -7e-3, count: columns)),
            ("denormals", (0..<columns).map { Float($0) * 1e-44 }), ("outlier", outlier),
        ]
        for (name, values) in cases {
            let nearest = try quantized(values, rows: 1, scheme)
            let searched = try quantized(values, rows: 1, scheme, method: SearchedScale())
            #expect(searched.weight.scales.allSatisfy { $0.isFinite && $0 != 0 }, "\(name), \(scheme.label)")
            let before = squares(values, nearest.restored).reduce(0, +)
            let after = squares(values, searched.restored).reduce(0, +)
            #expect(after <= before * 1.0001, "\(name), \(scheme.label): \(after), \(before)")
        }
    }
}
