import CKernels
import Foundation

/// A stage's means to compute: a kernel set, a thread pool, and the scratch that the kernels ask for.
///
/// Everything above this file speaks of rows, heads and positions; nothing above it sees CKernels or OpenBLAS.
/// Results do not depend on the number of threads: each output element is computed by one call, in one order.
final class Compute {
    let kernels: KernelSet
    let pool: ThreadPool
    private var quantized = QuantizedRows()
    private var attention: AttentionScratch

    var table: qk_kernels { kernels.table.pointee }

    init(kernels: KernelSet, threads: Int, spins: Int = 4_000) {
        self.kernels = kernels
        pool = ThreadPool(threads: threads, spins: spins)
        attention = AttentionScratch(threads: threads)
    }

    // MARK: Linear layers

    /// Activations that several layers read: as they are, and, once a quantized layer asks, as int8 per group.
    struct Input {
        let rows: Rows
        /// Row ranges that belong to one sequence each: dense products go sequence by sequence, so that a sequence's
        /// numbers do not depend on who else is in the batch.
        let segments: [Range<Int>]
        fileprivate var quantizedGroup: Int?

        init(_ rows: Rows, segments: [Range<Int>]) {
            self.rows = rows
            self.segments = segments
        }
    }

    /// out [tokens, outputs] = x [tokens, inputs] · Wᵀ + bias, W [outputs, inputs].
    func apply(_ layer: Linear, to x: inout Input, into out: Rows) {
        precondition(x.rows.width == layer.inputs && out.width == layer.outputs && out.rows == x.rows.rows)
        switch layer.weights {
        case .dense(let weights):
            for segment in x.segments {
                denseProduct(weights, x.rows.slice(segment), into: out.slice(segment), pool: pool)
            }
        case .packed(let weights):
            quantize(&x, group: weights.group)
            product(PackedProduct(weights, out), nil, nil)
        }
        add(layer.bias, to: out)
    }

    /// Two or three layers of the same input: where they are packed alike, the threads meet once for all of them.
    func apply(
        _ first: Linear, _ second: Linear, _ third: Linear? = nil, to x: inout Input, into firstOut: Rows,
        _ secondOut: Rows, _ thirdOut: Rows? = nil
    ) {
        guard let one = PackedProduct(first, firstOut), let two = PackedProduct(second, secondOut),
            one.weights.group == two.weights.group
        else {
            apply(first, to: &x, into: firstOut)
            apply(second, to: &x, into: secondOut)
            if let third, let thirdOut { apply(third, to: &x, into: thirdOut) }
            return
        }
        quantize(&x, group: one.weights.group)
        var three: PackedProduct?
        if let third, let thirdOut {
            three = PackedProduct(third, thirdOut)
            if three?.weights.group != one.weights.group {
                three = nil
                apply(third, to: &x, into: thirdOut)
                quantize(&x, group: one.weights.group)
            }
        }
        product(one, two, three)
        add(first.bias, to: firstOut)
        add(second.bias, to: secondOut)
        if three != nil, let thirdOut { add(third?.bias, to: thirdOut) }
    }

    private func add(_ bias: AlignedBuffer<Float>?, to out: Rows) {
        guard let bias else { return }
        for row in 0..<out.rows { table.add(out[row], bias.pointer, Int64(out.width)) }
    }

    private func quantize(_ x: inout Input, group: Int) {
        guard x.quantizedGroup != group else { return }
        x.quantizedGroup = group
        let rows = x.rows
        quantized.reserve(tokens: rows.rows, columns: rows.width, group: group)
        let quantize = table.quantize!
        pool.run((rows.rows + 7) / 8) { task, _ in
            quantize(
                rows.pointer, Int64(rows.width), &self.quantized.view, Int32(task * 8),
                Int32(min(task * 8 + 8, rows.rows)))
        }
    }

    /// A packed layer and where its product goes.
    private struct PackedProduct {
        let weights: PackedWeights
        let out: Rows

        init(_ weights: PackedWeights, _ out: Rows) { (self.weights, self.out) = (weights, out) }

        init?(_ layer: Linear, _ out: Rows) {
            guard case .packed(let weights) = layer.weights else { return nil }
            self.init(weights, out)
        }

        /// Tasks to balance `threads` threads, each large enough to be worth a visit to the queue.
        func tasks(threads: Int) -> Int { threads == 1 ? 1 : max(1, min(threads * 4, weights.rowBlocks / 4)) }
    }

    private func product(_ one: PackedProduct, _ two: PackedProduct?, _ three: PackedProduct?) {
        let linear = table.linear!
        let activations = quantized.view
        let first = one.tasks(threads: pool.threads)
        let second = first + (two?.tasks(threads: pool.threads) ?? 0)
        let third = second + (three?.tasks(threads: pool.threads) ?? 0)
        pool.run(third) { task, _ in
            let (part, begin, end) =
                task < first ? (one, 0, first) : task < second ? (two!, first, second) : (three!, second, third)
            let blocks = part.weights.rowBlocks
            let tasks = end - begin
            var x = activations
            linear(
                part.weights.viewPointer, &x, part.out.pointer, Int64(part.out.width),
                Int32(blocks * (task - begin) / tasks), Int32(blocks * (task - begin + 1) / tasks))
        }
    }

    // MARK: Vectors

    func rmsNorm(_ x: Rows, _ weight: AlignedBuffer<Float>, epsilon: Float, into out: Rows) {
        let norm = table.rms_norm!
        eachRow(x.rows, atLeast: 8) { norm(x[$0], weight.pointer, epsilon, out[$0], Int32(x.width)) }
    }

    func siluMultiply(_ gate: Rows, _ up: Rows) {
        let silu = table.silu_mul!
        eachRow(gate.rows, atLeast: 2) { silu(gate[$0], up[$0], gate[$0], Int64(gate.width)) }
    }

    func add(_ x: Rows, _ y: Rows) {
        let add = table.add!
        eachRow(x.rows, atLeast: 32) { add(x[$0], y[$0], Int64(x.width)) }
    }

    func softmax(_ x: UnsafeMutableBufferPointer<Float>) {
        table.softmax(x.baseAddress!, Int32(x.count))
    }

    private func eachRow(_ rows: Int, atLeast: Int, _ body: (Int) -> Void) {
        if rows < atLeast {
            for row in 0..<rows { body(row) }
        } else {
            let chunk = max(1, rows / (pool.threads * 4))
            pool.run((rows + chunk - 1) / chunk) { task, _ in
                for row in task * chunk..<min(rows, (task + 1) * chunk) { body(row) }
            }
        }
    }

    // MARK: Attention

    /// Rotates the heads in each row x [tokens, heads · headDim]; row r stands at `positions[r]`.
    func rotate(_ x: Rows, headDim: Int, positions: [Int32], _ rotary: RotaryTable) {
        let rope = table.rope!
        let heads = Int32(x.width / headDim)
        eachRow(x.rows, atLeast: 8) { row in
            let position = Int(positions[row])
            rope(x[row], rotary.cosine(at: position), rotary.sine(at: position), heads, Int32(headDim))
        }
    }

    /// Stores the new keys and values of every segment, then attends: each query row [heads · headDim] over all
    /// positions of its sequence up to its own. Rows of `queries`, `keys`, `values` and `out` are the batch's.
    func attend(
        _ segments: [AttentionSegment], queries: Rows, keys: Rows, values: Rows, into out: Rows, cache: KVCache,
        layer: Int, heads: Int
    ) {
        attention.prepare(
            segments, queries: queries, into: out, cache: cache, layer: layer, heads: heads, table,
            threads: pool.threads)
        attention.store(segments, keys: keys, values: values, cache: cache, table, pool)
        attention.attend(table, pool)
    }
}

/// The int8 image of a batch's activations, in memory that grows and stays.
private struct QuantizedRows {
    private var quants = AlignedBuffer<Int8>(count: 0)
    private var scales = AlignedBuffer<Float>(count: 0)
    private var sums = AlignedBuffer<Int32>(count: 0)
    var view = qk_activations()

    mutating func reserve(tokens: Int, columns: Int, group: Int) {
        let groups = (columns + group - 1) / group
        if quants.count < tokens * groups * group { quants = AlignedBuffer(count: tokens * groups * group) }
        if scales.count < tokens * groups {
            scales = AlignedBuffer(count: tokens * groups)
            sums = AlignedBuffer(count: tokens * groups)
        }
        view = qk_activations(
            tokens: Int32(tokens), cols: Int32(columns), group: Int32(group), groups: Int32(groups),
            quants: quants.pointer, scales: scales.pointer, sums: sums.pointer)
    }
}
