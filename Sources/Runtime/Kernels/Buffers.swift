import Foundation

/// Uninitialised memory for `count` elements on a 64-byte boundary, freed with its owner.
///
/// Sendable by use, not by lock: weights are written once before they are shared and only read from then on; scratch
/// and cache memory belong to one stage, which runs one batch at a time.
final class AlignedBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<Element>
    let count: Int

    init(count: Int) {
        self.count = count
        let bytes = max(count, 1) * MemoryLayout<Element>.stride
        pointer = UnsafeMutableRawPointer.allocate(byteCount: (bytes + 63) & ~63, alignment: 64)
            .bindMemory(to: Element.self, capacity: max(count, 1))
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
