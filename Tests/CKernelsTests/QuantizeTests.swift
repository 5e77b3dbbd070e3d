import CKernels
import Testing

@Suite struct QuantizeTests {
    /// One token of `x` in groups of `group`.
    private func quantize(
        _ set: KernelSet, _ x: [Float], group: Int
    ) -> (quants: [Int8], scales: [Float], sums: [Int32]) {
        let groups = (x.count + group - 1) / group
        let quants = Memory<Int8>(groups * group)
        let scales = Memory<Float>(groups)
        let sums = Memory<Int32>(groups)
        var out = qk_activations(
            tokens: 1, cols: Int32(x.count), group: Int32(group), groups: Int32(groups), quants: quants.pointer,
            scales: scales.pointer, sums: sums.pointer)
        set.kernels.quantize(x, Int64(x.count), &out, 0, 1)
        return (quants.array, scales.array, sums.array)
    }

    @Test(arguments: KernelSet.supported) func roundsHalvesToEven(_ set: KernelSet) {
        let x: [Float] = [127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5, -126.5, -127, 0.49999997, 3]
        let got = quantize(set, x, group: 32)
        #expect(got.quants == [127, 0, 2, 2, 0, -2, -2, 126, -126, -127, 0, 3] + [Int8](repeating: 0, count: 20))
        #expect(got.scales == [1])
        #expect(got.sums == [3])
    }

    @Test(arguments: KernelSet.supported) func zerosAndTinyValuesHaveScaleZero(_ set: KernelSet) {
        for value in [0, -0.0, Float.leastNonzeroMagnitude, -1e-38, 0x1p-121] as [Float] {
            let got = quantize(set, [Float](repeating: value, count: 64), group: 64)
            #expect(got.quants.allSatisfy { $0 == 0 } && got.scales == [0] && got.sums == [0], "\(set.name) \(value)")
        }
        let smallest = quantize(set, [Float](repeating: 0x1p-120, count: 32), group: 32)
        #expect(smallest.quants.allSatisfy { $0 == 127 })
    }

    @Test(arguments: KernelSet.supported) func nonNumbersStayInTheScale(_ set: KernelSet) {
        for bad in [Float.nan, .infinity, -.infinity] {
            var x = [Float](repeating: 1, count: 96)
            x[37] = bad
            let got = quantize(set, x, group: 32)
            #expect(got.scales[0] == 1 / Float(127) && got.scales[2] == got.scales[0])
            #expect(!got.scales[1].isFinite && got.sums[1] == 0, "\(set.name) \(bad)")
            #expect(got.quants[32..<64].allSatisfy { $0 == 0 }, "\(set.name) \(bad)")
        }
    }

    /// Sizes, alignments and magnitudes up to the ends of the range.
    @Test(arguments: KernelSet.others) func sameBitsAsSpecification(_ set: KernelSet) {
        var random = Random(seed: 8)
        for count in [1, 7, 8, 31, 32, 33, 40, 63, 64, 100, 127, 128, 300, 576] {
            for magnitude in [1e-37, 1e-30, 1, 1e10, 3e38] as [Float] {
                for group in [32, 64, 128, (count + 31) / 32 * 32] {
                    let x = random.floats(count, -magnitude...magnitude)
                    let got = quantize(set, x, group: group)
                    let expected = quantize(.generic, x, group: group)
                    #expect(
                        got.quants == expected.quants && got.sums == expected.sums && got.scales == expected.scales,
                        "\(set.name) \(count) values up to \(magnitude), group \(group)")
                }
            }
        }
    }
}
