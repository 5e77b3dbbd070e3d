import Foundation

/// A GGUF file, versions 2 and 3, little-endian: metadata, tensor descriptions and mapped data
/// (github.com/ggml-org/ggml, docs/gguf.md). Every length and offset in it is checked before it is used.
public final class GGUFFile: Sendable {
    /// A tensor as it lies in the file. `shape` has the slowest dimension first, which is GGUF's order reversed.
    public struct Tensor: Sendable {
        public let name: String
        public let type: GGUFTensorType
        public let shape: [Int]
        /// Bytes from the beginning of the file.
        let range: Range<Int>

        /// Elements of the fastest dimension; a whole number of the type's blocks.
        var columns: Int { shape.last ?? 1 }
        var rows: Int { shape.dropLast().reduce(1, *) }
        var rowBytes: Int { columns / type.blockSize * type.blockBytes }
    }

    public let version: Int
    /// In the file's order.
    public let tensors: [Tensor]
    let file: MappedFile
    let metadata: [String: GGUFValue]

    public var path: String { file.path }

    public init(url: URL) throws {
        let file = try MappedFile(url: url)
        self.file = file
        (version, metadata, tensors) = try file.withBytes { bytes in
            var reader = GGUFReader(bytes: bytes, path: file.path)
            let (version, tensorCount, keyCount) = try Self.preamble(&reader)
            let metadata = try Self.metadata(&reader, count: keyCount)
            let alignment = try Self.alignment(metadata, path: file.path)
            let tensors = try Self.tensors(&reader, count: tensorCount, alignment: alignment)
            return (version, metadata, tensors)
        }
    }

    private static func preamble(_ reader: inout GGUFReader) throws -> (version: Int, tensors: Int, keys: Int) {
        guard reader.bytes.prefix(4).elementsEqual("GGUF".utf8) else {
            throw reader.failure("this is no GGUF file", expected: "the letters GGUF at its beginning")
        }
        reader.position = 4
        let version = try reader.number(UInt32.self, "the version")
        guard version == 2 || version == 3 else {
            let isBigEndian = version.byteSwapped == 2 || version.byteSwapped == 3
            throw reader.failure(
                "a GGUF file of an unsupported version", expected: "2 or 3, little-endian",
                got: isBigEndian ? "\(version.byteSwapped), big-endian" : "\(version)")
        }
        // A description takes 24 bytes at the least, a key and its value 13.
        let tensors = try reader.length("the number of tensors", unit: 24)
        let keys = try reader.length("the number of metadata keys", unit: 13)
        return (Int(version), tensors, keys)
    }

    private static func metadata(_ reader: inout GGUFReader, count: Int) throws -> [String: GGUFValue] {
        var metadata: [String: GGUFValue] = [:]
        for index in 0..<count {
            let key = try reader.string("metadata key \(index)")
            let value = try GGUFValue(&reader, key: key)
            guard metadata.updateValue(value, forKey: key) == nil else {
                throw reader.failure("the metadata key \(printable(key)) occurs twice")
            }
        }
        return metadata
    }

    private static func alignment(_ metadata: [String: GGUFValue], path: String) throws -> Int {
        guard let value = metadata["general.alignment"] else { return 32 }
        guard let alignment = value.int, alignment > 0, alignment & (alignment - 1) == 0, alignment <= 1 << 30 else {
            throw CheckpointError.setting(
                place: path, key: "general.alignment", problem: "is out of range", expected: "a power of two",
                got: value.description)
        }
        return alignment
    }

    private static func tensors(_ reader: inout GGUFReader, count: Int, alignment: Int) throws -> [Tensor] {
        var described: [(name: String, type: GGUFTensorType, shape: [Int], offset: Int, bytes: Int)] = []
        var names: Set<String> = []
        for index in 0..<count {
            let name = try reader.string("the name of tensor \(index)")
            func failure(_ problem: String, expected: String? = nil, got: String? = nil) -> CheckpointError {
                .tensor(path: reader.path, name: printable(name), problem: problem, expected: expected, got: got)
            }
            guard names.insert(name).inserted else { throw failure("occurs twice") }
            let rank = try reader.number(UInt32.self, "the rank of \(printable(name))")
            guard (1...4).contains(rank) else { throw failure("unsupported rank", expected: "1 to 4", got: "\(rank)") }
            var shape: [Int] = []
            for _ in 0..<rank {
                let dimension = try reader.number(UInt64.self, "the shape of \(printable(name))")
                guard dimension > 0, let dimension = Int(exactly: dimension) else {
                    throw failure("a dimension is out of range", got: "\(dimension)")
                }
                shape.insert(dimension, at: 0)
            }
            let number = try reader.number(UInt32.self, "the type of \(printable(name))")
            guard let type = GGUFTensorType(rawValue: number) else {
                throw failure(
                    "is stored as a type that is not supported",
                    expected: GGUFTensorType.allCases.map(\.name).joined(separator: ", "),
                    got: GGUFTensorType.unsupportedName(number))
            }
            guard shape.last! % type.blockSize == 0 else {
                throw failure(
                    "rows are no whole blocks of \(type.name)", expected: "a multiple of \(type.blockSize)",
                    got: "\(shape.last!)")
            }
            var bytes = shape.last! / type.blockSize
            for factor in shape.dropLast() + [type.blockBytes] {
                let (product, overflow) = bytes.multipliedReportingOverflow(by: factor)
                guard !overflow else { throw failure("the size in bytes overflows 64 bits", got: "shape \(shape)") }
                bytes = product
            }
            let offset = try reader.number(UInt64.self, "the offset of \(printable(name))")
            guard let offset = Int(exactly: offset), offset % alignment == 0 else {
                throw failure("the offset is not aligned", expected: "a multiple of \(alignment)", got: "\(offset)")
            }
            described.append((name, type, shape, offset, bytes))
        }
        let (start, overflow) = reader.position.addingReportingOverflow(alignment - 1)
        let dataStart = overflow ? reader.bytes.count : start / alignment * alignment
        let room = max(0, reader.bytes.count - dataStart)
        let tensors = try described.map { tensor in
            guard tensor.bytes <= room, tensor.offset <= room - tensor.bytes else {
                throw CheckpointError.tensor(
                    path: reader.path, name: printable(tensor.name), problem: "runs past the end of the file",
                    expected: "\(tensor.bytes) bytes from \(tensor.offset)", got: "\(room) bytes of data")
            }
            let begin = dataStart + tensor.offset
            return Tensor(
                name: tensor.name, type: tensor.type, shape: tensor.shape, range: begin..<begin + tensor.bytes)
        }
        let sorted = tensors.sorted { $0.range.lowerBound < $1.range.lowerBound }
        for (a, b) in zip(sorted, sorted.dropFirst()) where a.range.upperBound > b.range.lowerBound {
            throw CheckpointError.tensor(
                path: reader.path, name: printable(b.name), problem: "overlaps \(printable(a.name))")
        }
        return tensors
    }
}

/// A cursor over the file that never reads past its end.
struct GGUFReader {
    let bytes: UnsafeRawBufferPointer
    let path: String
    var position = 0

    init(bytes: UnsafeRawBufferPointer, path: String) {
        self.bytes = bytes
        self.path = path
    }

    mutating func number<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, _ what: String) throws -> T {
        let size = MemoryLayout<T>.size
        guard bytes.count - position >= size else { throw failure("the file ends within \(what)") }
        defer { position += size }
        return T(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: T.self))
    }

    /// A count of things that take at least `unit` bytes each, which the rest of the file must hold.
    mutating func length(_ what: String, unit: Int) throws -> Int {
        let count = try number(UInt64.self, what)
        let most = (bytes.count - position) / unit
        guard count <= UInt64(most) else {
            throw failure("\(what) is more than the file can hold", expected: "at most \(most)", got: "\(count)")
        }
        return Int(count)
    }

    mutating func string(_ what: String) throws -> String {
        let count = try length("the length of \(what)", unit: 1)
        let text = bytes[position..<position + count]
        guard let string = String(validating: text, as: UTF8.self) else {
            throw failure("\(what) is not valid UTF-8")
        }
        position += count
        return string
    }

    mutating func skip(_ count: Int) { position += count }

    func failure(_ problem: String, expected: String? = nil, got: String? = nil) -> CheckpointError {
        .malformed(path: "\(path), byte \(position)", problem: problem, expected: expected, got: got)
    }
}
