import Foundation

extension Sensitivities {
    public struct Options: Sendable {
        /// Tokens over which KL is measured.
        public var tokens = 512
        public var symmetric = true
        public var threads: Int?

        public init() {}
    }

    /// Runs the calibration text through the full model layer by layer, and beside it one copy of the stream for each
    /// set of layers that is quantized alone; their logits are compared at the end. Memory holds one layer and the
    /// streams.
    ///
    /// - Throws: `CheckpointError`, `QuantizationError`, both naming the layer: weights that are not finite, or that make
    ///   what is computed with them so.
    public static func measure(
        _ checkpoint: Checkpoint, calibration: CalibrationSet, options: Options = Options(),
        progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws -> Sensitivities {
        try checkpoint.validate()
        let model = checkpoint.configuration
        let compute = Compute(
            kernels: try KernelSet.select(nil),
            threads: options.threads ?? ProcessInfo.processInfo.activeProcessorCount)
        let windows = calibration.prefix(tokens: options.tokens)
        let runner = try LayerRunner(model, windows: windows, compute: compute)
        let prober = SetProbe(checkpoint: checkpoint, compute: compute, symmetric: options.symmetric)
        let table = try EmbeddingTable(checkpoint, kernels: compute.kernels)
        var x = try runner.embedded(table)
        try x.refuseOverflow("outputs", of: model.embedding)

        /// A stream in which one set is quantized.
        struct Branch {
            let modules: [String]
            let errors: [(scheme: QuantizationScheme, error: Double)]
            let stream: OwnedRows
        }
        var branches: [Branch] = []
        // The embedding by each scheme, from the first layer on.
        let embedded = try prober.schemes(columns: model.hidden).map { scheme in
            let table = EmbeddingTable(try prober.embedding(scheme), kernels: compute.kernels)
            return (scheme: scheme, stream: try runner.embedded(table))
        }
        let total = model.layers
        for index in 0..<model.layers {
            let exact = try DecoderWeights(checkpoint, range: index..<index + 1, precision: .fp32, compute: compute)
                .layers[0]
            let layers = model.linearLayers(index)
            // Those that are quantized already go on through the full layer.
            for stream in branches.map(\.stream) + embedded.map(\.stream) { runner.forward(stream, exact) }
            let full = try prober.forward(runner, x, exact, layers)
            for slot in CalibrationWalk.Slot.allCases {
                let moments = full.inputs[slot.rawValue]
                let set = slot.places.map { (layers[$0], exact.linears[$0]) }
                let errors = try prober.errors(set, moments: moments)
                guard let probe = errors.first else { continue }
                var changed = exact
                for place in slot.places {
                    changed.replace(
                        place, try prober.quantized(layers[place], exact.linears[place], probe.scheme, moments))
                }
                let stream = OwnedRows(copying: x.rows)
                runner.forward(stream, changed)
                branches.append(Branch(modules: set.map(\.0.module), errors: errors, stream: stream))
            }
            x = full.output
            progress(index + 1, total)
        }

        let head = try HeadProbe(checkpoint: checkpoint, runner: runner)
        let reference = head.logits(x)
        try reference.refuseOverflow("outputs", of: model.tiedEmbeddings ? model.embedding : model.head)
        var entries: [Entry] = []
        for branch in branches {
            let divergence = head.divergence(of: branch.stream, from: reference)
            let probe = branch.errors[0].error
            entries.append(
                Entry(
                    modules: branch.modules,
                    choices: branch.errors.map {
                        Choice(
                            scheme: $0.scheme, outputError: $0.error,
                            divergence: probe > 0 ? divergence * $0.error / probe : 0)
                    }))
        }
        // No group divides the columns of some: of them nothing is known.
        entries += try head.ends(prober, x, embedded, reference).filter { !$0.choices.isEmpty }
        return try Sensitivities(
            entries: entries, sourceDigest: checkpoint.digest(), calibration: calibration,
            tokens: windows.reduce(0) { $0 + $1.count }, wantedTokens: options.tokens, method: "imatrix")
    }
}

extension DecoderLayer {
    /// - Parameter place: in the order of `linears`.
    mutating func replace(_ place: Int, _ linear: Linear) {
        switch place {
        case 0: query = linear
        case 1: key = linear
        case 2: value = linear
        case 3: output = linear
        case 4: gate = linear
        case 5: up = linear
        default: down = linear
        }
    }
}

/// Quantizes sets of layers on trial.
struct SetProbe {
    let checkpoint: Checkpoint
    let compute: Compute
    let symmetric: Bool

    /// The schemes that a set may have, the coarsest first: it is the probe.
    func schemes(columns: Int) -> [QuantizationScheme] {
        [(4, 128), (4, 64), (4, 32), (8, 128), (8, 64), (8, 32)].map {
            QuantizationScheme(bits: $0.0, symmetric: symmetric || $0.0 == 8, groupSize: $0.1)
        }.filter { $0.divides(columns: columns) }
    }

    /// A layer of the full model, whose products are `layers`: second moments of each slot's inputs, and x behind it.
    /// - Throws: `QuantizationError.activationsOverflow`
    func forward(
        _ runner: LayerRunner, _ x: OwnedRows, _ exact: DecoderLayer, _ layers: [LinearLayer]
    ) throws -> (inputs: [SecondMoments], output: OwnedRows) {
        var inputs: [SecondMoments] = []
        /// The outputs of a slot's products on x.
        func products(_ slot: CalibrationWalk.Slot, _ x: OwnedRows) throws -> [OwnedRows] {
            inputs.append(try SecondMoments(of: x, reaching: layers[slot.places.lowerBound], pool: compute.pool))
            return try slot.places.map { place in
                let y = runner.apply(exact.linears[place], x)
                try y.refuseOverflow("outputs", of: layers[place])
                return y
            }
        }
        let stream = OwnedRows(copying: x.rows)
        let heads = try products(.attention, runner.normed(x, exact.attentionNorm))
        let output = try products(.output, runner.attended(heads[0], heads[1], heads[2]))
        runner.add(output[0], to: stream)
        let gates = try products(.mlp, runner.normed(stream, exact.mlpNorm))
        let down = try products(.down, runner.gated(gates[0], gates[1]))
        runner.add(down[0], to: stream)
        return (inputs, stream)
    }

    func embedding(_ scheme: QuantizationScheme) throws -> PackedWeight {
        try byWeights(checkpoint.configuration.embedding, scheme)
    }

    /// Embedding or head by their weights alone.
    func byWeights(_ layer: LinearLayer, _ scheme: QuantizationScheme) throws -> PackedWeight {
        let context = LayerContext(
            module: layer.module, rows: layer.rows, columns: layer.columns,
            dtype: try checkpoint.info(layer.weight).dtype, scheme: scheme)
        let quantizer = try LayerQuantizer(
            context, method: SearchedScale(), place: checkpoint.directory.path, pool: compute.pool)
        return PackedWeight(try checkpoint.withBytes(layer.weight) { try quantizer.quantize($0) })
    }

    private func packed(
        _ layer: LinearLayer, _ linear: Linear, _ scheme: QuantizationScheme, _ moments: SecondMoments
    ) throws -> PackedWeight {
        guard case .dense(let dense) = linear.weights else { preconditionFailure("full weights") }
        let context = LayerContext(
            module: layer.module, rows: layer.rows, columns: layer.columns,
            dtype: try checkpoint.info(layer.weight).dtype,
            scheme: scheme)
        let method = SearchedScale(importance: [layer.module: moments.diagonal])
        return PackedWeight(
            try LayerQuantizer(context, method: method, place: checkpoint.directory.path, pool: compute.pool)
                .quantize(UnsafeBufferPointer(dense.buffer)))
    }

    func quantized(
        _ layer: LinearLayer, _ linear: Linear, _ scheme: QuantizationScheme, _ moments: SecondMoments
    ) throws -> Linear {
        let packed = try packed(layer, linear, scheme, moments)
        let dense = AlignedBuffer<Float>(count: layer.rows * layer.columns)
        compute.pool.run(layer.rows) { row, _ in packed.restore(row: row, into: dense.pointer + row * layer.columns) }
        return Linear(inputs: linear.inputs, outputs: linear.outputs, weights: .dense(dense), bias: linear.bias)
    }

    /// The relative error of a set's outputs by each scheme.
    func errors(
        _ set: [(layer: LinearLayer, linear: Linear)], moments: SecondMoments
    ) throws -> [(scheme: QuantizationScheme, error: Double)] {
        try schemes(columns: moments.columns).map { scheme in
            var (signal, noise) = (0.0, 0.0)
            for (layer, linear) in set {
                guard case .dense(let dense) = linear.weights else { preconditionFailure("full weights") }
                let packed = try packed(layer, linear, scheme, moments)
                let error = OwnedRows(layer.rows, width: layer.columns)
                compute.pool.run(layer.rows) { row, _ in
                    packed.restore(row: row, into: error.rows[row])
                    for i in 0..<layer.columns { error.rows[row][i] -= dense.pointer[row * layer.columns + i] }
                }
                noise += moments.quadraticForm(error, pool: compute.pool)
                signal += moments.quadraticForm(
                    view: Rows(dense.pointer, rows: layer.rows, width: layer.columns), pool: compute.pool)
            }
            return (scheme, signal > 0 ? noise / signal : 0)
        }
    }
}
