import Foundation
import Runtime
import Testing

@Suite struct GPTQTests {
    /// Inputs [tokens, columns] that hang together, as a model's do: few directions, and columns of unlike size.
    private func inputs(_ random: inout SeededValues, tokens: Int, columns: Int) -> [Float] {
        let directions = (0..<6).map { _ in random.normals(columns) }
        let sizes = (0..<columns).map { _ in 0.2 + 3 * random.uniform() * random.uniform() }
        return (0..<tokens).flatMap { _ -> [Float] in
            let weights = random.normals(directions.count)
            return (0..<columns).map { column in
                let common = zip(weights, directions).reduce(Float(0)) { $0 + $1.0 * $1.1[column] }
                return sizes[column] * (common + 0.4 * random.normal())
            }
        }
    }

    @Test(arguments: RoundingPropertyTests.schemes, [UInt64(1), 2])
    func losesLessThanRounding(_ scheme: QuantizationScheme, _ seed: UInt64) throws {
        var random = SeededValues(seed)
        // More rows than a block has, and columns that do not fill the last block.
        let (rows, columns, tokens) = (150, 384, 600)
        let values = random.normals(rows * columns).map { $0 * 0.05 }
        let x = inputs(&random, tokens: tokens, columns: columns)
        func rounded(_ method: any RoundingMethod) throws -> Double {
            try values.withUnsafeBytes {
                try PackedWeight.quantizing(
                    $0, rows: rows, columns: columns, dtype: .f32, scheme: scheme, method: method
                ).weight.outputError(of: values, inputs: x)
            }
        }
        let nearest = try rounded(RoundToNearest())
        let searched = try rounded(SearchedScale())
        var plain = GPTQ.Options()
        plain.refinements = 0
        let first = try PackedWeight.gptq(
            values, rows: rows, columns: columns, scheme: scheme, inputs: x, options: plain)
        let refined = try PackedWeight.gptq(values, rows: rows, columns: columns, scheme: scheme, inputs: x)
        #expect(first.error < 0.7 * nearest, "\(scheme.label), seed \(seed): \(first.error), \(nearest)")
        #expect(first.error < 0.75 * searched, "\(scheme.label), seed \(seed): \(first.error), \(searched)")
        #expect(refined.error < first.error, "\(scheme.label), seed \(seed): \(refined.error), \(first.error)")
    }

    /// Inputs that do not hang together leave nothing to make good: the result is that of importance alone.
    @Test func independentColumnsAreRoundedToNearest() throws {
        var random = SeededValues(3)
        let (rows, columns) = (8, 64)
        let values = random.normals(rows * columns)
        // One token a column: XᵀX is diagonal.
        var x = [Float](repeating: 0, count: columns * columns)
        for i in 0..<columns { x[i * columns + i] = 1 }
        let scheme = QuantizationScheme(bits: 4, groupSize: 32)
        var options = GPTQ.Options()
        options.refinements = 0
        let found = try PackedWeight.gptq(
            values, rows: rows, columns: columns, scheme: scheme, inputs: x, options: options
        ).weight
        for row in 0..<rows {
            for (column, q) in found.quants(row: row).enumerated() {
                let exact = values[row * columns + column] / found.scales[row * 2 + column / 32]
                #expect(abs(max(-8, min(7, exact)) - Float(q)) <= 0.5001, "row \(row), column \(column)")
            }
        }
    }

    /// The same bits whatever divides the work: threads, blocks of rows, and what stands in the rows beside. A block of
    /// another size need not give them: OpenBLAS adds up a row in an order that depends on its place.
    @Test func rowsDoNotDependOnTheirNeighbours() throws {
        var random = SeededValues(5)
        // Two blocks that are full and one that is not.
        let (rows, columns, block) = (259, 128, 128)
        let values = random.normals(rows * columns)
        let x = inputs(&random, tokens: 200, columns: columns)
        var strangers = random.normals(rows * columns)
        let scheme = QuantizationScheme(bits: 4, symmetric: false, groupSize: 32)
        func quantized(_ values: [Float], threads: Int = 1) throws -> PackedWeight {
            try PackedWeight.gptq(
                values, rows: values.count / columns, columns: columns, scheme: scheme, inputs: x, threads: threads
            ).weight
        }
        func bits(_ weight: PackedWeight, _ range: Range<Int>) throws -> [[UInt32]] {
            let zeroPoints = try #require(weight.zeroPoints)
            return range.map { row in
                let groups = row * weight.groups..<(row + 1) * weight.groups
                let integers = (weight.quants(row: row) + zeroPoints[groups]).map { UInt32(bitPattern: Int32($0)) }
                return integers + weight.scales[groups].map(\.bitPattern)
            }
        }
        let all = try quantized(values)
        for threads in [2, 3, 5] { #expect(try quantized(values, threads: threads) == all, "\(threads) threads") }
        for first in stride(from: 0, to: rows, by: block) {
            let range = first..<min(rows, first + block)
            let alone = try quantized(Array(values[range.lowerBound * columns..<range.upperBound * columns]))
            #expect(try bits(alone, 0..<range.count) == bits(all, range), "rows \(range)")
        }
        for range in [0..<1, 100..<128, 130..<141, 258..<259] {
            let places = range.lowerBound * columns..<range.upperBound * columns
            strangers.replaceSubrange(places, with: values[places])
            #expect(try bits(quantized(strangers), range) == bits(all, range), "rows \(range)")
        }
    }

    /// Inputs that are all zero, or a single one: damping keeps the moments invertible, and the weights stay sensible.
    @Test func degenerateInputs() throws {
        var random = SeededValues(9)
        let (rows, columns) = (4, 64)
        let values = random.normals(rows * columns)
        let scheme = QuantizationScheme(bits: 8, groupSize: 32)
        for x in [[Float](repeating: 0, count: columns), random.normals(columns)] {
            let weight = try PackedWeight.gptq(values, rows: rows, columns: columns, scheme: scheme, inputs: x).weight
            let restored = (0..<rows).flatMap { weight.dequantized(row: $0) }
            for (a, b) in zip(values, restored) { #expect(abs(a - b) < 0.2) }
        }
    }
}
