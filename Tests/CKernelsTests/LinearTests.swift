import CKernels
import Testing

@Suite struct LinearTests {
    static let sampled: [LinearCase] = [8, 4].flatMap { bits in
        [false, true].flatMap { asymmetric in
            [(1, 32, 32), (3, 100, 32), (17, 160, 64), (8, 200, nil), (33, 576, 128)].map {
                LinearCase(bits: bits, rows: $0.0, cols: $0.1, scaleGroup: $0.2, asymmetric: asymmetric, tokens: 3)
            }
        }
    }

    @Test(arguments: sampled) func specificationAgreesWithDoublePrecision(_ layer: LinearCase) {
        let values = LinearValues(layer)
        let (expected, tolerance) = values.reference()
        let got = values.run(.generic).out
        for i in got.indices where !(abs(Double(got[i]) - expected[i]) <= tolerance[i]) {
            Issue.record("generic \(layer) [\(i)] got \(got[i]) expected \(expected[i]) ± \(tolerance[i])")
            return
        }
    }

    /// Whole-number activations whose group maximum is 127 are quantized without loss, and so is their product while it
    /// stays under 2^24: here the expected value is exact.
    @Test(arguments: KernelSet.supported) func exactProducts(_ set: KernelSet) {
        for bits in [8, 4] {
            for group in [32, 64, 128] {
                var layer = LinearCase(bits: bits, rows: 19, cols: group, scaleGroup: group, tokens: 5)
                layer.extreme = .lowest
                let values = LinearValues(layer)
                let out = values.run(set).out
                for t in 0..<layer.tokens {
                    let sum = values.x[t * values.stride..<t * values.stride + group].reduce(0, +)
                    for r in 0..<layer.rows {
                        let expected = Float(-(1 << (bits - 1))) * sum * values.scales[r]
                        #expect(same(out[t * layer.rows + r], expected), "\(set.name) \(layer) token \(t) row \(r)")
                    }
                }
            }
        }
    }

    /// Everything that can differ between two sets: sizes around each block and tile, groups, zero points, extremes.
    @Test(arguments: KernelSet.others) func sameBitsAsSpecification(_ set: KernelSet) {
        var compared = 0
        for bits in [8, 4] {
            for scaleGroup in [32, 64, 128, nil] {
                for asymmetric in [false, true] {
                    for rows in [1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 47, 48, 63, 65] {
                        for cols in [1, 31, 32, 33, 96, 128, 200, 257] {
                            let layer = LinearCase(
                                bits: bits, rows: rows, cols: cols, scaleGroup: scaleGroup, asymmetric: asymmetric,
                                tokens: 1 + compared % 5, seed: UInt64(compared), misalignment: compared % 3)
                            guard agrees(set, layer) else { return }
                            compared += 1
                        }
                    }
                }
            }
        }
        #expect(compared == 2 * 4 * 2 * 15 * 8)
    }

    @Test(arguments: KernelSet.others) func sameBitsForAnyNumberOfTokens(_ set: KernelSet) {
        for bits in [8, 4] {
            for asymmetric in [false, true] {
                for tokens in Array(1...13) + [16, 17, 18, 19, 23, 25, 33, 37] {
                    let layer = LinearCase(
                        bits: bits, rows: 35, cols: 160, scaleGroup: 32, asymmetric: asymmetric, tokens: tokens,
                        seed: UInt64(tokens))
                    guard agrees(set, layer) else { return }
                }
            }
        }
    }

    /// A long row: tokens are taken in chunks that fit a cache, and one group holds all columns.
    @Test(arguments: KernelSet.others) func sameBitsForLongRows(_ set: KernelSet) {
        for bits in [8, 4] {
            for (scaleGroup, group) in [(128, 128), (128, 64), (128, 32), (nil, 9024), (nil, 96)] as [(Int?, Int)] {
                let layer = LinearCase(
                    bits: bits, rows: 20, cols: 9003, scaleGroup: scaleGroup, group: group,
                    asymmetric: scaleGroup == nil, tokens: 37)
                guard agrees(set, layer) else { return }
            }
        }
    }

    /// −128·±127 and 127·±127 in every place: sums of products that must not saturate, whatever sign a set gives to which
    /// side.
    @Test(arguments: KernelSet.others) func sameBitsAtTheExtremes(_ set: KernelSet) {
        for bits in [8, 4] {
            for asymmetric in [false, true] {
                for (scaleGroup, cols) in [(32, 64), (128, 256), (nil, 4096), (nil, 65536)] as [(Int?, Int)] {
                    var layer = LinearCase(
                        bits: bits, rows: 17, cols: cols, scaleGroup: scaleGroup, asymmetric: asymmetric, tokens: 5)
                    for extreme in [LinearCase.Extreme.lowest, .highest] {
                        layer.extreme = extreme
                        guard agrees(set, layer) else { return }
                    }
                }
            }
        }
    }

    /// A token's result does not depend on its company, nor on the division of rows between calls.
    @Test(arguments: KernelSet.supported) func batchAndRowsDoNotMatter(_ set: KernelSet) {
        for bits in [8, 4] {
            let layer = LinearCase(bits: bits, rows: 100, cols: 192, scaleGroup: 64, asymmetric: true, tokens: 17)
            let values = LinearValues(layer)
            let whole = values.run(set).out
            for parts in [2, 3, 7] {
                let difference = firstDifference(got: values.run(set, parts: parts).out, expected: whole)
                #expect(difference == nil, "\(set.name) \(layer) in \(parts) parts: \(difference ?? "")")
            }
            for count in [1, 2, 3, 5, 16] {
                let fewer = LinearValues(values, tokens: count).run(set).out
                let difference = firstDifference(got: fewer, expected: Array(whole[..<(count * layer.rows)]))
                #expect(difference == nil, "\(set.name) \(layer) first \(count) tokens: \(difference ?? "")")
            }
        }
    }

    private func agrees(_ set: KernelSet, _ layer: LinearCase) -> Bool {
        let values = LinearValues(layer)
        let expected = values.run(.generic)
        let got = values.run(set, parts: 1 + layer.rows % 3)
        if got.quants != expected.quants || got.sums != expected.sums {
            Issue.record("\(set.name) \(layer): activations' quants or sums differ from generic's")
            return false
        }
        for (what, a, b) in [("scales", got.scales, expected.scales), ("out", got.out, expected.out)] {
            if let difference = firstDifference(got: a, expected: b) {
                Issue.record("\(set.name) \(layer): \(what) \(difference)")
                return false
            }
        }
        return true
    }
}
