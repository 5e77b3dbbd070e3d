import Foundation

/// One .safetensors file: its header, validated in full, and its mapped data.
///
/// The file is an 8-byte little-endian length N, N bytes of JSON, and the tensors' bytes, which the header's offsets
/// must tile without gap or overlap from the first byte to the last (github.com/huggingface/safetensors, "Format").
public final class SafetensorsFile: Sendable {
    /// The reference implementation's own limit.
    static let maximumHeaderBytes = 100_000_000

    public struct Entry: Sendable {
        public let info: TensorInfo
        /// Bytes from the beginning of the file.
        package let range: Range<Int>
    }

    public let file: MappedFile
    public let entries: [String: Entry]
    public let metadata: [String: String]

    public init(url: URL) throws {
        file = try MappedFile(url: url)
        let path = file.path
        let header = try Self.header(of: file)
        let dataStart = 8 + header.length
        var metadata: [String: String] = [:]
        var tensors: [(info: TensorInfo, begin: Int, end: Int)] = []
        for (name, value) in header.members {
            if name == "__metadata__" {
                metadata = try Self.metadata(value, path: path)
            } else {
                tensors.append(try Self.description(of: value, name: name, path: path))
            }
        }
        try Self.checkTiling(&tensors, dataBytes: file.count - dataStart, path: path)
        self.metadata = metadata
        var entries: [String: Entry] = [:]
        for tensor in tensors {
            let entry = Entry(info: tensor.info, range: dataStart + tensor.begin..<dataStart + tensor.end)
            // The parser has refused equal keys; Swift's strings are also equal where only their normal form is.
            guard entries.updateValue(entry, forKey: tensor.info.name) == nil else {
                throw CheckpointError.tensor(path: path, name: printable(tensor.info.name), problem: "occurs twice")
            }
        }
        self.entries = entries
    }

    private static func header(of file: MappedFile) throws -> (length: Int, members: [(key: String, value: JSONValue)])
    {
        guard file.count >= 8 else {
            throw CheckpointError.malformed(
                path: file.path, problem: "too short for safetensors", expected: "at least 8 bytes",
                got: "\(file.count)")
        }
        let stated = file.withBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
        guard stated <= UInt64(maximumHeaderBytes) else {
            throw CheckpointError.malformed(
                path: file.path, problem: "the header's length is out of range",
                expected: "at most \(maximumHeaderBytes) bytes", got: "\(stated)")
        }
        let length = Int(stated)
        guard length <= file.count - 8 else {
            throw CheckpointError.malformed(
                path: file.path, problem: "the header runs past the end of the file",
                expected: "at most \(file.count - 8) bytes", got: "\(length)")
        }
        let value = try file.withBytes(8..<8 + length) { try JSONValue(parsing: $0, place: "\(file.path), header") }
        guard let object = value.object else {
            throw CheckpointError.malformed(
                path: file.path, problem: "the header is no JSON object", expected: "an object", got: value.kind)
        }
        return (length, object.members)
    }

    private static func metadata(_ value: JSONValue, path: String) throws -> [String: String] {
        guard let object = value.object else {
            throw CheckpointError.malformed(
                path: path, problem: "__metadata__ is malformed", expected: "an object of strings", got: value.kind)
        }
        var metadata: [String: String] = [:]
        for (key, value) in object.members {
            guard let text = value.string else {
                throw CheckpointError.malformed(
                    path: path, problem: "__metadata__ \(printable(key)) is malformed", expected: "a string",
                    got: value.kind)
            }
            metadata[key] = text
        }
        return metadata
    }

    private static func description(
        of value: JSONValue, name: String, path: String
    ) throws -> (info: TensorInfo, begin: Int, end: Int) {
        func failure(_ problem: String, expected: String? = nil, got: String? = nil) -> CheckpointError {
            .tensor(path: path, name: printable(name), problem: problem, expected: expected, got: got)
        }
        guard let object = value.object else {
            throw failure("the description is malformed", expected: "an object", got: value.kind)
        }
        guard let dtypeName = object["dtype"]?.string else { throw failure("dtype is missing or no string") }
        guard let dtype = DType(rawValue: dtypeName) else {
            throw failure(
                "unknown dtype", expected: DType.allCases.map(\.rawValue).joined(separator: ", "),
                got: printable(dtypeName))
        }
        let shape = try object["shape"]?.array.map { try $0.map(dimension) }
        guard let shape else { throw failure("shape is missing or no array") }
        let offsets = try object["data_offsets"]?.array.map { try $0.map(dimension) }
        guard let offsets, offsets.count == 2 else { throw failure("data_offsets is missing or no pair") }
        guard let info = TensorInfo(name: name, dtype: dtype, shape: shape) else {
            throw failure("the size in bytes overflows 64 bits", got: "shape \(shape) of \(dtypeName)")
        }
        guard offsets[0] <= offsets[1] else { throw failure("data_offsets end before they begin", got: "\(offsets)") }
        guard offsets[1] - offsets[0] == info.byteCount else {
            throw failure(
                "data_offsets do not fit the shape",
                expected: "\(info.byteCount) bytes for \(shape) of \(dtypeName)", got: "\(offsets[1] - offsets[0])")
        }
        return (info, offsets[0], offsets[1])

        func dimension(_ value: JSONValue) throws -> Int {
            guard case .integer(let number) = value, number >= 0 else {
                throw failure("a dimension or offset is no whole number from 0 to 2^63−1")
            }
            return number
        }
    }

    /// Sorts the tensors by place and checks that they cover the data exactly.
    private static func checkTiling(
        _ tensors: inout [(info: TensorInfo, begin: Int, end: Int)], dataBytes: Int, path: String
    ) throws {
        tensors.sort { ($0.begin, $0.end) < ($1.begin, $1.end) }
        var position = 0
        for tensor in tensors {
            func failure(_ problem: String, expected: String) -> CheckpointError {
                .tensor(
                    path: path, name: printable(tensor.info.name), problem: problem, expected: expected,
                    got: "[\(tensor.begin), \(tensor.end)]")
            }
            guard tensor.end <= dataBytes else {
                throw failure("runs past the end of the file", expected: "offsets up to \(dataBytes)")
            }
            guard tensor.begin >= position else {
                throw failure("overlaps the tensor before it", expected: "offsets from \(position)")
            }
            guard tensor.begin == position else {
                throw failure("leaves a hole before it", expected: "offsets from \(position)")
            }
            position = tensor.end
        }
        guard position == dataBytes else {
            throw CheckpointError.malformed(
                path: path, problem: "bytes after the last tensor", expected: "\(position) bytes of data",
                got: "\(dataBytes)")
        }
    }
}

extension SafetensorsFile {
    /// The bytes of one tensor, for the time of `body`.
    /// - Throws: `CheckpointError.missingTensor`, and what `body` throws.
    public func withBytes<R>(_ name: String, _ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
        guard let entry = entries[name] else { throw CheckpointError.missingTensor(path: file.path, name: name) }
        return try file.withBytes { try body(UnsafeRawBufferPointer(rebasing: $0[entry.range])) }
    }
}
