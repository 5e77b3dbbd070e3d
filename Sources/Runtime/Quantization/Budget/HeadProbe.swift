import Foundation
import Synchronization

/// The end of the model on trial: logits, their divergence, and what quantizing embedding and head does.
struct HeadProbe {
    private let checkpoint: Checkpoint
    private let runner: LayerRunner
    private let norm: AlignedBuffer<Float>
    private let head: Linear
    private var model: ModelConfiguration { checkpoint.configuration }

    init(checkpoint: Checkpoint, runner: LayerRunner) throws {
        self.checkpoint = checkpoint
        self.runner = runner
        let layers = checkpoint.configuration.layers
        let weights = try DecoderWeights(
            checkpoint, range: layers..<layers, precision: .fp32, compute: runner.compute)
        guard let norm = weights.finalNorm, let head = weights.head else { preconditionFailure("the last stage") }
        self.norm = norm
        self.head = head
    }

    /// [tokens, vocabulary]
    func logits(_ x: OwnedRows) -> OwnedRows { logits(x, head) }

    private func logits(_ x: OwnedRows, _ head: Linear) -> OwnedRows {
        runner.apply(head, runner.normed(x, norm))
    }

    /// Mean KL of the logits of stream x from the reference's.
    func divergence(of x: OwnedRows, from reference: OwnedRows) -> Double { divergence(logits(x), reference) }

    private func divergence(_ logits: OwnedRows, _ reference: OwnedRows) -> Double {
        defer { withExtendedLifetime((logits, reference)) {} }
        let rows = reference.rows
        let sums = AlignedBuffer<Double>(count: rows.rows)
        runner.compute.pool.run(rows.rows) { row, _ in
            let divergence = TokenDivergence(
                reference: UnsafeBufferPointer(start: rows[row], count: rows.width),
                candidate: UnsafeBufferPointer(start: logits.rows[row], count: rows.width), next: 0)
            sums.pointer[row] = divergence?.divergence ?? .infinity
        }
        return sums.buffer.reduce(0, +) / Double(rows.rows)
    }

    /// Sensitivity of embedding and head: of both at once where they are tied.
    /// - Parameter embedded: streams behind the last layer, of a quantized embedding each.
    func ends(
        _ prober: SetProbe, _ x: OwnedRows, _ embedded: [(scheme: QuantizationScheme, stream: OwnedRows)],
        _ reference: OwnedRows
    ) throws -> [Sensitivities.Entry] {
        let layer = model.tiedEmbeddings ? model.embedding : model.head
        func quantized(_ scheme: QuantizationScheme) throws -> Linear {
            let packed = try prober.byWeights(layer, scheme)
            let restored = AlignedBuffer<Float>(count: layer.rows * layer.columns)
            runner.compute.pool.run(layer.rows) { row, _ in
                packed.restore(row: row, into: restored.pointer + row * layer.columns)
            }
            return Linear(inputs: head.inputs, outputs: head.outputs, weights: .dense(restored), bias: head.bias)
        }
        func entry(_ module: String, _ divergence: (Int) throws -> Double) rethrows -> Sensitivities.Entry {
            Sensitivities.Entry(
                modules: [module],
                choices: try embedded.indices.map {
                    .init(scheme: embedded[$0].scheme, outputError: 0, divergence: try divergence($0))
                })
        }
        if model.tiedEmbeddings {
            return [
                try entry(layer.module) {
                    let head = try quantized(embedded[$0].scheme)
                    return divergence(logits(embedded[$0].stream, head), reference)
                }
            ]
        }
        return [
            entry(model.embedding.module) { divergence(of: embedded[$0].stream, from: reference) },
            try entry(layer.module) {
                divergence(logits(x, try quantized(embedded[$0].scheme)), reference)
            },
        ]
    }
}
