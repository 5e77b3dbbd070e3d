/// Xᵀ·X / tokens of a layer's inputs X [tokens, columns]: what GPTQ calls the Hessian, up to a factor.
final class SecondMoments: @unchecked Sendable {
    let columns: Int
    private(set) var tokens = 0
    /// [columns, columns]; both triangles once finished.
    let matrix: AlignedBuffer<Float>
    private var isFinished = false

    init(columns: Int) {
        self.columns = columns
        matrix = AlignedBuffer(count: columns * columns)
        matrix.pointer.update(repeating: 0, count: columns * columns)
    }

    /// Of the inputs x of one layer, finished.
    /// - Throws: `QuantizationError.activationsOverflow` where they could not be finite.
    convenience init(of x: OwnedRows, reaching layer: LinearLayer, pool: ThreadPool) throws {
        self.init(columns: x.rows.width)
        try x.refuseOverflow("inputs", of: layer)
        add(x, pool: pool)
        finish(pool: pool)
    }

    func add(_ x: OwnedRows, pool: ThreadPool) {
        precondition(x.rows.width == columns && !isFinished)
        withExtendedLifetime(x) { DenseAlgebra.addGram(of: x.rows, to: matrix.pointer, pool: pool) }
        tokens += x.rows.rows
    }

    func finish(pool: ThreadPool) {
        precondition(tokens > 0 && !isFinished)
        isFinished = true
        let scale = 1 / Float(tokens)
        for i in 0..<matrix.count { matrix.pointer[i] *= scale }
        DenseAlgebra.mirror(matrix.pointer, columns, pool: pool)
    }

    /// Mean square of each column of X.
    var diagonal: [Float] { (0..<columns).map { matrix.pointer[$0 * columns + $0] } }

    subscript(row: Int) -> UnsafeMutablePointer<Float> { matrix.pointer + row * columns }

    /// Σ of e·H·eᵀ over the rows of e [rows, columns]: the mean square error of the outputs, times their number.
    func quadraticForm(_ e: OwnedRows, pool: ThreadPool) -> Double {
        withExtendedLifetime(e) { quadraticForm(view: e.rows, pool: pool) }
    }

    /// As above, for memory that the caller keeps.
    func quadraticForm(view e: Rows, pool: ThreadPool) -> Double {
        let slice = 64
        let count = (e.rows + slice - 1) / slice
        let sums = AlignedBuffer<Double>(count: count)
        pool.run(count) { task, _ in
            let part = e.slice(task * slice..<min(e.rows, (task + 1) * slice))
            let product = AlignedBuffer<Float>(count: part.rows * columns)
            DenseAlgebra.product(
                part.pointer, matrix.pointer, into: product.pointer, m: part.rows, n: columns, k: columns,
                strides: (columns, columns, columns))
            defer { withExtendedLifetime(product) {} }
            var sum = 0.0
            for i in 0..<product.count { sum += Double(product.pointer[i] * part.pointer[i]) }
            sums.pointer[task] = sum
        }
        return sums.buffer.reduce(0, +)
    }
}
