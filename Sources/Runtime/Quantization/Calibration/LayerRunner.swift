/// Rows with their memory, which lives as long as this does: a view of a passing value would outlive it, so the steps
/// below take owners and not views.
final class OwnedRows {
    private let buffer: AlignedBuffer<Float>
    let rows: Rows

    init(_ count: Int, width: Int) {
        buffer = AlignedBuffer(count: count * width)
        rows = Rows(buffer.pointer, rows: count, width: width)
    }

    convenience init(copying other: Rows) {
        self.init(other.rows, width: other.width)
        rows.pointer.update(from: other.pointer, count: other.rows * other.width)
    }

    /// - Parameter side: "inputs" or "outputs", which these are of `layer`.
    /// - Throws: `QuantizationError.activationsOverflow` where a row holds NaN or infinities, or so large values that the
    ///   sum of the squares of all rows might not be finite.
    func refuseOverflow(_ side: String, of layer: LinearLayer) throws {
        let count = rows.rows
        let overflowing = (0..<count).count(where: { row in
            !(dot(rows[row], rows[row], count: rows.width) * Float(count)).isFinite
        })
        guard overflowing == 0 else {
            throw QuantizationError.activationsOverflow(
                layer: layer.module, side: side, tokens: overflowing, of: count)
        }
    }
}

/// The steps of `Decoder.forward`, one at a time, over windows of tokens that all begin at position 0: what calibration
/// and comparison look into. Memory holds what the caller keeps, and keys and values of one layer.
final class LayerRunner {
    let model: ModelConfiguration
    let compute: Compute
    let batch: Batch
    private let segments: [Range<Int>]
    private let rotary: RotaryTable
    private let cache: KVCache

    init(_ model: ModelConfiguration, windows: [[Int32]], compute: Compute) throws {
        self.model = model
        self.compute = compute
        rotary = RotaryTable(model.rope, headDim: model.headDim)
        rotary.reserve(windows.map(\.count).max() ?? 0)
        var batch = Batch()
        var pages = 0
        for (index, window) in windows.enumerated() {
            let count = (window.count + KVCache.pagePositions - 1) / KVCache.pagePositions
            batch.append(
                sequence: index, tokens: window, firstPosition: 0, pages: (pages..<pages + count).map(Int32.init),
                readouts: [], request: "window", traced: false)
            pages += count
        }
        self.batch = batch
        segments = batch.segments.map(\.rows)
        cache = try KVCache(
            layers: 1, kvHeads: model.kvHeads, headDim: model.headDim, precision: .fp32, pages: pages)
    }

    /// [tokens, hidden]
    func embedded(_ table: EmbeddingTable) throws -> OwnedRows {
        let x = OwnedRows(batch.rows, width: model.hidden)
        for (row, token) in batch.tokens.enumerated() { try table.copyRow(Int(token), into: x.rows[row]) }
        return x
    }

    func normed(_ x: OwnedRows, _ norm: AlignedBuffer<Float>) -> OwnedRows {
        withExtendedLifetime(x) {
            let out = OwnedRows(x.rows.rows, width: x.rows.width)
            compute.rmsNorm(x.rows, norm, epsilon: model.rmsEpsilon, into: out.rows)
            return out
        }
    }

    func apply(_ layer: Linear, _ x: OwnedRows) -> OwnedRows {
        withExtendedLifetime(x) {
            let out = OwnedRows(x.rows.rows, width: layer.outputs)
            var input = Compute.Input(x.rows, segments: segments)
            compute.apply(layer, to: &input, into: out.rows)
            return out
        }
    }

    /// x += y
    func add(_ y: OwnedRows, to x: OwnedRows) {
        withExtendedLifetime((x, y)) { compute.add(x.rows, y.rows) }
    }

    /// softmax(rope(q)·rope(k)ᵀ)·v; rotates q and k in place.
    func attended(_ q: OwnedRows, _ k: OwnedRows, _ v: OwnedRows) -> OwnedRows {
        withExtendedLifetime((q, k, v)) {
            compute.rotate(q.rows, headDim: model.headDim, positions: batch.positions, rotary)
            compute.rotate(k.rows, headDim: model.headDim, positions: batch.positions, rotary)
            let out = OwnedRows(batch.rows, width: model.heads * model.headDim)
            compute.attend(
                batch.segments.map {
                    AttentionSegment(rows: $0.rows, firstPosition: $0.firstPosition, pages: $0.pages, pattern: nil)
                }, queries: q.rows, keys: k.rows, values: v.rows, into: out.rows, cache: cache, layer: 0,
                heads: model.heads)
            return out
        }
    }

    /// The attention of `layer` on n, before its output product.
    func attended(_ layer: DecoderLayer, _ n: OwnedRows) -> OwnedRows {
        attended(apply(layer.query, n), apply(layer.key, n), apply(layer.value, n))
    }

    /// gate becomes silu(gate) ⊙ up.
    func gated(_ gate: OwnedRows, _ up: OwnedRows) -> OwnedRows {
        withExtendedLifetime((gate, up)) { compute.siluMultiply(gate.rows, up.rows) }
        return gate
    }

    /// x through a whole layer, in place.
    func forward(_ x: OwnedRows, _ layer: DecoderLayer) {
        add(apply(layer.output, attended(layer, normed(x, layer.attentionNorm))), to: x)
        let m = normed(x, layer.mlpNorm)
        add(apply(layer.down, gated(apply(layer.gate, m), apply(layer.up, m))), to: x)
    }
}
