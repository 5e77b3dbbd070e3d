import Foundation

/// Uninitialised memory for `count` elements on a 64-byte boundary, freed with its owner.
///
/// Sendable by use, not by lock: weights are written once before they are shared and only read from then on; scratch
/// and cache memory belong to one stage, which runs one batch at a time.
final class AlignedBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<Element>
    let count: Int

    /// - Parameter willBeFilled: the memory will be written as a whole, so that large pages waste nothing: they are
    ///   quicker to get, and to read from.
    init(count: Int, willBeFilled: Bool = false) {
        self.count = count
        let bytes = max(count, 1) * MemoryLayout<Element>.stride
        let largePage = 2 << 20
        let isLarge = willBeFilled && bytes >= 2 * largePage
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: (bytes + 63) & ~63, alignment: isLarge ? largePage : 64)
        // A wish: where the system has no large pages, small ones do.
        if isLarge { _ = madvise(memory, bytes & ~(largePage - 1), MADV_HUGEPAGE) }
        pointer = memory.bindMemory(to: Element.self, capacity: max(count, 1))
    }

    convenience init(_ values: [Element]) {
        self.init(count: values.count)
        values.withUnsafeBufferPointer {
            pointer.update(from: $0.baseAddress!, count: values.isEmpty ? 0 : values.count)
        }
    }

    deinit { pointer.deallocate() }

    var byteCount: Int { count * MemoryLayout<Element>.stride }
    var buffer: UnsafeMutableBufferPointer<Element> { UnsafeMutableBufferPointer(start: pointer, count: count) }
}

/// A view of `rows` × `width` floats, row-major, without gaps. It does not own them.
public struct Rows {
    public let pointer: UnsafeMutablePointer<Float>
    public let rows: Int
    public let width: Int

    init(_ pointer: UnsafeMutablePointer<Float>, rows: Int, width: Int) {
        self.pointer = pointer
        self.rows = rows
        self.width = width
    }

    subscript(row: Int) -> UnsafeMutablePointer<Float> { pointer + row * width }

    public func slice(_ range: Range<Int>) -> Rows { Rows(self[range.lowerBound], rows: range.count, width: width) }

    var values: UnsafeBufferPointer<Float> { UnsafeBufferPointer(start: pointer, count: rows * width) }
}

/// Scratch rows that grow when a larger batch comes, and never shrink: no allocation once warm.
struct ScratchRows {
    private var buffer: AlignedBuffer<Float>
    let width: Int

    init(width: Int, rows: Int = 0) {
        self.width = width
        buffer = AlignedBuffer(count: rows * width)
    }

    mutating func callAsFunction(_ rows: Int) -> Rows {
        if buffer.count < rows * width { buffer = AlignedBuffer(count: rows * width) }
        return Rows(buffer.pointer, rows: rows, width: width)
    }

    var byteCount: Int { buffer.byteCount }
}
