import CKernels
import Foundation
import Testing

@Suite struct VectorTests {
    static let sizes = [1, 2, 3, 7, 8, 9, 15, 16, 17, 23, 24, 31, 32, 33, 63, 64, 65, 100, 576, 1000, 1536]

    // MARK: exp

    /// Against the C library in double precision, over every float that gives a normal result (in steps).
    @Test func expIsWithin101HundredthsOfAnUlp() {
        var worst = 0.0
        var at: Float = 0
        for bits in stride(from: UInt32(0), through: 0xFFFF_FFFF - 997, by: 997) {
            let x = Float(bitPattern: bits)
            guard x > -87.33, x < 88.72 else { continue }
            let expected = Foundation.exp(Double(x))
            let error = abs(Double(qk_exp(x)) - expected) / Double(Float(expected).ulp)
            if error > worst { (worst, at) = (error, x) }
        }
        #expect(worst <= 1.01, "at \(at)")
        #expect(worst > 0.4, "nothing was compared")
    }

    @Test func expAtTheEdges() {
        #expect(qk_exp(0) == 1)
        #expect(qk_exp(-0.0) == 1)
        #expect(qk_exp(-.infinity) == 0)
        #expect(qk_exp(-88) == 0)
        #expect(qk_exp(.infinity) == .infinity)
        #expect(qk_exp(89) == .infinity)
        #expect(qk_exp(88.72) < .infinity)
        #expect(qk_exp(.nan).isNaN)
        #expect(qk_exp(Float.leastNonzeroMagnitude) == 1)
    }

    // MARK: The specification against double precision

    @Test func rmsNormAgreesWithDoublePrecision() {
        var random = Random(seed: 3)
        for n in Self.sizes {
            let x = random.floats(n, -4...4)
            let weight = random.floats(n)
            let out = Memory<Float>(n)
            qk_select("generic").pointee.rms_norm(x, weight, 1e-5, out.pointer, Int32(n))
            let mean = x.map { Double($0) * Double($0) }.reduce(0, +) / Double(n)
            let factor = 1 / (mean + 1e-5).squareRoot()
            for i in 0..<n {
                let expected = Double(x[i]) * factor * Double(weight[i])
                // n/16 + 4 roundings under the root count half; five more around it.
                let tolerance = abs(expected) * (Double(n) / 32 + 8) * 0x1p-24
                #expect(abs(Double(out.pointer[i]) - expected) <= tolerance, "n \(n) [\(i)]")
            }
        }
    }

    @Test func softmaxAgreesWithDoublePrecision() {
        var random = Random(seed: 4)
        for n in Self.sizes {
            let x = random.floats(n, -20...20)
            let out = Memory(x)
            qk_select("generic").pointee.softmax(out.pointer, Int32(n))
            let greatest = Double(x.max()!)
            let powers = x.map { Foundation.exp(Double($0) - greatest) }
            let sum = powers.reduce(0, +)
            for i in 0..<n {
                let expected = powers[i] / sum
                // x − max is off by 2^-24·40, exp by an ulp, the sum by n/16 + 4 roundings, three more at the end.
                let tolerance = expected * (40 + Double(n) / 16 + 12) * 0x1p-23
                #expect(abs(Double(out.pointer[i]) - expected) <= tolerance, "n \(n) [\(i)]")
            }
        }
    }

    @Test func siluAndRopeAgreeWithDoublePrecision() {
        var random = Random(seed: 5)
        let gate = random.floats(1000, -30...30)
        let up = random.floats(1000)
        let out = Memory<Float>(1000)
        qk_select("generic").pointee.silu_mul(gate, up, out.pointer, 1000)
        for i in 0..<1000 {
            let g = Double(gate[i])
            let expected = g / (1 + Foundation.exp(-g)) * Double(up[i])
            #expect(abs(Double(out.pointer[i]) - expected) <= abs(expected) * 6 * 0x1p-23, "silu [\(i)]")
        }

        let heads = 3
        let dim = 64
        let angles = random.floats(dim / 2, -3...3)
        let x = random.floats(heads * dim)
        let rotated = Memory(x)
        qk_select("generic").pointee.rope(
            rotated.pointer, angles.map(cosf), angles.map(sinf), Int32(heads), Int32(dim))
        for h in 0..<heads {
            for i in 0..<dim / 2 {
                let a = Double(x[h * dim + i])
                let b = Double(x[h * dim + i + dim / 2])
                let angle = Double(angles[i])
                let first = a * Foundation.cos(angle) - b * Foundation.sin(angle)
                let second = b * Foundation.cos(angle) + a * Foundation.sin(angle)
                #expect(abs(Double(rotated.pointer[h * dim + i]) - first) <= 4 * 0x1p-23)
                #expect(abs(Double(rotated.pointer[h * dim + i + dim / 2]) - second) <= 4 * 0x1p-23)
            }
        }
    }

    // MARK: Each set against the specification

    /// Runs `body` with a set's table and compares what it returns with the specification's.
    private func compare(
        _ set: KernelSet, _ what: String, _ body: (qk_kernels) -> [Float]
    ) {
        let difference = firstDifference(got: body(set.kernels), expected: body(KernelSet.generic.kernels))
        #expect(difference == nil, "\(set.name) \(what): \(difference ?? "")")
    }

    @Test(arguments: KernelSet.others) func sameBits(_ set: KernelSet) {
        var random = Random(seed: 6)
        for n in Self.sizes {
            for misalignment in [0, 1, 5] {
                for range in [-1...1, -30...30, -1e5...1e5] as [ClosedRange<Float>] {
                    let x = Memory(random.floats(n, range), misalignment: misalignment)
                    let y = Memory(random.floats(n, range), misalignment: misalignment)
                    let what = "n \(n) misaligned by \(misalignment) in \(range)"
                    compare(set, "rms_norm \(what)") {
                        let out = Memory<Float>(n + 1, misalignment: misalignment)
                        $0.rms_norm(x.pointer, y.pointer, 1e-6, out.pointer, Int32(n))
                        return out.array
                    }
                    compare(set, "silu_mul \(what)") {
                        let out = Memory<Float>(n + 1, misalignment: misalignment)
                        $0.silu_mul(x.pointer, y.pointer, out.pointer, Int64(n))
                        return out.array
                    }
                    compare(set, "silu_mul in place \(what)") {
                        let out = Memory(x.array, misalignment: misalignment)
                        $0.silu_mul(out.pointer, y.pointer, out.pointer, Int64(n))
                        return out.array
                    }
                    compare(set, "add \(what)") {
                        let out = Memory(x.array + [9], misalignment: misalignment)
                        $0.add(out.pointer, y.pointer, Int64(n))
                        return out.array
                    }
                    compare(set, "softmax \(what)") {
                        let out = Memory(x.array + [9], misalignment: misalignment)
                        $0.softmax(out.pointer, Int32(n))
                        return out.array
                    }
                }
            }
        }
    }

    @Test(arguments: KernelSet.others) func ropeSameBits(_ set: KernelSet) {
        var random = Random(seed: 7)
        for dim in [2, 6, 16, 20, 62, 64, 80, 128] {
            let x = random.floats(3 * dim, -5...5)
            let angles = random.floats(dim / 2, -100...100)
            compare(set, "rope head_dim \(dim)") {
                let out = Memory(x + [9], misalignment: 1)
                $0.rope(out.pointer, angles.map(cosf), angles.map(sinf), 3, Int32(dim))
                return out.array
            }
        }
    }

    /// silu_mul passes each lane through exp: this is exp over all exponents, edges and non-numbers.
    @Test(arguments: KernelSet.others) func expSameBitsEverywhere(_ set: KernelSet) {
        var gate = stride(from: UInt32(0), through: 0xFFFF_FFFF - 65_003, by: 65_003).map { Float(bitPattern: $0) }
        gate += [0, -0.0, .infinity, -.infinity, .nan, -87.336, -87.3366, 88.7228, 88.7229, 87.3366, -88.7229]
        let up = [Float](repeating: 1, count: gate.count)
        compare(set, "exp") {
            let out = Memory<Float>(gate.count)
            $0.silu_mul(gate, up, out.pointer, Int64(gate.count))
            return out.array
        }
    }

    @Test(arguments: KernelSet.supported) func nonNumbersReachTheResult(_ set: KernelSet) {
        for bad in [Float.nan, .infinity] {
            for n in [1, 5, 16, 33] {
                for position in [0, n / 2, n - 1] {
                    var x = [Float](repeating: 0.5, count: n)
                    x[position] = bad
                    let out = Memory(x)
                    set.kernels.softmax(out.pointer, Int32(n))
                    #expect(out.array.allSatisfy { $0.isNaN }, "\(set.name) softmax n \(n) \(bad) at \(position)")
                }
            }
        }
        let minus = Memory([1, -.infinity, 2] as [Float])
        set.kernels.softmax(minus.pointer, 3)
        #expect(minus.pointer[1] == 0 && minus.pointer[0] > 0)
    }
}
