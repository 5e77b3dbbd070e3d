import CKernels
import Foundation
import Testing

/// Keys, values and queries of one sequence in one layer, and the way through one kernel set.
struct AttentionCase: CustomStringConvertible {
    var tokens = 1
    var firstPosition = 0
    var heads = 3
    var kvHeads = 1
    var headDim = 64
    var type = QK_CACHE_F16
    var range: ClosedRange<Float> = -2...2
    var misalignment = 0
    var seed: UInt64 = 1

    var positions: Int { firstPosition + tokens }
    var pages: Int { (positions + Int(QK_PAGE) - 1) / Int(QK_PAGE) }
    var description: String {
        "tokens \(tokens) from \(firstPosition) heads \(heads)/\(kvHeads) head_dim \(headDim) "
            + "\(type == QK_CACHE_F16 ? "f16" : "f32") in \(range) misaligned by \(misalignment) seed \(seed)"
    }
}

struct AttentionValues {
    let shape: AttentionCase
    let stride: Int
    let keys, values: [Float]
    let queries: [Float]

    init(_ shape: AttentionCase) {
        self.shape = shape
        var random = Random(seed: shape.seed)
        stride = shape.kvHeads * shape.headDim + 3
        keys = random.floats(shape.positions * stride, shape.range)
        values = random.floats(shape.positions * stride, shape.range)
        queries = random.floats(shape.tokens * (shape.heads * shape.headDim + 5), shape.range)
    }

    /// Stores everything and attends, tokens in `tokenParts` calls and KV heads in one call each if `eachHead`.
    /// → out [tokens, heads, headDim], the pattern [heads, tokens, positions], and all bytes of the cache. What nobody
    /// has written is NaN, in the cache and in the scratch too.
    func run(
        _ set: KernelSet, tokenParts: Int = 1, eachHead: Bool = false
    ) -> (out: [Float], pattern: [Float], cache: [[UInt16]]) {
        let kernels = set.kernels
        let pageHalves = shape.kvHeads * shape.headDim * Int(QK_PAGE) * (shape.type == QK_CACHE_F16 ? 1 : 2)
        let keyPages = (0..<shape.pages).map { _ in Memory<UInt16>(pageHalves) }
        let valuePages = (0..<shape.pages).map { _ in Memory<UInt16>(pageHalves) }
        let keyPointers = Memory(keyPages.map { Optional(UnsafeMutableRawPointer($0.pointer)) })
        let valuePointers = Memory(valuePages.map { Optional(UnsafeMutableRawPointer($0.pointer)) })
        let keyMemory = Memory(keys, misalignment: shape.misalignment)
        let valueMemory = Memory(values, misalignment: shape.misalignment)
        for (first, count) in [(0, shape.firstPosition), (shape.firstPosition, shape.tokens)] where count > 0 {
            kernels.store_kv(
                keyMemory.pointer + first * stride, valueMemory.pointer + first * stride, Int64(stride), Int32(count),
                Int32(first), Int32(shape.kvHeads), Int32(shape.headDim), shape.type, keyPointers.pointer,
                valuePointers.pointer)
        }

        let width = shape.heads * shape.headDim
        let outStride = width + 1
        let q = Memory(queries, misalignment: shape.misalignment)
        let out = Memory([Float](repeating: 7.5, count: shape.tokens * outStride), misalignment: shape.misalignment)
        let patternStride = shape.positions + 2
        let pattern = Memory([Float](repeating: 7.5, count: shape.heads * shape.tokens * patternStride))
        let scratchCount = kernels.attention_scratch(
            Int32(shape.positions), Int32(shape.heads), Int32(shape.kvHeads), Int32(shape.headDim))
        let scratch = Memory([Float](repeating: .nan, count: scratchCount) + [7.5])
        keyPointers.pointer.withMemoryRebound(to: UnsafeRawPointer?.self, capacity: shape.pages) { keyPointers in
            valuePointers.pointer.withMemoryRebound(to: UnsafeRawPointer?.self, capacity: shape.pages) {
                var attention = qk_attention(
                    tokens: Int32(shape.tokens), first_position: Int32(shape.firstPosition),
                    heads: Int32(shape.heads), kv_heads: Int32(shape.kvHeads), head_dim: Int32(shape.headDim),
                    scale: 1 / Float(shape.headDim).squareRoot(), type: shape.type, q: q.pointer,
                    q_stride: Int64(width + 5), key_pages: keyPointers, value_pages: $0, out: out.pointer,
                    out_stride: Int64(outStride), pattern: pattern.pointer, pattern_stride: Int64(patternStride))
                let headRanges = eachHead ? (0..<shape.kvHeads).map { ($0, $0 + 1) } : [(0, shape.kvHeads)]
                for part in 0..<tokenParts {
                    let begin = shape.tokens * part / tokenParts
                    let end = shape.tokens * (part + 1) / tokenParts
                    for heads in headRanges {  // an empty range of tokens too
                        kernels.attend(
                            &attention, scratch.pointer, Int32(begin), Int32(end), Int32(heads.0), Int32(heads.1))
                    }
                }
            }
        }
        precondition(scratch.pointer[scratchCount] == 7.5, "\(set.name) wrote past the scratch: \(shape)")
        func rows(_ memory: Memory<Float>, _ count: Int, _ used: Int, _ stride: Int) -> [Float] {
            let all = memory.array
            let gaps = (0..<count).flatMap { all[$0 * stride + used..<($0 + 1) * stride] }
            precondition(gaps.allSatisfy { $0 == 7.5 }, "\(set.name) wrote between rows: \(shape)")
            return (0..<count).flatMap { all[$0 * stride..<$0 * stride + used] }
        }
        return (
            rows(out, shape.tokens, width, outStride),
            rows(pattern, shape.heads * shape.tokens, shape.positions, patternStride),
            (keyPages + valuePages).map(\.array)
        )
    }
}

@Suite struct AttentionTests {
    /// Softmax of the scaled scores times the values, in double precision from fp32 keys and values.
    @Test func specificationAgreesWithDoublePrecision() {
        for (tokens, first, heads, kvHeads, dim) in [(5, 0, 3, 1, 16), (3, 130, 4, 2, 20), (1, 63, 2, 2, 64)] {
            let shape = AttentionCase(
                tokens: tokens, firstPosition: first, heads: heads, kvHeads: kvHeads, headDim: dim, type: QK_CACHE_F32)
            let values = AttentionValues(shape)
            let got = values.run(.generic)
            for t in 0..<tokens {
                for h in 0..<heads {
                    let kv = h / (heads / kvHeads)
                    let query = t * (heads * dim + 5) + h * dim
                    let seen = first + t + 1
                    func row(_ x: [Float], _ p: Int, _ d: Int) -> Double { Double(x[p * values.stride + kv * dim + d]) }
                    let scores = (0..<seen).map { p in
                        (0..<dim).map { Double(values.queries[query + $0]) * row(values.keys, p, $0) }.reduce(0, +)
                            / Double(dim).squareRoot()
                    }
                    let greatest = scores.max()!
                    let powers = scores.map { Foundation.exp($0 - greatest) }
                    let sum = powers.reduce(0, +)
                    for p in 0..<shape.positions {
                        let probability = got.pattern[(h * tokens + t) * shape.positions + p]
                        let expected = p < seen ? powers[p] / sum : 0
                        // A score of up to 4·√dim is off by dim/2 roundings of its terms, and exp passes that on.
                        let tolerance = expected * (Double(dim).squareRoot() * 4 * Double(dim) + 40) * 0x1p-23
                        #expect(abs(Double(probability) - expected) <= tolerance, "\(shape) pattern \(t) \(h) \(p)")
                    }
                    for d in 0..<dim {
                        let expected = (0..<seen).map { powers[$0] / sum * row(values.values, $0, d) }.reduce(0, +)
                        let tolerance = 2 * (Double(dim).squareRoot() * 4 * Double(dim) + Double(seen) + 40) * 0x1p-23
                        let value = Double(got.out[(t * heads + h) * dim + d])
                        #expect(abs(value - expected) <= tolerance, "\(shape) out \(t) \(h) \(d)")
                    }
                }
            }
        }
    }

    /// Tokens around each tile and strip, pages' edges, heads that share keys in many ways, odd head sizes.
    @Test(arguments: KernelSet.others) func sameBitsAsSpecification(_ set: KernelSet) {
        var seed: UInt64 = 0
        for type in [QK_CACHE_F16, QK_CACHE_F32] {
            for tokens in [1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 33] {
                for first in [0, 1, 30, 62, 63, 64, 127, 200] {
                    for (heads, kvHeads) in [(3, 1), (4, 4), (12, 2), (7, 1)] {
                        seed += 1
                        let dims = [64, 16, 20, 8, 128, 66]
                        guard
                            agrees(
                                set,
                                AttentionCase(
                                    tokens: tokens, firstPosition: first, heads: heads, kvHeads: kvHeads,
                                    headDim: dims[Int(seed) % dims.count], type: type, misalignment: Int(seed) % 3,
                                    seed: seed))
                        else { return }
                    }
                }
            }
        }
    }

    /// Long contexts shorten the strip; one KV head may have more queries than a strip holds.
    @Test(arguments: KernelSet.others) func sameBitsForLongContextsAndManyHeads(_ set: KernelSet) {
        for type in [QK_CACHE_F16, QK_CACHE_F32] {
            _ = agrees(set, AttentionCase(tokens: 40, firstPosition: 1300, headDim: 32, type: type))
            _ = agrees(set, AttentionCase(tokens: 9, firstPosition: 9000, heads: 2, headDim: 32, type: type))
            _ = agrees(set, AttentionCase(tokens: 2, firstPosition: 70, heads: 64, headDim: 32, type: type))
        }
    }

    /// Scores so large that probabilities underflow; halves that overflow to infinity reach the result.
    @Test(arguments: KernelSet.others) func sameBitsAtTheExtremes(_ set: KernelSet) {
        for type in [QK_CACHE_F16, QK_CACHE_F32] {
            for range in [-60...60, -1e-4...1e-4, -9e4...9e4] as [ClosedRange<Float>] {
                _ = agrees(set, AttentionCase(tokens: 7, firstPosition: 90, type: type, range: range))
            }
        }
    }

    @Test(arguments: KernelSet.supported) func divisionBetweenCallsDoesNotMatter(_ set: KernelSet) {
        for type in [QK_CACHE_F16, QK_CACHE_F32] {
            for first in [0, 55] {
                let shape = AttentionCase(tokens: 37, firstPosition: first, heads: 6, kvHeads: 2, type: type)
                let values = AttentionValues(shape)
                let whole = values.run(set)
                for parts in [2, 3, 37, 50] {
                    let divided = values.run(set, tokenParts: parts, eachHead: true)
                    let difference =
                        firstDifference(got: divided.out, expected: whole.out)
                        ?? firstDifference(got: divided.pattern, expected: whole.pattern)
                    #expect(difference == nil, "\(set.name) \(shape) in \(parts) parts: \(difference ?? "")")
                }
            }
        }
    }

    private func agrees(_ set: KernelSet, _ shape: AttentionCase) -> Bool {
        let values = AttentionValues(shape)
        let expected = values.run(.generic)
        let got = values.run(set, tokenParts: 1 + shape.tokens % 3)
        if got.cache != expected.cache {
            Issue.record("\(set.name) \(shape): the cache differs from generic's")
            return false
        }
        for (what, a, b) in [("out", got.out, expected.out), ("pattern", got.pattern, expected.pattern)] {
            if let difference = firstDifference(got: a, expected: b) {
                Issue.record("\(set.name) \(shape): \(what) \(difference)")
                return false
            }
        }
        return true
    }
}
