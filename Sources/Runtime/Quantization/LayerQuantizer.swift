import Dispatch

/// What one layer's weight becomes, in the file's layout.
struct QuantizedLayer: Sendable {
    let context: LayerContext
    /// [rows, words of a row], little-endian
    let words: [UInt32]
    /// [rows, groups], representable in the layer's dtype
    let scales: [Float]
    /// Signed, [rows, groups]; zeros when symmetric
    let zeroPoints: [Int8]
    /// Σ w² and Σ (w − ŵ)², ŵ as a reader dequantizes it in the layer's dtype.
    let signal, noise: Double
}

/// Quantizes one layer: blocks of rows are converted to fp32, checked, rounded by the method, packed and measured. The
/// result does not depend on how the blocks are divided between threads.
struct LayerQuantizer {
    let context: LayerContext
    let blocks: any BlockQuantizer
    /// For messages.
    let place: String
    private let blockRows: Int
    private let pool: ThreadPool?

    /// Values of a block: small enough for a core's own cache, large enough to be worth a call.
    private static let blockValues = 1 << 15

    /// - Parameter pool: whose threads do the work; nil takes all cores.
    init(_ context: LayerContext, method: any RoundingMethod, place: String, pool: ThreadPool? = nil) throws {
        guard context.dtype.isSupportedFloat else {
            throw QuantizationError.dtype(
                place: place, tensor: context.module + ".weight", dtype: context.dtype.rawValue)
        }
        self.context = context
        self.place = place
        self.pool = pool
        blocks = try method.prepare(context)
        blockRows = blocks.preferredRows ?? max(1, Self.blockValues / max(1, context.columns))
    }

    /// - Parameter source: W [rows, columns] in the layer's dtype, at any address.
    /// - Throws: QuantizationError.notFinite, .scaleOverflow
    func quantize(_ source: UnsafeRawBufferPointer) throws -> QuantizedLayer {
        switch context.dtype {
        case .f16: try quantize(source, nil, Float16Format.self)
        case .bf16: try quantize(source, nil, BFloat16Format.self)
        default: try quantize(source, nil, Float32Format.self)
        }
    }

    /// As above, for weights [rows, columns] that have left the checkpoint's dtype; scales are still stored in it.
    /// - Throws: QuantizationError.weightsOverflow where these are not finite, .scaleOverflow
    func quantize(_ values: UnsafeBufferPointer<Float>) throws -> QuantizedLayer {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        return switch context.dtype {
        case .f16: try quantize(none, values, Float16Format.self)
        case .bf16: try quantize(none, values, BFloat16Format.self)
        default: try quantize(none, values, Float32Format.self)
        }
    }

    /// What a block leaves besides its values.
    private struct Outcome {
        var signal = 0.0
        var noise = 0.0
        var notFinite = 0
        var firstNotFinite: Int?
        var overflow: Int?
    }

    private func quantize<F: FloatFormat>(
        _ source: UnsafeRawBufferPointer, _ plain: UnsafeBufferPointer<Float>?, _: F.Type
    ) throws -> QuantizedLayer {
        let scheme = context.scheme
        let (rows, columns) = (context.rows, context.columns)
        precondition(
            plain.map { $0.count == rows * columns } ?? (source.count == rows * columns * F.bytes),
            "W is [\(rows), \(columns)]")
        let groups = scheme.groups(columns: columns)
        let rowWords = scheme.words(columns)
        let count = (rows + blockRows - 1) / blockRows
        var words = [UInt32](repeating: 0, count: rows * rowWords)
        var scales = [Float](repeating: 0, count: rows * groups)
        var zeroPoints = [Int8](repeating: 0, count: rows * groups)
        var outcomes = [Outcome](repeating: Outcome(), count: count)
        words.withUnsafeMutableBufferPointer { words in
            scales.withUnsafeMutableBufferPointer { scales in
                zeroPoints.withUnsafeMutableBufferPointer { zeroPoints in
                    outcomes.withUnsafeMutableBufferPointer { outcomes in
                        // Blocks write disjoint slices, each its own.
                        nonisolated(unsafe) let (words, scales, zeroPoints) = (words, scales, zeroPoints)
                        nonisolated(unsafe) let (outcomes, source, plain) = (outcomes, source, plain)
                        each(count) { index in
                            let first = index * blockRows
                            let last = min(rows, first + blockRows)
                            outcomes[index] = block(
                                F.self, source, plain, firstRow: first, rows: last - first,
                                into: UnsafeMutableBufferPointer(rebasing: words[first * rowWords..<last * rowWords]),
                                UnsafeMutableBufferPointer(rebasing: scales[first * groups..<last * groups]),
                                UnsafeMutableBufferPointer(rebasing: zeroPoints[first * groups..<last * groups]))
                        }
                    }
                }
            }
        }
        try refuse(outcomes, groups: groups, source, plain, F.self)
        return QuantizedLayer(
            context: context, words: words, scales: scales, zeroPoints: zeroPoints,
            signal: outcomes.reduce(0) { $0 + $1.signal }, noise: outcomes.reduce(0) { $0 + $1.noise })
    }

    /// Runs `body` for 0..<count, several at a time.
    private func each(_ count: Int, _ body: @Sendable (Int) -> Void) {
        if let pool {
            pool.run(count) { index, _ in body(index) }
        } else {
            DispatchQueue.concurrentPerform(iterations: count, execute: body)
        }
    }

    private func block<F: FloatFormat>(
        _: F.Type, _ source: UnsafeRawBufferPointer, _ plain: UnsafeBufferPointer<Float>?, firstRow: Int, rows: Int,
        into words: UnsafeMutableBufferPointer<UInt32>, _ scales: UnsafeMutableBufferPointer<Float>,
        _ zeroPoints: UnsafeMutableBufferPointer<Int8>
    ) -> Outcome {
        let columns = context.columns
        let count = rows * columns
        var outcome = Outcome()
        withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { values in
            withUnsafeTemporaryAllocation(of: Int8.self, capacity: count) { quants in
                let found: (count: Int, first: Int)
                if let plain {
                    let part = UnsafeRawBufferPointer(
                        UnsafeBufferPointer(rebasing: plain[firstRow * columns..<(firstRow + rows) * columns]))
                    found = FiniteConversion.convert(Float32Format.self, part, into: values)
                } else {
                    let part = UnsafeRawBufferPointer(
                        rebasing: source[firstRow * columns * F.bytes..<(firstRow + rows) * columns * F.bytes])
                    found = FiniteConversion.convert(F.self, part, into: values)
                }
                if found.count > 0 {
                    outcome.notFinite = found.count
                    outcome.firstNotFinite = firstRow * columns + found.first
                    return
                }
                let block = WeightBlock(
                    values: UnsafeBufferPointer(values), firstRow: firstRow, rows: rows, columns: columns)
                blocks.quantize(block, into: QuantizedBlock(quants: quants, scales: scales, zeroPoints: zeroPoints))
                if let bad = scales.firstIndex(where: { !$0.isFinite }) {
                    outcome.overflow = firstRow * context.scheme.groups(columns: columns) + bad
                    return
                }
                let rowWords = context.scheme.words(columns)
                for row in 0..<rows {
                    Packing.pack(
                        UnsafeBufferPointer(rebasing: quants[row * columns..<(row + 1) * columns]),
                        bits: context.scheme.bits,
                        into: UnsafeMutableBufferPointer(rebasing: words[row * rowWords..<(row + 1) * rowWords]))
                }
                (outcome.signal, outcome.noise) = Dequantization.error(
                    F.self, block, QuantizedBlock(quants: quants, scales: scales, zeroPoints: zeroPoints),
                    context.scheme)
            }
        }
        return outcome
    }

    private func refuse<F: FloatFormat>(
        _ outcomes: [Outcome], groups: Int, _ source: UnsafeRawBufferPointer, _ plain: UnsafeBufferPointer<Float>?,
        _: F.Type
    ) throws {
        let tensor = context.module + ".weight"
        if let index = outcomes.lazy.compactMap(\.firstNotFinite).first {
            let count = outcomes.reduce(0) { $0 + $1.notFinite }
            // The checkpoint's own were finite when they were read.
            if plain != nil { throw QuantizationError.weightsOverflow(place: place, tensor: tensor, count: count) }
            let value = F.load(source.baseAddress! + index * F.bytes)
            throw QuantizationError.notFinite(
                place: place, tensor: tensor, value: value.isNaN ? "NaN" : "\(value)",
                index: [index / context.columns, index % context.columns], count: count)
        }
        if let index = outcomes.lazy.compactMap(\.overflow).first {
            throw QuantizationError.scaleOverflow(
                place: place, tensor: tensor, dtype: context.dtype.rawValue, row: index / groups, group: index % groups)
        }
    }
}
