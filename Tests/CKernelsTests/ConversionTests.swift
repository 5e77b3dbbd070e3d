import CKernels
import Testing

@Suite struct ConversionTests {
    /// Every half, also from an odd offset and with a short tail.
    @Test(arguments: KernelSet.supported) func everyHalfAndBfloat(_ set: KernelSet) {
        let all = (0..<65536).map { UInt16($0) }
        let halves = Memory<Float>(65536)
        let bfloats = Memory<Float>(65536)
        set.kernels.f16_to_f32(all, halves.pointer, 65536)
        set.kernels.bf16_to_f32(all, bfloats.pointer, 65536)
        for bits in all {
            let half = Self.value(ofHalf: bits)
            #expect(same(halves.pointer[Int(bits)], half), "\(set.name) f16 \(bits)")
            #expect(bfloats.pointer[Int(bits)].bitPattern == UInt32(bits) << 16, "\(set.name) bf16 \(bits)")
        }
        for count in [0, 1, 7, 9, 15, 17] {
            let in16 = Memory(Array(all[15_000..<15_000 + count]), misalignment: 1)
            let out = Memory<Float>(count + 1, misalignment: 1)
            set.kernels.f16_to_f32(in16.pointer, out.pointer, Int64(count))
            #expect(firstDifference(got: Array(out.array[..<count]), expected: in16.array.map(Self.value)) == nil)
            #expect(out.pointer[count].isNaN, "\(set.name) wrote past \(count) values")
        }
    }

    /// Halfway cases between neighbouring halves go to the even one; just above and below to the nearer.
    @Test(arguments: KernelSet.supported) func roundsToNearestEven(_ set: KernelSet) {
        for low in 0..<UInt16(0x7BFF) {
            let a = Self.value(ofHalf: low)
            let middle = (a + Self.value(ofHalf: low + 1)) / 2
            let in32 = [a, middle.nextDown, middle, middle.nextUp, -middle, -middle.nextUp, a, middle]
            let out = Memory<UInt16>(8)
            set.kernels.f32_to_f16(in32, out.pointer, 8)
            let even = low & 1 == 0 ? low : low + 1
            let expected = [low, low, even, low + 1, even | 0x8000, (low + 1) | 0x8000, low, even]
            guard out.array == expected else {
                Issue.record("\(set.name) around half \(low): got \(out.array) expected \(expected)")
                return
            }
        }
    }

    @Test(arguments: KernelSet.supported) func edgesOfHalf(_ set: KernelSet) {
        let in32: [Float] = [65504, 65519.996, 65520, .greatestFiniteMagnitude, -.infinity, 0x1p-25, 0x1.8p-25, -0.0]
        let out = Memory<UInt16>(8)
        set.kernels.f32_to_f16(in32, out.pointer, 8)
        #expect(out.array == [0x7BFF, 0x7BFF, 0x7C00, 0x7C00, 0xFC00, 0, 1, 0x8000])
    }

    @Test(arguments: KernelSet.supported) func everySixteenthBitsOfBfloat(_ set: KernelSet) {
        var random = Random(seed: 9)
        let in32 = (0..<4003).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) } + [.nan]
        let out = Memory<UInt16>(in32.count)
        set.kernels.f32_to_bf16(in32, out.pointer, Int64(in32.count))
        for (x, got) in zip(in32, out.array) {
            let back = Float(bitPattern: UInt32(got) << 16)
            guard !x.isNaN else {
                #expect(back.isNaN)
                continue
            }
            let low = x.bitPattern & 0xFFFF
            let odd = x.bitPattern >> 16 & 1
            let up = low > 0x8000 || (low == 0x8000 && odd == 1)
            #expect(UInt32(got) == (x.bitPattern >> 16) + (up ? 1 : 0), "\(set.name) \(x)")
        }
    }

    /// The same bits in every set, NaN payloads included.
    @Test(arguments: KernelSet.others) func sameBitsAsSpecification(_ set: KernelSet) {
        let in32 = stride(from: UInt32(0), through: 0xFFFF_FFFF - 4099, by: 4099).map { Float(bitPattern: $0) }
        let n = Int64(in32.count)
        let got = Memory<UInt16>(in32.count)
        let expected = Memory<UInt16>(in32.count)
        set.kernels.f32_to_f16(in32, got.pointer, n)
        KernelSet.generic.kernels.f32_to_f16(in32, expected.pointer, n)
        #expect(got.array == expected.array)
        set.kernels.f32_to_bf16(in32, got.pointer, n)
        KernelSet.generic.kernels.f32_to_bf16(in32, expected.pointer, n)
        #expect(got.array == expected.array)
    }

    /// IEEE 754 binary16 by its definition.
    static func value(ofHalf bits: UInt16) -> Float {
        let sign: Float = bits & 0x8000 == 0 ? 1 : -1
        let exponent = Int(bits >> 10 & 31)
        let fraction = Float(bits & 1023)
        if exponent == 31 { return fraction == 0 ? sign * .infinity : .nan }
        if exponent == 0 { return sign * fraction * 0x1p-24 }
        return sign * Float(sign: .plus, exponent: exponent - 15, significand: 1 + fraction / 1024)
    }
}
