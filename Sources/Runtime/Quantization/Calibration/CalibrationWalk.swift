/// Takes the calibration through the model layer by layer, twice: as the full model computes it, and as the layers
/// quantized so far do. Each product is quantized on the inputs that it will really get, and the products behind it see
/// what became of it, within a layer too. Memory holds one layer and the tokens' rows.
final class CalibrationWalk {
    /// The products of a layer that read the same input.
    enum Slot: Int, CaseIterable {
        case attention, output, mlp, down

        /// Their places in `ModelConfiguration.linearLayers`.
        var places: Range<Int> {
            switch self {
            case .attention: 0..<3
            case .output: 3..<4
            case .mlp: 4..<6
            case .down: 6..<7
            }
        }
    }

    /// What the products of a slot read.
    struct Input {
        let slot: Slot
        /// [tokens, inputs], behind the quantized layers.
        let rows: OwnedRows
        /// [tokens, inputs], in the full model.
        let reference: OwnedRows
        /// Before `output` and `down`, which add to the residual stream: what the full model's stream has more,
        /// [tokens, hidden].
        let gap: OwnedRows?
    }

    let runner: LayerRunner
    private let x: OwnedRows
    private let reference: OwnedRows

    /// - Parameter embedding: the quantized one, where it is.
    /// - Throws: `QuantizationError.activationsOverflow`, and what reading an embedding throws.
    init(_ runner: LayerRunner, reference: EmbeddingTable, embedding: EmbeddingTable?) throws {
        self.runner = runner
        self.reference = try runner.embedded(reference)
        x = try embedding.map(runner.embedded) ?? OwnedRows(copying: self.reference.rows)
        try self.reference.refuseOverflow("outputs", of: runner.model.embedding)
    }

    /// One layer, whose products are `layers`. `quantize` gets the input of each slot and returns its products, quantized,
    /// in order. The full model goes ahead: where it overflows, that is said before anything is quantized on it.
    /// - Throws: `QuantizationError.activationsOverflow`, and what `quantize` throws.
    func step(_ exact: DecoderLayer, _ layers: [LinearLayer], quantize: (Input) throws -> [Linear]) throws {
        func outputs(_ slot: Slot, of r: OwnedRows) throws -> [OwnedRows] {
            try slot.places.map { place in
                let y = runner.apply(exact.linears[place], r)
                try y.refuseOverflow("outputs", of: layers[place])
                return y
            }
        }
        var (n, r) = (runner.normed(x, exact.attentionNorm), runner.normed(reference, exact.attentionNorm))
        var next = try attended(outputs(.attention, of: r))
        let attention = try quantize(Input(slot: .attention, rows: n, reference: r, gap: nil))
        n = attended(attention.map { runner.apply($0, n) })
        r = next
        next = try outputs(.output, of: r)[0]
        let output = try quantize(Input(slot: .output, rows: n, reference: r, gap: gap()))
        runner.add(runner.apply(output[0], n), to: x)
        runner.add(next, to: reference)

        (n, r) = (runner.normed(x, exact.mlpNorm), runner.normed(reference, exact.mlpNorm))
        next = try gated(outputs(.mlp, of: r))
        let mlp = try quantize(Input(slot: .mlp, rows: n, reference: r, gap: nil))
        n = gated(mlp.map { runner.apply($0, n) })
        r = next
        next = try outputs(.down, of: r)[0]
        let down = try quantize(Input(slot: .down, rows: n, reference: r, gap: gap()))
        runner.add(runner.apply(down[0], n), to: x)
        runner.add(next, to: reference)
    }

    /// What the head reads behind the quantized layers, [tokens, hidden].
    func output(_ norm: AlignedBuffer<Float>) -> OwnedRows { runner.normed(x, norm) }

    /// - Parameter products: queries, keys and values.
    private func attended(_ products: [OwnedRows]) -> OwnedRows {
        runner.attended(products[0], products[1], products[2])
    }

    /// - Parameter products: of gate and up.
    private func gated(_ products: [OwnedRows]) -> OwnedRows { runner.gated(products[0], products[1]) }

    private func gap() -> OwnedRows {
        let gap = OwnedRows(copying: reference.rows)
        for i in 0..<gap.rows.values.count { gap.rows.pointer[i] -= x.rows.pointer[i] }
        return gap
    }
}

extension DecoderLayer {
    /// In the order of `ModelConfiguration.linearLayers`.
    var linears: [Linear] { [query, key, value, output, gate, up, down] }
}
