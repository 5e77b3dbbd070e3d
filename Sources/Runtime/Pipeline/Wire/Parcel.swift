import Foundation

/// A message's bytes, written once from the front. Numbers stand as the machine has them: a job's machines all have the
/// little end first, which joining it checks.
///
/// Sendable by hand-over: one thread at a time has it.
package final class Parcel: @unchecked Sendable {
    private(set) var bytes: AlignedBuffer<UInt8>
    private(set) var count = 0

    init(capacity: Int = 256) { bytes = AlignedBuffer(count: capacity) }

    /// One that is to be received into.
    init(receiving count: Int) {
        bytes = AlignedBuffer(count: count)
        self.count = count
    }

    package convenience init(_ data: Data) {
        self.init(capacity: data.count)
        let target = reserve(data.count)
        data.copyBytes(to: target.assumingMemoryBound(to: UInt8.self), count: data.count)
    }

    package var data: Data { Data(bytes: bytes.pointer, count: count) }

    /// Begins anew, keeping the memory.
    func clear() { count = 0 }

    /// Room for `size` more bytes, which the caller writes.
    func reserve(_ size: Int) -> UnsafeMutableRawPointer {
        if count + size > bytes.count {
            let larger = AlignedBuffer<UInt8>(count: max(count + size, 2 * bytes.count))
            larger.pointer.update(from: bytes.pointer, count: count)
            bytes = larger
        }
        defer { count += size }
        return UnsafeMutableRawPointer(bytes.pointer + count)
    }

    func write<Value: BitwiseCopyable>(_ value: Value) {
        let size = MemoryLayout<Value>.size
        withUnsafeBytes(of: value) { reserve(size).copyMemory(from: $0.baseAddress!, byteCount: size) }
    }

    /// A count and the elements.
    func write<Value: BitwiseCopyable>(_ values: [Value]) {
        write(UInt32(values.count))
        write(elements: values[...])
    }

    func write<Value: BitwiseCopyable>(elements values: ArraySlice<Value>) {
        values.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress, !bytes.isEmpty else { return }
            reserve(bytes.count).copyMemory(from: base, byteCount: bytes.count)
        }
    }

    func write(_ text: String) { write(Array(text.utf8)) }

    /// Zeros up to a multiple of eight bytes.
    func align() {
        while count % 8 != 0 { write(UInt8(0)) }
    }
}

/// Reads a parcel from the front. What is too short or contradicts itself throws: it comes from another process.
struct ParcelReader {
    /// What stands there instead of a message of this kind.
    struct Malformed: Error {
        let what: String
    }

    private let parcel: Parcel
    private var place = 0

    init(_ parcel: Parcel) { self.parcel = parcel }

    mutating func take(_ size: Int) throws -> UnsafeRawBufferPointer {
        guard size >= 0, size <= parcel.count - place else {
            throw Malformed(what: "\(size) bytes at \(place) of \(parcel.count)")
        }
        defer { place += size }
        return UnsafeRawBufferPointer(start: parcel.bytes.pointer + place, count: size)
    }

    mutating func read<Value: BitwiseCopyable>(_: Value.Type = Value.self) throws -> Value {
        try take(MemoryLayout<Value>.size).loadUnaligned(as: Value.self)
    }

    /// A number that is to be a count or an index.
    mutating func count() throws -> Int { Int(try read(UInt32.self)) }

    mutating func array<Value: BitwiseCopyable>(of _: Value.Type = Value.self) throws -> [Value] {
        try elements(try count())
    }

    mutating func elements<Value: BitwiseCopyable>(_ count: Int) throws -> [Value] {
        let size = MemoryLayout<Value>.size
        let bytes = try take(count * size)
        return [Value](unsafeUninitializedCapacity: count) { buffer, initialized in
            if count > 0 {
                UnsafeMutableRawPointer(buffer.baseAddress!).copyMemory(
                    from: bytes.baseAddress!, byteCount: bytes.count)
            }
            initialized = count
        }
    }

    mutating func text() throws -> String { String(decoding: try array(of: UInt8.self), as: UTF8.self) }

    mutating func align() throws { while place % 8 != 0 { _ = try read(UInt8.self) } }

    var isAtEnd: Bool { place == parcel.count }
}

/// What is rare and has a structure goes as a property list: it keeps every number exactly.
extension Parcel {
    package convenience init(encoding value: some Encodable) throws {
        let encoder = PropertyListEncoder()
        encoder.outputFormat = .binary
        self.init(try encoder.encode(value))
    }

    package func decode<Value: Decodable>(_: Value.Type = Value.self) throws -> Value {
        try PropertyListDecoder().decode(Value.self, from: data)
    }
}
