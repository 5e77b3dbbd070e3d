import CKernels
import Foundation

/// How keys and values are kept.
public enum CachePrecision: String, Sendable, CaseIterable {
    case fp32, fp16
    var bytes: Int { self == .fp16 ? 2 : 4 }
}

/// Keys and values of one stage's layers, in pages of 64 positions. Which sequence owns which page is the scheduler's
/// business (`PageTable`); the same page number means the same positions on every stage.
///
/// The memory is one anonymous mapping: the system gives a page frame when a position is first written.
final class KVCache: @unchecked Sendable {
    static let pagePositions = Int(QK_PAGE)

    let layers: Int
    let kvHeads: Int
    let headDim: Int
    let precision: CachePrecision
    let pages: Int
    private let base: UnsafeMutableRawPointer
    private let bytesPerHalf: Int

    /// - Throws: `EngineError.outOfMemory` where the address space cannot be had.
    init(layers: Int, kvHeads: Int, headDim: Int, precision: CachePrecision, pages: Int) throws {
        self.layers = layers
        self.kvHeads = kvHeads
        self.headDim = headDim
        self.precision = precision
        self.pages = pages
        bytesPerHalf = kvHeads * headDim * Self.pagePositions * precision.bytes
        let size = max(1, pages * layers * 2 * bytesPerHalf)
        guard let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
            memory != MAP_FAILED
        else { throw EngineError.outOfMemory(purpose: "KV cache of \(pages) pages", bytes: size) }
        base = memory
    }

    deinit { munmap(base, max(1, byteCount)) }

    private var byteCount: Int { byteCount(pages: pages) }

    /// Bytes of the first pages.
    func byteCount(pages: Int) -> Int { pages * layers * 2 * bytesPerHalf }

    /// Keys of a page, transposed: [kvHeads, headDim, 64].
    func keys(page: Int, layer: Int) -> UnsafeMutableRawPointer {
        base + ((page * layers + layer) * 2) * bytesPerHalf
    }

    /// Values of a page: [kvHeads, 64, headDim].
    func values(page: Int, layer: Int) -> UnsafeMutableRawPointer {
        base + ((page * layers + layer) * 2 + 1) * bytesPerHalf
    }

    /// Bytes a page takes over all of a model's layers.
    static func bytesPerPage(_ model: ModelConfiguration, _ precision: CachePrecision) -> Int {
        model.layers * 2 * model.kvHeads * model.headDim * pagePositions * precision.bytes
    }
}
