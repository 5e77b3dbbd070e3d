import COpenBLAS
import Foundation

/// fp32 matrices for calibration, by OpenBLAS. All are row-major. Work is cut into tiles whose borders do not depend on
/// the number of threads, so neither do the results.
enum DenseAlgebra {
    private static let tile = 256

    /// gram [n, n] += Xᵀ·X of x [rows, n]; the upper triangle's tiles only, until `mirror`.
    static func addGram(of x: Rows, to gram: UnsafeMutablePointer<Float>, pool: ThreadPool) {
        OpenBLAS.useOneThread
        let n = x.width
        let tiles = (n + tile - 1) / tile
        let pairs = (0..<tiles).flatMap { first in (first..<tiles).map { (first, $0) } }
        pool.run(pairs.count) { task, _ in
            let (first, second) = (pairs[task].0 * tile, pairs[task].1 * tile)
            cblas_sgemm(
                CblasRowMajor, CblasTrans, CblasNoTrans, blasint(min(tile, n - first)), blasint(min(tile, n - second)),
                blasint(x.rows), 1, x.pointer + first, blasint(n), x.pointer + second, blasint(n), 1,
                gram + first * n + second, blasint(n))
        }
    }

    /// Copies the upper triangle of a [n, n] to the lower one.
    static func mirror(_ a: UnsafeMutablePointer<Float>, _ n: Int, pool: ThreadPool) {
        pool.run((n + 63) / 64) { task, _ in
            for row in task * 64..<min(n, task * 64 + 64) {
                for column in 0..<row { a[row * n + column] = a[column * n + row] }
            }
        }
    }

    /// c [m, n] = alpha·a [m, k]·b [k, n] + beta·c; `strides` are the elements from one row to the next of a, b and c.
    @inline(__always)
    static func product(
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into c: UnsafeMutablePointer<Float>, m: Int, n: Int,
        k: Int, strides: (Int, Int, Int), alpha: Float = 1, beta: Float = 0
    ) {
        guard m > 0, n > 0, k > 0 else { return }
        OpenBLAS.useOneThread
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(m), blasint(n), blasint(k), alpha, a,
            blasint(strides.0), b, blasint(strides.1), beta, c, blasint(strides.2))
    }

    /// c [m, n] += aᵀ·b of a [rows, m] and b [rows, n], rows in common.
    static func addTransposedProduct(_ a: Rows, _ b: Rows, to c: UnsafeMutablePointer<Float>, pool: ThreadPool) {
        OpenBLAS.useOneThread
        let (m, n) = (a.width, b.width)
        pool.run((m + tile - 1) / tile) { task, _ in
            let first = task * tile
            cblas_sgemm(
                CblasRowMajor, CblasTrans, CblasNoTrans, blasint(min(tile, m - first)), blasint(n), blasint(a.rows), 1,
                a.pointer + first, blasint(m), b.pointer, blasint(n), 1, c + first * n, blasint(n))
        }
    }

    /// In place: the lower triangle of a positive definite a [n, n] becomes L, a = L·Lᵀ.
    /// - Returns: false where a is not positive definite.
    static func cholesky(_ a: UnsafeMutablePointer<Float>, _ n: Int) -> Bool {
        OpenBLAS.useOneThread
        var (size, info) = (blasint(n), blasint(0))
        // Row-major's lower triangle is column-major's upper one.
        spotrf_("U", &size, a, &size, &info, 1)
        return info == 0
    }

    /// In place: the lower triangle L of a [n, n] becomes L⁻¹.
    /// - Returns: false where L has a zero on its diagonal.
    static func invertLower(_ a: UnsafeMutablePointer<Float>, _ n: Int) -> Bool {
        OpenBLAS.useOneThread
        var (size, info) = (blasint(n), blasint(0))
        strtri_("U", "N", &size, a, &size, &info, 1, 1)
        return info == 0
    }

    /// b [rows, n] becomes b·Uᵀ·U, U [n, n] being upper.
    static func timesInverse(_ b: Rows, upper: UnsafePointer<Float>, pool: ThreadPool) {
        OpenBLAS.useOneThread
        let n = b.width
        pool.run((b.rows + 63) / 64) { task, _ in
            let part = b.slice(task * 64..<min(b.rows, task * 64 + 64))
            for transposed in [CblasTrans, CblasNoTrans] {
                cblas_strmm(
                    CblasRowMajor, CblasRight, CblasUpper, transposed, CblasNonUnit, blasint(part.rows), blasint(n), 1,
                    upper, blasint(n), part.pointer, blasint(n))
            }
        }
    }

    /// Solves a·x = b for a symmetric positive definite a [n, n], in double; b becomes x and a is spoilt.
    /// - Returns: false where a is not positive definite; b is spoilt then.
    static func solve(_ a: UnsafeMutablePointer<Double>, _ b: UnsafeMutablePointer<Double>, _ n: Int) -> Bool {
        OpenBLAS.useOneThread
        var (size, one, info) = (blasint(n), blasint(1), blasint(0))
        dposv_("U", &size, &one, a, &size, b, &size, &info, 1)
        return info == 0
    }
}
