/// Betters a block of rows whose integers and scales are given, in the error that counts: (w − ŵ)·H·(w − ŵ)ᵀ a row.
struct Refinement {
    let search: ScaleSearch
    let factor: GPTQFactor
    /// w [rows, columns]
    let target: UnsafePointer<Float>
    let rows: Int
    /// r [rows, columns], integers less their zero points: ŵ = r·s.
    let rounded: AlignedBuffer<Float>
    let size, groups: Int
    /// [rows, columns], for products.
    private let room: AlignedBuffer<Float>
    /// w·H [rows, columns], which both steps need.
    private let targetProduct: AlignedBuffer<Float>

    init(
        search: ScaleSearch, factor: GPTQFactor, target: UnsafePointer<Float>, rows: Int,
        rounded: AlignedBuffer<Float>, size: Int, groups: Int
    ) {
        self.search = search
        self.factor = factor
        self.target = target
        self.rows = rows
        self.rounded = rounded
        self.size = size
        self.groups = groups
        let n = factor.columns
        room = AlignedBuffer(count: rows * n)
        targetProduct = AlignedBuffer(count: rows * n)
        DenseAlgebra.product(
            target, factor.moments.matrix.pointer, into: targetProduct.pointer, m: rows, n: n, k: n, strides: (n, n, n))
    }

    /// The scales that are best for these integers: for each row the minimum of sᵀ·A·s − 2·b·s with
    /// A[g, h] = r_g·H·r_h and b[g] = r_g·(H·w). Rounded to the stored type; kept only where the row gains.
    func fitScales(_ choices: inout [ScaleSearch.Choice]) {
        let n = factor.columns
        let matrix = AlignedBuffer<Double>(count: rows * groups * groups)
        var right = [Double](repeating: 0, count: rows * groups)
        for group in 0..<groups {
            let (begin, end) = (group * size, min(n, (group + 1) * size))
            DenseAlgebra.product(
                rounded.pointer + begin, factor.moments[begin], into: room.pointer, m: rows, n: n, k: end - begin,
                strides: (n, n, n))
            for row in 0..<rows {
                let (r, product) = (rounded.pointer + row * n, room.pointer + row * n)
                for other in 0..<groups {
                    let first = other * size
                    matrix.pointer[(row * groups + group) * groups + other] = Double(
                        dot(r + first, product + first, count: min(size, n - first)))
                }
                right[row * groups + group] = Double(
                    dot(r + begin, targetProduct.pointer + row * n + begin, count: end - begin))
            }
        }
        let system = AlignedBuffer<Double>(count: groups * groups)
        var solution = [Double](repeating: 0, count: groups)
        for row in 0..<rows {
            let a = matrix.pointer + row * groups * groups
            let b = Array(right[row * groups..<(row + 1) * groups])
            let top = (0..<groups).reduce(0) { max($0, a[$1 * groups + $1]) }
            guard top > 0 else { continue }
            for g in 0..<groups {
                for h in 0..<groups {
                    system.pointer[g * groups + h] = (a[g * groups + h] + a[h * groups + g]) / 2
                }
                // Holds a scale of no weight where it was.
                let hold = 1e-6 * top
                system.pointer[g * groups + g] += hold
                solution[g] = b[g] + hold * Double(choices[row * groups + g].scale)
            }
            let solved = solution.withUnsafeMutableBufferPointer {
                DenseAlgebra.solve(system.pointer, $0.baseAddress!, groups)
            }
            guard solved else { continue }
            let old = (0..<groups).map { Double(choices[row * groups + $0].scale) }
            let new = (0..<groups).map { search.stored(Float(solution[$0])) }
            guard new.allSatisfy({ $0.isFinite && $0.magnitude > 0x1p-100 }),
                error(a, b, new.map(Double.init)) < error(a, b, old)
            else { continue }
            for g in 0..<groups { choices[row * groups + g].scale = new[g] }
        }
    }

    /// sᵀ·A·s − 2·b·s
    private func error(_ a: UnsafePointer<Double>, _ b: [Double], _ s: [Double]) -> Double {
        var sum = 0.0
        for g in 0..<groups {
            var product = 0.0
            for h in 0..<groups { product += a[g * groups + h] * s[h] }
            sum += s[g] * (product - 2 * b[g])
        }
        return sum
    }

    /// Each integer anew, with all others as they are.
    func descend(_ choices: [ScaleSearch.Choice]) {
        let n = factor.columns
        let h = factor.moments.matrix.pointer
        let lazy = GPTQBlocks.lazyColumns
        // (w − ŵ)·H, kept up to date.
        let gradient = room.pointer
        let restored = AlignedBuffer<Float>(count: rows * n)
        for row in 0..<rows {
            for i in 0..<n {
                restored.pointer[row * n + i] = rounded.pointer[row * n + i] * choices[row * groups + i / size].scale
            }
        }
        gradient.update(from: targetProduct.pointer, count: rows * n)
        DenseAlgebra.product(
            restored.pointer, h, into: gradient, m: rows, n: n, k: n, strides: (n, n, n), alpha: -1, beta: 1)
        let changes = AlignedBuffer<Float>(count: rows * lazy)
        for begin in stride(from: 0, to: n, by: lazy) {
            let end = min(n, begin + lazy)
            changes.pointer.update(repeating: 0, count: rows * lazy)
            for row in 0..<rows {
                let g = gradient + row * n
                for i in begin..<end {
                    let choice = choices[row * groups + i / size]
                    let old = rounded.pointer[row * n + i]
                    let wanted = old * choice.scale + g[i] / h[i * n + i]
                    let new = search.quantized(wanted, choice) - choice.zeroPoint
                    guard new != old else { continue }
                    rounded.pointer[row * n + i] = new
                    let change = (new - old) * choice.scale
                    changes.pointer[row * lazy + i - begin] = change
                    subtract(h + i * n + begin, times: change, from: g + begin, count: end - begin)
                }
            }
            // The columns before are done in this round, so only those after need the news.
            DenseAlgebra.product(
                changes.pointer, h + begin * n + end, into: gradient + end, m: rows, n: n - end, k: end - begin,
                strides: (lazy, n, n), alpha: -1, beta: 1)
        }
    }
}
