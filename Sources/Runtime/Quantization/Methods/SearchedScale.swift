/// Each group's scale is searched, not taken from its extremes (`ScaleSearch`); weights are rounded to nearest.
///
/// Without importance this is `mse`: the plain squared error of the weights. With the columns' importance, the mean
/// squares of their inputs on calibration text, it is `imatrix`: the squared error of the outputs, as far as inputs are
/// uncorrelated.
public struct SearchedScale: RoundingMethod {
    /// Of each module, [columns].
    private let importance: [String: [Float]]?

    public init() { importance = nil }
    public init(importance: [String: [Float]]) { self.importance = importance }

    public var name: String { importance == nil ? "mse" : "imatrix" }
    public var observer: String { importance == nil ? "mse" : "imatrix" }

    /// - Throws: `QuantizationError.notCalibrated` for a layer without importance.
    public func prepare(_ layer: LayerContext) throws -> any BlockQuantizer {
        if let importance {
            guard let columns = importance[layer.module], columns.count == layer.columns else {
                throw QuantizationError.notCalibrated(place: layer.module, method: name)
            }
            return SearchedBlocks(search: ScaleSearch(scheme: layer.scheme, dtype: layer.dtype, importance: columns))
        }
        return SearchedBlocks(search: ScaleSearch(scheme: layer.scheme, dtype: layer.dtype, importance: nil))
    }
}

private struct SearchedBlocks: BlockQuantizer {
    let search: ScaleSearch

    func quantize(_ weights: WeightBlock, into result: QuantizedBlock) {
        let size = search.scheme.groupSize ?? weights.columns
        let groups = search.scheme.groups(columns: weights.columns)
        guard let values = weights.values.baseAddress else { return }
        for row in 0..<weights.rows {
            for group in 0..<groups {
                let start = row * weights.columns + group * size
                let count = min(size, weights.columns - group * size)
                let choice = search.best(values + start, count, column: group * size)
                result.scales[row * groups + group] = choice.scale
                result.zeroPoints[row * groups + group] = Int8(choice.zeroPoint)
                for i in start..<start + count { result.quants[i] = Int8(search.quantized(values[i], choice)) }
            }
        }
    }
}
