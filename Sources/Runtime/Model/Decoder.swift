/// A decoder-only transformer of the Llama family (Touvron et al. 2023; Qwen2 and Mistral differ in biases and sizes):
/// pre-normalised blocks with rotary grouped-query attention and a gated MLP. This is a stage's share of it: any range
/// of layers, with the embedding before the first and the head after the last.
final class Decoder {
    let weights: DecoderWeights
    let cache: KVCache
    private let model: ModelConfiguration
    private let compute: Compute
    private let rotary: RotaryTable
    private var scratch: Scratch
    /// Sees what passes, where a segment asks for a trace.
    var observer: (any EngineObserver)?

    init(_ model: ModelConfiguration, weights: DecoderWeights, cache: KVCache, compute: Compute) {
        self.model = model
        self.weights = weights
        self.cache = cache
        self.compute = compute
        rotary = RotaryTable(model.rope, headDim: model.headDim)
        scratch = Scratch(model)
    }

    /// Runs `body` for each of `count` things that do not depend on each other, on the stage's threads.
    func inParallel(_ count: Int, _ body: (Int) -> Void) { compute.pool.run(count) { index, _ in body(index) } }

    /// Processor seconds that the stage's threads have used.
    var cpuSeconds: Double { compute.pool.cpuSeconds }

    /// x [tokens, hidden]: the tokens' rows of the embedding table.
    func embed(_ batch: Batch, into x: Rows) throws {
        guard let embedding = weights.embedding else { preconditionFailure("only the first stage embeds") }
        for (row, token) in batch.tokens.enumerated() { try embedding.copyRow(Int(token), into: x[row]) }
        try observe(.embed, x, batch)
    }

    /// x [tokens, hidden] through this stage's layers, in place.
    func forward(_ x: Rows, _ batch: Batch) throws {
        rotary.reserve(Int(batch.positions.max() ?? 0) + 1)
        for (index, layer) in weights.layers.enumerated() {
            let number = weights.range.lowerBound + index
            try observe(.layer(number, .residPre), x, batch)

            let delta = scratch.delta(x.rows)
            try attention(x, layer, index, batch, into: delta)
            try observe(.layer(number, .attnOut), delta, batch)
            compute.add(x, delta)
            try observe(.layer(number, .residMid), x, batch)

            mlp(x, layer, batch, into: delta)
            try observe(.layer(number, .mlpOut), delta, batch)
            compute.add(x, delta)
            try observe(.layer(number, .residPost), x, batch)
        }
    }

    /// out = W_o · attention(rope(W_q·n), rope(W_k·n), W_v·n) with n = norm(x).
    private func attention(_ x: Rows, _ layer: DecoderLayer, _ index: Int, _ batch: Batch, into out: Rows) throws {
        let segments = batch.segments.map(\.rows)
        let normed = scratch.normed(x.rows)
        let q = scratch.queries(x.rows)
        let k = scratch.keys(x.rows)
        let v = scratch.values(x.rows)
        let attended = scratch.attended(x.rows)

        compute.rmsNorm(x, layer.attentionNorm, epsilon: model.rmsEpsilon, into: normed)
        var input = Compute.Input(normed, segments: segments)
        compute.apply(layer.query, layer.key, layer.value, to: &input, into: q, k, v)
        compute.rotate(q, headDim: model.headDim, positions: batch.positions, rotary)
        compute.rotate(k, headDim: model.headDim, positions: batch.positions, rotary)
        let patterns = batch.segments.map(patternBuffer)
        compute.attend(
            zip(batch.segments, patterns).map { segment, pattern in
                AttentionSegment(
                    rows: segment.rows, firstPosition: segment.firstPosition, pages: segment.pages,
                    pattern: pattern?.pointer)
            }, queries: q, keys: k, values: v, into: attended, cache: cache, layer: index, heads: model.heads)
        for (segment, pattern) in zip(batch.segments, patterns) { try observe(pattern, layer: index, segment) }
        var result = Compute.Input(attended, segments: segments)
        compute.apply(layer.output, to: &result, into: out)
    }

    /// out = W_down · (silu(W_gate·n) ⊙ W_up·n) with n = norm(x).
    private func mlp(_ x: Rows, _ layer: DecoderLayer, _ batch: Batch, into out: Rows) {
        let segments = batch.segments.map(\.rows)
        let normed = scratch.normed(x.rows)
        let gate = scratch.gate(x.rows)
        let up = scratch.up(x.rows)

        compute.rmsNorm(x, layer.mlpNorm, epsilon: model.rmsEpsilon, into: normed)
        var input = Compute.Input(normed, segments: segments)
        compute.apply(layer.gate, layer.up, to: &input, into: gate, up)
        compute.siluMultiply(gate, up)
        var product = Compute.Input(gate, segments: segments)
        compute.apply(layer.down, to: &product, into: out)
    }

    /// logits [wanted rows, vocabulary] of the given rows of x [tokens, hidden] alone: the head is the widest product.
    func logits(_ x: Rows, rows wanted: [Int], _ batch: Batch) throws -> Rows {
        guard let head = weights.head, let norm = weights.finalNorm else {
            preconditionFailure("only the last stage has the head")
        }
        let picked = scratch.delta(wanted.count)
        for (row, source) in wanted.enumerated() { picked[row].update(from: x[source], count: x.width) }
        let normed = scratch.normed(wanted.count)
        compute.rmsNorm(picked, norm, epsilon: model.rmsEpsilon, into: normed)
        // A row each: rows of different sequences must not meet in one dense product.
        var input = Compute.Input(normed, segments: wanted.indices.map { $0..<$0 + 1 })
        let logits = scratch.logits(wanted.count)
        compute.apply(head, to: &input, into: logits)
        return logits
    }

    // MARK: Observation

    /// Shows a traced segment's final norm, and the logits of all its rows where they are wanted.
    func observeHead(_ x: Rows, _ batch: Batch) throws {
        guard let observer, let head = weights.head, let norm = weights.finalNorm else { return }
        for segment in batch.segments where segment.traced {
            let normed = scratch.normed(segment.rows.count)
            compute.rmsNorm(x.slice(segment.rows), norm, epsilon: model.rmsEpsilon, into: normed)
            try observer.observe(
                .finalNorm, request: segment.request, startPosition: segment.firstPosition, rows: normed.rows,
                width: normed.width, values: normed.values)
            guard observer.wantsAllLogits else { continue }
            var input = Compute.Input(normed, segments: [0..<normed.rows])
            let logits = scratch.logits(normed.rows)
            compute.apply(head, to: &input, into: logits)
            try observer.observe(
                .logits, request: segment.request, startPosition: segment.firstPosition, rows: logits.rows,
                width: logits.width, values: logits.values)
        }
    }

    private func observe(_ point: TracePoint, _ x: Rows, _ batch: Batch) throws {
        guard let observer else { return }
        for segment in batch.segments where segment.traced {
            let rows = x.slice(segment.rows)
            try observer.observe(
                point, request: segment.request, startPosition: segment.firstPosition, rows: rows.rows,
                width: rows.width,
                values: rows.values)
        }
    }

    /// Memory for the attention pattern [heads, rows, positions] of a segment, where it is wanted.
    private func patternBuffer(_ segment: Batch.Segment) -> AlignedBuffer<Float>? {
        guard let observer, observer.wantsPatterns, segment.traced else { return nil }
        let keys = segment.firstPosition + segment.rows.count
        return AlignedBuffer(count: model.heads * segment.rows.count * keys)
    }

    private func observe(_ pattern: AlignedBuffer<Float>?, layer index: Int, _ segment: Batch.Segment) throws {
        guard let observer, let pattern else { return }
        try observer.observePattern(
            layer: weights.range.lowerBound + index, request: segment.request, startPosition: segment.firstPosition,
            rows: segment.rows.count, heads: model.heads, keys: segment.firstPosition + segment.rows.count,
            values: UnsafeBufferPointer(pattern.buffer))
    }
}

/// Room for a batch's intermediate rows; grows to the largest batch and stays.
private struct Scratch {
    var normed, delta, queries, keys, values, attended, gate, up, logits: ScratchRows

    init(_ model: ModelConfiguration) {
        normed = ScratchRows(width: model.hidden)
        delta = ScratchRows(width: model.hidden)
        queries = ScratchRows(width: model.heads * model.headDim)
        keys = ScratchRows(width: model.kvHeads * model.headDim)
        values = ScratchRows(width: model.kvHeads * model.headDim)
        attended = ScratchRows(width: model.heads * model.headDim)
        gate = ScratchRows(width: model.intermediate)
        up = ScratchRows(width: model.intermediate)
        logits = ScratchRows(width: model.vocabulary)
    }
}
