/// GPTQ (Frantar et al. 2022): columns are rounded one after the other, and what each loses is made good by the columns
/// still to come, by the inverse of the inputs' second moments. Columns of large inputs go first ("actorder"), but keep
/// their places and their groups, whose scales are searched beforehand.
///
/// Then, since the order of the columns is a matter of luck: each group's scale is fitted to the integers found, and
/// every integer is looked at once more with all others in place (coordinate descent; CDQuant, Nair and Suggala 2024).
/// Both only ever lower the error of the outputs on the calibration text.
public struct GPTQ: RoundingMethod {
    public struct Options: Sendable, Equatable {
        /// Added to the diagonal, as a share of its mean.
        public var damping: Float = 0.01
        /// Rounds of fitting scales and looking again.
        public var refinements = 2

        public init() {}
    }

    let factors: [String: GPTQFactor]
    let options: Options

    init(factors: [String: GPTQFactor], options: Options = Options()) {
        self.factors = factors
        self.options = options
    }

    public var name: String { "gptq" }
    public var observer: String { "mse" }
    public var activationOrder: Bool { true }

    /// - Throws: `QuantizationError.notCalibrated` for a layer without second moments.
    public func prepare(_ layer: LayerContext) throws -> any BlockQuantizer {
        guard let factor = factors[layer.module], factor.columns == layer.columns else {
            throw QuantizationError.notCalibrated(place: layer.module, method: name)
        }
        return GPTQBlocks(
            search: ScaleSearch(scheme: layer.scheme, dtype: layer.dtype, importance: factor.importance),
            factor: factor, options: options)
    }
}

/// What GPTQ needs of one input's second moments; layers that read the same input share it.
final class GPTQFactor: @unchecked Sendable {
    let columns: Int
    /// Second moments with damping, in the layer's order of columns.
    let moments: SecondMoments
    let importance: [Float]
    /// Column at each place, large inputs first.
    let order: [Int]
    /// U [columns, columns], upper, of H⁻¹ = Uᵀ·U with H in `order`.
    let upper: AlignedBuffer<Float>

    /// - Throws: `QuantizationError.singular` where the moments cannot be inverted in spite of the damping.
    init(_ moments: SecondMoments, damping: Float, module: String, pool: ThreadPool) throws {
        let n = moments.columns
        columns = n
        self.moments = moments
        let diagonal = moments.diagonal
        let mean = diagonal.reduce(0, +) / Float(n)
        // A column that was never used may be rounded as it likes.
        let added = mean > 0 ? damping * mean : 1
        for i in 0..<n { moments[i][i] += added }
        importance = moments.diagonal
        order = (0..<n).sorted { (diagonal[$0], $1) > (diagonal[$1], $0) }

        // H = Ũ·Ũᵀ with Ũ upper is the ordinary factorisation of H read backwards; U is Ũ's inverse. So one
        // factorisation and one inversion of a triangle do, and no full inverse is formed.
        upper = AlignedBuffer(count: n * n, willBeFilled: true)
        let a = upper.pointer
        let order = order
        pool.run((n + 31) / 32) { task, _ in
            for row in task * 32..<min(n, task * 32 + 32) {
                let source = moments[order[n - 1 - row]]
                for column in 0..<n { a[row * n + column] = source[order[n - 1 - column]] }
            }
        }
        guard DenseAlgebra.cholesky(a, n), DenseAlgebra.invertLower(a, n) else {
            throw QuantizationError.singular(place: module)
        }
        // Read backwards, the lower triangle is the upper one.
        var all = upper.buffer
        all.reverse()
    }
}

struct GPTQBlocks: BlockQuantizer {
    let search: ScaleSearch
    let factor: GPTQFactor
    let options: GPTQ.Options

    /// Products with H and U are worth their while from many rows on.
    var preferredRows: Int? { 128 }
    /// Columns whose errors are spread at once.
    static let lazyColumns = 128

    func quantize(_ weights: WeightBlock, into result: QuantizedBlock) {
        let (rows, n) = (weights.rows, weights.columns)
        let size = search.scheme.groupSize ?? n
        let groups = search.scheme.groups(columns: n)
        guard let values = weights.values.baseAddress else { return }
        var choices = [ScaleSearch.Choice](repeating: .init(scale: 1, zeroPoint: 0), count: rows * groups)
        for row in 0..<rows {
            for group in 0..<groups {
                choices[row * groups + group] = search.best(
                    values + row * n + group * size, min(size, n - group * size), column: group * size)
            }
        }
        // Integers less their zero points, in the layer's order.
        let rounded = AlignedBuffer<Float>(count: rows * n)
        round(values, rows, &choices, size, groups, into: rounded.pointer)
        let refinement = Refinement(
            search: search, factor: factor, target: values, rows: rows, rounded: rounded, size: size, groups: groups)
        for pass in 0...options.refinements {
            refinement.fitScales(&choices)
            if pass < options.refinements { refinement.descend(choices) }
        }
        for row in 0..<rows {
            for group in 0..<groups {
                let choice = choices[row * groups + group]
                result.scales[row * groups + group] = choice.scale
                result.zeroPoints[row * groups + group] = Int8(choice.zeroPoint)
                let start = row * n + group * size
                for i in start..<min(start + size, row * n + n) {
                    result.quants[i] = Int8(rounded.pointer[i] + choice.zeroPoint)
                }
            }
        }
    }

    private func round(
        _ values: UnsafePointer<Float>, _ rows: Int, _ choices: inout [ScaleSearch.Choice], _ size: Int, _ groups: Int,
        into rounded: UnsafeMutablePointer<Float>
    ) {
        let n = factor.columns
        let order = factor.order
        let u = factor.upper.pointer
        // Both in the order of rounding.
        let left = AlignedBuffer<Float>(count: rows * n)
        for row in 0..<rows {
            for place in 0..<n { left.pointer[row * n + place] = values[row * n + order[place]] }
        }
        let errors = AlignedBuffer<Float>(count: rows * Self.lazyColumns)
        for begin in stride(from: 0, to: n, by: Self.lazyColumns) {
            let end = min(n, begin + Self.lazyColumns)
            for row in 0..<rows {
                let w = left.pointer + row * n
                for place in begin..<end {
                    let column = order[place]
                    let choice = choices[row * groups + column / size]
                    let q = search.quantized(w[place], choice) - choice.zeroPoint
                    rounded[row * n + column] = q
                    let error = (w[place] - q * choice.scale) / u[place * n + place]
                    errors.pointer[row * Self.lazyColumns + place - begin] = error
                    subtract(u + place * n + place + 1, times: error, from: w + place + 1, count: end - place - 1)
                }
            }
            DenseAlgebra.product(
                errors.pointer, u + begin * n + end, into: left.pointer + end, m: rows, n: n - end, k: end - begin,
                strides: (Self.lazyColumns, n, n), alpha: -1, beta: 1)
        }
    }
}

/// y −= factor·x
@inline(__always)
func subtract(
    _ x: UnsafePointer<Float>, times factor: Float, from y: UnsafeMutablePointer<Float>, count: Int
) {
    var i = 0
    while i + 8 <= count {
        let a = UnsafeRawPointer(x + i).loadUnaligned(as: SIMD8<Float>.self)
        let b = UnsafeRawPointer(y + i).loadUnaligned(as: SIMD8<Float>.self)
        UnsafeMutableRawPointer(y + i).storeBytes(of: b - a * factor, as: SIMD8<Float>.self)
        i += 8
    }
    while i < count {
        y[i] -= x[i] * factor
        i += 1
    }
}

@inline(__always)
func dot(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, count: Int) -> Float {
    var sums = SIMD8<Float>.zero
    var i = 0
    while i + 8 <= count {
        sums +=
            UnsafeRawPointer(x + i).loadUnaligned(as: SIMD8<Float>.self)
            * UnsafeRawPointer(y + i).loadUnaligned(as: SIMD8<Float>.self)
        i += 8
    }
    var sum = sums.sum()
    while i < count {
        sum += x[i] * y[i]
        i += 1
    }
    return sum
}

extension PackedWeight {
    /// Quantizes W [rows, columns] by GPTQ, for inputs x [tokens, columns].
    /// - Returns: the weight, and the error that GPTQ minimises: the mean over tokens of ‖W·x − Ŵ·x‖².
    package static func gptq(
        _ values: [Float], rows: Int, columns: Int, scheme: QuantizationScheme, dtype: DType = .f32, inputs: [Float],
        options: GPTQ.Options = GPTQ.Options(), threads: Int = 2
    ) throws -> (weight: PackedWeight, error: Double) {
        let pool = ThreadPool(threads: threads)
        let moments = try Self.moments(inputs, columns: columns, pool: pool)
        let factor = try GPTQFactor(moments, damping: options.damping, module: "weight", pool: pool)
        let context = LayerContext(module: "weight", rows: rows, columns: columns, dtype: dtype, scheme: scheme)
        let quantizer = try LayerQuantizer(
            context, method: GPTQ(factors: ["weight": factor], options: options), place: "weight", pool: pool)
        let weight = PackedWeight(try values.withUnsafeBufferPointer { try quantizer.quantize($0) })
        return (weight, try weight.outputError(of: values, inputs: inputs))
    }

    /// The mean over tokens of ‖W·x − Ŵ·x‖² for inputs x [tokens, columns].
    package func outputError(of values: [Float], inputs: [Float]) throws -> Double {
        let pool = ThreadPool(threads: 1)
        let error = OwnedRows(rows, width: columns)
        for row in 0..<rows {
            restore(row: row, into: error.rows[row])
            for i in 0..<columns { error.rows[row][i] -= values[row * columns + i] }
        }
        return try Self.moments(inputs, columns: columns, pool: pool).quadraticForm(error, pool: pool)
    }

    private static func moments(_ inputs: [Float], columns: Int, pool: ThreadPool) throws -> SecondMoments {
        let x = OwnedRows(inputs.count / columns, width: columns)
        inputs.withUnsafeBufferPointer { x.rows.pointer.update(from: $0.baseAddress!, count: inputs.count) }
        let moments = SecondMoments(columns: columns)
        moments.add(x, pool: pool)
        moments.finish(pool: pool)
        return moments
    }
}
