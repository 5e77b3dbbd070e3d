import CZlib
import Foundation

/// Decompresses another source: gzip (RFC 1952), any number of members one after the other.
final class GzipSource: ByteSource {
    private let source: any ByteSource
    private let input: UnsafeMutableRawBufferPointer
    /// On the heap: zlib checks that the stream stays at its address.
    private let stream: UnsafeMutablePointer<z_stream>
    private(set) var damage: String?
    private var atMemberEnd = false
    private var written = 0

    /// `begun` are bytes of the source that were read already. Nil where zlib has no memory.
    init?(_ source: any ByteSource, begun: [UInt8]) {
        self.source = source
        input = .allocate(byteCount: max(64 * 1024, begun.count), alignment: 16)
        input.copyBytes(from: begun)
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        guard qubic_inflate_init_gzip(stream) == Z_OK else {
            input.deallocate()
            stream.deallocate()
            return nil
        }
        stream.pointee.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_in = UInt32(begun.count)
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
        input.deallocate()
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard damage == nil, buffer.count > 0 else { return 0 }
        stream.pointee.next_out = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = UInt32(clamping: buffer.count)
        let wanted = Int(stream.pointee.avail_out)
        while stream.pointee.avail_out == UInt32(wanted) {
            if stream.pointee.avail_in == 0 {
                let count = try source.read(into: input)
                guard count > 0 else {
                    if !atMemberEnd { damage = "the gzip data ends in the middle, after \(written) bytes of text" }
                    return 0
                }
                stream.pointee.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
                stream.pointee.avail_in = UInt32(count)
            }
            if atMemberEnd {
                // Zeros after the last member are padding, as tape archives leave it.
                while stream.pointee.avail_in > 0, stream.pointee.next_in.pointee == 0 {
                    stream.pointee.next_in += 1
                    stream.pointee.avail_in -= 1
                }
                guard stream.pointee.avail_in > 0 else { continue }
                inflateReset(stream)
                atMemberEnd = false
            }
            let status = inflate(stream, Z_NO_FLUSH)
            if status == Z_STREAM_END {
                atMemberEnd = true
            } else if status != Z_OK && status != Z_BUF_ERROR {
                let words = stream.pointee.msg.map { String(cString: $0) } ?? "error \(status)"
                damage = "the gzip data is damaged after \(written) bytes of text: \(words)"
                break
            }
        }
        let count = wanted - Int(stream.pointee.avail_out)
        written += count
        return count
    }
}

/// A source with the bytes given back that were taken to look at its format.
final class RewoundSource: ByteSource {
    private let source: any ByteSource
    private var begun: ArraySlice<UInt8>

    init(_ source: any ByteSource, begun: [UInt8]) { (self.source, self.begun) = (source, begun[...]) }

    var damage: String? { source.damage }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard !begun.isEmpty else { return try source.read(into: buffer) }
        let count = min(begun.count, buffer.count)
        buffer.copyBytes(from: begun.prefix(count))
        begun = begun.dropFirst(count)
        return count
    }
}
