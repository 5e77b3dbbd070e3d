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
    private var attentionScratch: [AlignedBuffer<Float>]
    private var keyPages: [UnsafeMutableRawPointer?] = []
    private var valuePages: [UnsafeMutableRawPointer?] = []

    private var table: qk_kernels { kernels.table.pointee }

    init(kernels: KernelSet, threads: Int, spins: Int = 4_000) {
        self.kernels = kernels
        pool = ThreadPool(threads: threads, spins: spins)
        attentionScratch = (0..<threads).map { _ in AlignedBuffer(count: 0) }
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
            if x.quantizedGroup != weights.group {
                quantize(x.rows, group: weights.group)
                x.quantizedGroup = weights.group
            }
            product(weights, into: out)
        }
        if let bias = layer.bias {
            for row in 0..<out.rows { table.add(out[row], bias.pointer, Int64(out.width)) }
        }
    }

    private func quantize(_ x: Rows, group: Int) {
        quantized.reserve(tokens: x.rows, columns: x.width, group: group)
        let quantize = table.quantize!
        pool.run((x.rows + 7) / 8) { task, _ in
            quantize(
                x.pointer, Int64(x.width), &self.quantized.view, Int32(task * 8), Int32(min(task * 8 + 8, x.rows)))
        }
    }

    private func product(_ weights: PackedWeights, into out: Rows) {
        let blocks = weights.rowBlocks
        let linear = table.linear!
        // Enough tasks to balance the threads, each large enough to be worth a visit to the queue.
        let tasks = pool.threads == 1 ? 1 : max(1, min(pool.threads * 4, blocks / 4))
        let activations = withUnsafePointer(to: quantized.view) { $0.pointee }
        pool.run(tasks) { task, _ in
            var x = activations
            linear(
                weights.viewPointer, &x, out.pointer, Int64(out.width), Int32(blocks * task / tasks),
                Int32(blocks * (task + 1) / tasks))
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
        table.add(x.pointer, y.pointer, Int64(x.rows * x.width))
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

    /// Stores a segment's new keys and values, then attends: query rows [tokens, heads·headDim] over all positions of
    /// the sequence up to each query's own.
    /// - Parameter pattern: where to write the probabilities [heads, tokens, positions], or nil.
    func attend(
        queries: Rows, keys: Rows, values: Rows, into out: Rows, cache: KVCache, layer: Int, pages: [Int32],
        firstPosition: Int, heads: Int, pattern: UnsafeMutablePointer<Float>?
    ) {
        let tokens = queries.rows
        let positions = firstPosition + tokens
        let pageCount = (positions + KVCache.pagePositions - 1) / KVCache.pagePositions
        keyPages.removeAll(keepingCapacity: true)
        valuePages.removeAll(keepingCapacity: true)
        for page in pages.prefix(pageCount) {
            keyPages.append(cache.keys(page: Int(page), layer: layer))
            valuePages.append(cache.values(page: Int(page), layer: layer))
        }
        let type = cache.precision == .fp16 ? QK_CACHE_F16 : QK_CACHE_F32
        let scratchCount = table.attention_scratch(
            Int32(positions), Int32(heads), Int32(cache.kvHeads), Int32(cache.headDim))
        if attentionScratch[0].count < scratchCount {
            // Room for the next pages too: the scratch grows by doubling, not with every token.
            attentionScratch = attentionScratch.map { _ in AlignedBuffer(count: scratchCount * 2) }
        }
        keyPages.withUnsafeBufferPointer { keyPages in
            valuePages.withUnsafeBufferPointer { valuePages in
                table.store_kv(
                    keys.pointer, values.pointer, Int64(keys.width), Int32(tokens), Int32(firstPosition),
                    Int32(cache.kvHeads), Int32(cache.headDim), type, keyPages.baseAddress!, valuePages.baseAddress!)
                let attention = keyPages.withMemoryRebound(to: UnsafeRawPointer?.self) { keyPages in
                    valuePages.withMemoryRebound(to: UnsafeRawPointer?.self) { valuePages in
                        qk_attention(
                            tokens: Int32(tokens), first_position: Int32(firstPosition), heads: Int32(heads),
                            kv_heads: Int32(cache.kvHeads), head_dim: Int32(cache.headDim),
                            scale: 1 / Float(cache.headDim).squareRoot(), type: type,
                            q: queries.pointer, q_stride: Int64(queries.width),
                            key_pages: keyPages.baseAddress!, value_pages: valuePages.baseAddress!,
                            out: out.pointer, out_stride: Int64(out.width),
                            pattern: pattern, pattern_stride: Int64(positions))
                    }
                }
                let tokenBlock = 16
                let tokenTasks = (tokens + tokenBlock - 1) / tokenBlock
                let attend = table.attend!
                pool.run(tokenTasks * cache.kvHeads) { task, worker in
                    var attention = attention
                    // The longest queries first: they take the most time.
                    let block = tokenTasks - 1 - task / cache.kvHeads
                    let head = Int32(task % cache.kvHeads)
                    attend(
                        &attention, self.attentionScratch[worker].pointer, Int32(block * tokenBlock),
                        Int32(min(tokens, (block + 1) * tokenBlock)), head, head + 1)
                }
            }
        }
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
