/// A metadata value. Arrays stay in the file until their elements are asked for: a hostile one may be large.
enum GGUFValue: Sendable, CustomStringConvertible {
    case integer(Int)
    /// An unsigned number that does not fit an Int.
    case large(UInt64)
    case real(Double, isSingle: Bool)
    case bool(Bool)
    case string(String)
    case array(GGUFArray)

    /// The file's numbers for its types.
    enum Kind: UInt32, Sendable {
        case u8 = 0
        case i8, u16, i16, u32, i32, f32, bool, string, array, u64, i64, f64

        /// Bytes a value takes at the least.
        var size: Int {
            switch self {
            case .u8, .i8, .bool: 1
            case .u16, .i16: 2
            case .u32, .i32, .f32: 4
            case .u64, .i64, .f64, .string: 8
            case .array: 12
            }
        }
    }

    init(_ reader: inout GGUFReader, key: String) throws {
        let what = "the value of \(printable(key))"
        let kind = try Self.kind(&reader, what)
        if kind == .array {
            self = .array(try GGUFArray(&reader, what, depth: 0))
        } else {
            self = try Self.scalar(kind, &reader, what)
        }
    }

    fileprivate static func kind(_ reader: inout GGUFReader, _ what: String) throws -> Kind {
        let number = try reader.number(UInt32.self, "the type of \(what)")
        guard let kind = Kind(rawValue: number) else {
            throw reader.failure("\(what) is of an unknown type", expected: "0 to 12", got: "\(number)")
        }
        return kind
    }

    fileprivate static func scalar(_ kind: Kind, _ reader: inout GGUFReader, _ what: String) throws -> GGUFValue {
        switch kind {
        case .u8: return .integer(Int(try reader.number(UInt8.self, what)))
        case .i8: return .integer(Int(try reader.number(Int8.self, what)))
        case .u16: return .integer(Int(try reader.number(UInt16.self, what)))
        case .i16: return .integer(Int(try reader.number(Int16.self, what)))
        case .u32: return .integer(Int(try reader.number(UInt32.self, what)))
        case .i32: return .integer(Int(try reader.number(Int32.self, what)))
        case .i64: return .integer(Int(try reader.number(Int64.self, what)))
        case .u64:
            let value = try reader.number(UInt64.self, what)
            return Int(exactly: value).map { .integer($0) } ?? .large(value)
        case .f32:
            return .real(Double(Float(bitPattern: try reader.number(UInt32.self, what))), isSingle: true)
        case .f64: return .real(Double(bitPattern: try reader.number(UInt64.self, what)), isSingle: false)
        case .bool:
            let value = try reader.number(UInt8.self, what)
            guard value <= 1 else { throw reader.failure("\(what) is no boolean", expected: "0 or 1", got: "\(value)") }
            return .bool(value == 1)
        case .string: return .string(try reader.string(what))
        case .array: preconditionFailure("an array is no scalar")
        }
    }

    var int: Int? { if case .integer(let value) = self { value } else { nil } }
    var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    var string: String? { if case .string(let value) = self { value } else { nil } }
    var array: GGUFArray? { if case .array(let value) = self { value } else { nil } }

    /// A number; one that was stored as fp32 becomes the shortest decimal that stands for it: 1e-05, and not
    /// 9.999999747378752e-06.
    var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .real(let value, let isSingle): isSingle ? Double("\(Float(value))") : value
        default: nil
        }
    }

    var description: String {
        switch self {
        case .integer(let value): "\(value)"
        case .large(let value): "\(value)"
        case .real(let value, _): "\(value)"
        case .bool(let value): "\(value)"
        case .string(let value): printable(value)
        case .array(let array): "an array of \(array.count)"
        }
    }
}

/// An array of the metadata, checked in extent but not yet read.
struct GGUFArray: Sendable {
    let kind: GGUFValue.Kind
    let count: Int
    /// Where the first element lies.
    private let position: Int

    fileprivate init(_ reader: inout GGUFReader, _ what: String, depth: Int) throws {
        guard depth < 4 else { throw reader.failure("\(what) is nested too deeply") }
        kind = try GGUFValue.kind(&reader, what)
        count = try reader.length("the length of \(what)", unit: kind.size)
        position = reader.position
        switch kind {
        case .string:
            for _ in 0..<count { reader.skip(try reader.length("a string's length in \(what)", unit: 1)) }
        case .array:
            for _ in 0..<count { _ = try GGUFArray(&reader, what, depth: depth + 1) }
        default: reader.skip(count * kind.size)
        }
    }

    /// The elements of an array of strings.
    func strings(in file: GGUFFile, key: String) throws -> [String] {
        try elements(in: file, key: key, "strings") { $0.string }
    }

    /// The elements of an array of integers of any width.
    func ints(in file: GGUFFile, key: String) throws -> [Int] {
        try elements(in: file, key: key, "integers") { $0.int }
    }

    private func elements<T>(
        in file: GGUFFile, key: String, _ expected: String, _ convert: (GGUFValue) -> T?
    ) throws -> [T] {
        try file.file.withBytes { bytes in
            var reader = GGUFReader(bytes: bytes, path: file.path)
            reader.position = position
            return try (0..<count).map { index in
                guard kind != .array, let element = convert(try GGUFValue.scalar(kind, &reader, "\(key)[\(index)]"))
                else {
                    throw CheckpointError.setting(
                        place: file.path, key: key, problem: "holds values of the wrong type",
                        expected: "an array of \(expected)", got: "\(kind)")
                }
                return element
            }
        }
    }
}
