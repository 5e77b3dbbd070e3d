import CKernels
import Testing

@Suite struct LinearTests {
    static let cases: [LinearCase] = [8, 4].flatMap { bits in
        [false, true].flatMap { asymmetric in
            [(1, 32, 32), (3, 100, 32), (17, 160, 64), (8, 200, nil), (33, 576, 128)].map {
                LinearCase(bits: bits, rows: $0.0, cols: $0.1, scaleGroup: $0.2, asymmetric: asymmetric, tokens: 3)
            }
        }
    }

    @Test(arguments: cases) func specificationAgreesWithDoublePrecision(_ layer: LinearCase) {
        let values = LinearValues(layer)
        let (expected, tolerance) = values.reference()
        let got = values.run(.generic).out
        for i in got.indices where !(abs(Double(got[i]) - expected[i]) <= tolerance[i]) {
            Issue.record("generic \(layer) [\(i)] got \(got[i]) expected \(expected[i]) ± \(tolerance[i])")
            return
        }
    }
}
