/// A JSON document, with the order of its members and the difference between 1 and 1.0 kept, so that a file can be read,
/// changed in one place and written back.
public enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    /// A number written without fraction or exponent that fits 64 bits.
    case integer(Int)
    /// Any other number.
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    public var isNull: Bool { self == .null }

    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }

    /// An integer, however it is written: 10000 and 10000.0 and 1e4 are the same number.
    public var int: Int? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int(exactly: value)
        default: nil
        }
    }

    public var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    public var string: String? { if case .string(let value) = self { value } else { nil } }
    public var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    public var object: JSONObject? { if case .object(let value) = self { value } else { nil } }

    /// The member of an object; nil where there is none or this is no object.
    public subscript(key: String) -> JSONValue? { object?[key] }

    /// What kind of value this is, for messages.
    public var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer: "an integer"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// The members of a JSON object in the file's order. Keys are unique: the parser refuses a second one.
public struct JSONObject: Sendable, Equatable, ExpressibleByDictionaryLiteral {
    public private(set) var keys: [String] = []
    private var values: [ExactKey: JSONValue] = [:]

    /// Keys are compared byte by byte: Swift's own equality would take "é" and "e" + accent for the same key.
    private struct ExactKey: Hashable, Sendable {
        let text: String

        static func == (a: ExactKey, b: ExactKey) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }

        func hash(into hasher: inout Hasher) {
            var text = text
            text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        }
    }

    public init() {}

    /// A key that occurs twice keeps its last value.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        for (key, value) in elements { self[key] = value }
    }

    public var count: Int { keys.count }

    /// Setting a new key appends it; setting nil removes the key.
    public subscript(key: String) -> JSONValue? {
        get { values[ExactKey(text: key)] }
        set {
            guard let newValue else {
                if values.removeValue(forKey: ExactKey(text: key)) != nil {
                    keys.removeAll { $0.utf8.elementsEqual(key.utf8) }
                }
                return
            }
            if values.updateValue(newValue, forKey: ExactKey(text: key)) == nil { keys.append(key) }
        }
    }

    /// Appends a member; false, and nothing changed, where the key is there already.
    package mutating func append(_ key: String, _ value: JSONValue) -> Bool {
        let exact = ExactKey(text: key)
        if let old = values.updateValue(value, forKey: exact) {
            values[exact] = old
            return false
        }
        keys.append(key)
        return true
    }

    public var members: [(key: String, value: JSONValue)] { keys.map { ($0, values[ExactKey(text: $0)]!) } }

    /// Two objects are equal whatever the order of their members.
    public static func == (a: JSONObject, b: JSONObject) -> Bool { a.values == b.values }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        var object = JSONObject()
        for (key, value) in elements { object[key] = value }
        self = .object(object)
    }
}

extension JSONValue: ExpressibleByNilLiteral {
    public init(nilLiteral: ()) { self = .null }
}
