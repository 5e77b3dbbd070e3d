import Foundation

/// Why a text is no JSON, and where.
public struct JSONError: WordedError, Equatable {
    public let place: String
    /// Counted from 1; the column in bytes.
    public let line: Int
    public let column: Int
    /// Bytes from the start of the document.
    public let offset: Int
    public let problem: String

    public var wording: Wording { Wording("\(place), line \(line), column \(column) (byte \(offset))", problem) }
}

extension JSONValue {
    /// Parses a whole document as RFC 8259 has it, with nothing forgiven: no byte order mark, no comments, no trailing
    /// commas, valid UTF-8, no lone surrogates, and no key twice in one object. `place` names the document in errors.
    public init(parsing data: Data, place: String) throws(JSONError) {
        let result: Result<JSONValue, JSONError> = data.withUnsafeBytes { bytes in
            Result { () throws(JSONError) in try JSONValue(parsing: bytes, place: place) }
        }
        self = try result.get()
    }

    public init(parsing bytes: UnsafeRawBufferPointer, place: String) throws(JSONError) {
        var parser = JSONParser(bytes: bytes.bindMemory(to: UInt8.self), place: place)
        self = try parser.document()
    }
}

private struct JSONParser {
    /// Deep enough for any real file; a hostile one must not exhaust the stack.
    static let maximumDepth = 256

    let bytes: UnsafeBufferPointer<UInt8>
    let place: String
    var position = 0

    init(bytes: UnsafeBufferPointer<UInt8>, place: String) {
        self.bytes = bytes
        self.place = place
    }

    mutating func document() throws(JSONError) -> JSONValue {
        if bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF {
            throw failure("JSON must not begin with a byte order mark")
        }
        let value = try self.value(depth: 0)
        skipWhitespace()
        guard position == bytes.count else { throw failure("more text after the end of the JSON value") }
        return value
    }

    mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        guard depth < Self.maximumDepth else { throw failure("nested more than \(Self.maximumDepth) levels deep") }
        skipWhitespace()
        switch try peek("a value") {
        case UInt8(ascii: "{"): return .object(try object(depth: depth))
        case UInt8(ascii: "["): return .array(try array(depth: depth))
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    mutating func object(depth: Int) throws(JSONError) -> JSONObject {
        position += 1
        var object = JSONObject()
        skipWhitespace()
        if take("}") { return object }
        while true {
            skipWhitespace()
            let start = position
            guard try peek("a key") == UInt8(ascii: "\"") else { throw failure("expected a key in quotation marks") }
            let key = try string()
            skipWhitespace()
            guard take(":") else { throw failure("expected ':' after the key \(quoted(key))") }
            guard object.append(key, try value(depth: depth + 1)) else {
                throw failure("the key \(quoted(key)) occurs twice", at: start)
            }
            skipWhitespace()
            if take(",") { continue }
            if take("}") { return object }
            throw failure("expected ',' or '}' in an object")
        }
    }

    mutating func array(depth: Int) throws(JSONError) -> [JSONValue] {
        position += 1
        var array: [JSONValue] = []
        skipWhitespace()
        if take("]") { return array }
        while true {
            array.append(try value(depth: depth + 1))
            skipWhitespace()
            if take(",") { continue }
            if take("]") { return array }
            throw failure("expected ',' or ']' in an array")
        }
    }

    mutating func string() throws(JSONError) -> String {
        let start = position
        position += 1
        var end = position
        while end < bytes.count, bytes[end] != UInt8(ascii: "\""), bytes[end] != UInt8(ascii: "\\"), bytes[end] >= 0x20
        {
            end += 1
        }
        guard end < bytes.count else { throw failure("a string without end", at: start) }
        if bytes[end] == UInt8(ascii: "\"") {
            let text = UnsafeBufferPointer(rebasing: bytes[position..<end])
            position = end + 1
            return try utf8(text, at: start)
        }
        return try escapedString(from: start, plainTo: end)
    }

    /// The slow path: a string that holds an escape or a control character.
    mutating func escapedString(from start: Int, plainTo end: Int) throws(JSONError) -> String {
        var text = Array(bytes[position..<end])
        position = end
        while true {
            guard position < bytes.count else { throw failure("a string without end", at: start) }
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                position += 1
                // A surrogate pair was checked when it was read; everything else is checked here.
                let result: Result<String, JSONError> = text.withUnsafeBufferPointer { buffer in
                    Result { () throws(JSONError) in try utf8(buffer, at: start) }
                }
                return try result.get()
            }
            guard byte >= 0x20 else { throw failure("a control character in a string must be escaped") }
            position += 1
            guard byte == UInt8(ascii: "\\") else {
                text.append(byte)
                continue
            }
            switch try peek("an escape") {
            case UInt8(ascii: "\""): text.append(0x22)
            case UInt8(ascii: "\\"): text.append(0x5C)
            case UInt8(ascii: "/"): text.append(0x2F)
            case UInt8(ascii: "b"): text.append(0x08)
            case UInt8(ascii: "f"): text.append(0x0C)
            case UInt8(ascii: "n"): text.append(0x0A)
            case UInt8(ascii: "r"): text.append(0x0D)
            case UInt8(ascii: "t"): text.append(0x09)
            case UInt8(ascii: "u"):
                position += 1
                text.append(contentsOf: String(try unicodeEscape()).utf8)
                continue
            default: throw failure("an escape that JSON does not have")
            }
            position += 1
        }
    }

    /// The character of \uXXXX, or of the two that make a surrogate pair; the position stands after the 'u'.
    mutating func unicodeEscape() throws(JSONError) -> Character {
        let start = position - 2
        let first = try fourHexDigits()
        if let scalar = Unicode.Scalar(first) { return Character(scalar) }
        guard (0xD800..<0xDC00).contains(first), take("\\"), take("u") else {
            throw failure("half a surrogate pair", at: start)
        }
        let second = try fourHexDigits()
        guard (0xDC00..<0xE000).contains(second),
            let scalar = Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
        else { throw failure("half a surrogate pair", at: start) }
        return Character(scalar)
    }

    mutating func fourHexDigits() throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            let byte = try peek("a hexadecimal digit")
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw failure("expected four hexadecimal digits after \\u")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }

    mutating func number() throws(JSONError) -> JSONValue {
        let start = position
        _ = take("-")
        guard digits() > 0 else { throw failure("expected a JSON value", at: start) }
        let first = bytes[start] == UInt8(ascii: "-") ? start + 1 : start
        if bytes[first] == UInt8(ascii: "0"), position > first + 1 {
            throw failure("a number with a leading zero", at: start)
        }
        var isInteger = true
        if take(".") {
            isInteger = false
            guard digits() > 0 else { throw failure("a number without digits after its point", at: start) }
        }
        if take("e") || take("E") {
            isInteger = false
            if !take("+") { _ = take("-") }
            guard digits() > 0 else { throw failure("a number without digits in its exponent", at: start) }
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isInteger, let value = Int(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw failure("a number out of range", at: start) }
        return .number(value)
    }

    private mutating func digits() -> Int {
        let start = position
        while position < bytes.count, (0x30...0x39).contains(bytes[position]) { position += 1 }
        return position - start
    }

    private mutating func word(_ text: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        let word = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        guard bytes.count - position >= word.count, bytes[position..<position + word.count].elementsEqual(word) else {
            throw failure("expected a JSON value")
        }
        position += word.count
        return value
    }

    private mutating func skipWhitespace() {
        while position < bytes.count {
            let byte = bytes[position]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            position += 1
        }
    }

    private func peek(_ wanted: StaticString) throws(JSONError) -> UInt8 {
        guard position < bytes.count else { throw failure("the text ends where \(wanted) was expected") }
        return bytes[position]
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private func utf8(_ text: UnsafeBufferPointer<UInt8>, at start: Int) throws(JSONError) -> String {
        guard let string = String(validating: text, as: UTF8.self) else {
            throw failure("a string that is not valid UTF-8", at: start)
        }
        return string
    }

    /// A key as it can stand in a message: short, and without control characters.
    private func quoted(_ text: String) -> String { text.prefix(80).debugDescription }

    private func failure(_ problem: String, at offset: Int? = nil) -> JSONError {
        let offset = offset ?? position
        let before = bytes[..<offset]
        let line = before.reduce(into: 1) { if $1 == 0x0A { $0 += 1 } }
        let column = offset - (before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0) + 1
        return JSONError(place: place, line: line, column: column, offset: offset, problem: problem)
    }
}
