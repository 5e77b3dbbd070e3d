import CKernels

/// The rows of one sequence in a batch, and where the sequence's keys and values are.
struct AttentionSegment {
    /// Its rows in the batch: consecutive positions.
    var rows: Range<Int>
    /// The position of its first row.
    var firstPosition: Int
    /// Pages of its KV cache, in order of position.
    var pages: [Int32]
    /// Where to write the probabilities [heads, rows, positions], or nil.
    var pattern: UnsafeMutablePointer<Float>?

    var positions: Int { firstPosition + rows.count }
}

/// Attention of a whole batch as one list of tasks, in memory that grows and stays. A stage's own.
struct AttentionScratch {
    /// A range of queries and KV heads of one segment.
    private struct Task {
        var segment: Int
        var tokens: Range<Int32>
        var heads: Range<Int32>
    }

    /// Of each worker: scores.
    private var scores: [AlignedBuffer<Float>]
    private var keyPages: [UnsafeMutableRawPointer?] = []
    private var valuePages: [UnsafeMutableRawPointer?] = []
    /// Where each segment's pages begin in the lists above.
    private var firstPages: [Int] = []
    private var calls: [qk_attention] = []
    private var tasks: [Task] = []

    init(threads: Int) { scores = (0..<threads).map { _ in AlignedBuffer(count: 0) } }

    /// Lays out a batch's calls and tasks; pages are filled in by `store` and `attend`.
    mutating func prepare(
        _ segments: [AttentionSegment], queries: Rows, into out: Rows, cache: KVCache, layer: Int, heads: Int,
        _ table: qk_kernels, threads: Int
    ) {
        keyPages.removeAll(keepingCapacity: true)
        valuePages.removeAll(keepingCapacity: true)
        firstPages.removeAll(keepingCapacity: true)
        calls.removeAll(keepingCapacity: true)
        tasks.removeAll(keepingCapacity: true)
        var longest = 0
        for (index, segment) in segments.enumerated() {
            firstPages.append(keyPages.count)
            for page in segment.pages.prefix((segment.positions + KVCache.pagePositions - 1) / KVCache.pagePositions) {
                keyPages.append(cache.keys(page: Int(page), layer: layer))
                valuePages.append(cache.values(page: Int(page), layer: layer))
            }
            calls.append(
                qk_attention(
                    tokens: Int32(segment.rows.count), first_position: Int32(segment.firstPosition),
                    heads: Int32(heads), kv_heads: Int32(cache.kvHeads), head_dim: Int32(cache.headDim),
                    scale: 1 / Float(cache.headDim).squareRoot(),
                    type: cache.precision == .fp16 ? QK_CACHE_F16 : QK_CACHE_F32,
                    q: UnsafePointer(queries[segment.rows.lowerBound]), q_stride: Int64(queries.width),
                    key_pages: nil, value_pages: nil, out: out[segment.rows.lowerBound], out_stride: Int64(out.width),
                    pattern: segment.pattern, pattern_stride: Int64(segment.positions)))
            longest = max(longest, segment.positions)
            addTasks(
                index, tokens: Int32(segment.rows.count), kvHeads: Int32(cache.kvHeads), of: segments.count, threads)
        }
        let count = table.attention_scratch(
            Int32(longest), Int32(heads), Int32(cache.kvHeads), Int32(cache.headDim))
        if scores[0].count < count {
            // Room for the next pages too: the scratch grows by doubling, not with every token.
            scores = scores.map { _ in AlignedBuffer(count: count * 2) }
        }
    }

    /// Blocks of 16 queries and one KV head each, or a whole segment where there are many small ones.
    private mutating func addTasks(_ segment: Int, tokens: Int32, kvHeads: Int32, of segments: Int, _ threads: Int) {
        guard tokens > 1 || segments < 2 * threads else {
            return tasks.append(Task(segment: segment, tokens: 0..<tokens, heads: 0..<kvHeads))
        }
        // The longest queries first: they take the most time.
        for begin in stride(from: 0, to: tokens, by: 16).reversed() {
            for head in 0..<kvHeads {
                tasks.append(Task(segment: segment, tokens: begin..<min(tokens, begin + 16), heads: head..<head + 1))
            }
        }
    }

    /// Writes the segments' keys and values at their positions.
    func store(
        _ segments: [AttentionSegment], keys: Rows, values: Rows, cache: KVCache, _ table: qk_kernels,
        _ pool: ThreadPool
    ) {
        let store = table.store_kv!
        keyPages.withUnsafeBufferPointer { keyPages in
            valuePages.withUnsafeBufferPointer { valuePages in
                func write(_ index: Int) {
                    let segment = segments[index]
                    let page = firstPages[index]
                    store(
                        keys[segment.rows.lowerBound], values[segment.rows.lowerBound], Int64(keys.width),
                        Int32(segment.rows.count), Int32(segment.firstPosition), Int32(cache.kvHeads),
                        Int32(cache.headDim), calls[index].type, keyPages.baseAddress! + page,
                        valuePages.baseAddress! + page)
                }
                if segments.count < 4 {
                    for index in segments.indices { write(index) }
                } else {
                    pool.run(segments.count) { index, _ in write(index) }
                }
            }
        }
    }

    func attend(_ table: qk_kernels, _ pool: ThreadPool) {
        let attend = table.attend!
        keyPages.withUnsafeBufferPointer { keyPages in
            valuePages.withUnsafeBufferPointer { valuePages in
                let keys = UnsafeRawPointer(keyPages.baseAddress!).assumingMemoryBound(to: UnsafeRawPointer?.self)
                let values = UnsafeRawPointer(valuePages.baseAddress!).assumingMemoryBound(to: UnsafeRawPointer?.self)
                pool.run(tasks.count) { index, worker in
                    let task = tasks[index]
                    var call = calls[task.segment]
                    call.key_pages = keys + firstPages[task.segment]
                    call.value_pages = values + firstPages[task.segment]
                    attend(
                        &call, scores[worker].pointer, task.tokens.lowerBound, task.tokens.upperBound,
                        task.heads.lowerBound, task.heads.upperBound)
                }
            }
        }
    }
}
