/// A pull scanner over JSON text (RFC 8259) that copies nothing and builds no tree: a tokenizer.json of 150 000 tokens is
/// 11 MB, and a tree of it would take longer than everything else about loading it.
///
/// The caller must have checked that the bytes are UTF-8 (`firstInvalidUTF8`); everything else is checked here.
struct JSONScanner {
    /// Deep enough for any real file; a hostile one must not exhaust the stack.
    static let maximumDepth = 256

    enum Kind { case object, array, string, number, bool, null }

    private let bytes: UnsafeBufferPointer<UInt8>
    private let place: String
    /// Holds a string with escapes, decoded; kept between strings for its capacity.
    private var scratch: [UInt8] = []
    private(set) var position: Int

    init(_ bytes: UnsafeBufferPointer<UInt8>, from position: Int = 0, place: String) {
        self.bytes = bytes
        self.place = place
        self.position = position
    }

    func failure(_ problem: String, at offset: Int? = nil) -> TokenizerError {
        .malformed(place: place, offset: offset ?? position, problem: problem)
    }

    /// The kind of the value that follows.
    mutating func peek() throws(TokenizerError) -> Kind {
        skipWhitespace()
        guard position < bytes.count else { throw failure("the file ends where a value was expected") }
        switch bytes[position] {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        default: throw failure("expected a JSON value")
        }
    }

    /// Enters an object or array; false where it is empty, and then it is left already.
    mutating func open(_ bracket: Unicode.Scalar, _ closing: Unicode.Scalar) throws(TokenizerError) -> Bool {
        skipWhitespace()
        guard take(bracket) else { throw failure("expected '\(bracket)'") }
        skipWhitespace()
        return !take(closing)
    }

    /// After a member: true where another one follows, false where the object or array has been left.
    mutating func more(_ closing: Unicode.Scalar) throws(TokenizerError) -> Bool {
        skipWhitespace()
        if take(",") { return true }
        guard take(closing) else {
            throw failure(position < bytes.count ? "expected ',' or '\(closing)'" : "the file ends inside a value")
        }
        return false
    }

    /// Reads each member of an object; `member` gets the key and must consume the value.
    mutating func object(_ member: (inout JSONScanner, String) throws -> Void) throws {
        guard try open("{", "}") else { return }
        repeat {
            let key = try self.string()
            try colon()
            try member(&self, key)
        } while try more("}")
    }

    /// Reads each element of an array; `element` must consume it.
    mutating func array(_ element: (inout JSONScanner) throws -> Void) throws {
        guard try open("[", "]") else { return }
        repeat { try element(&self) } while try more("]")
    }

    mutating func colon() throws(TokenizerError) {
        skipWhitespace()
        guard take(":") else { throw failure("expected ':' after a key") }
    }

    mutating func string() throws -> String {
        try string { String(decoding: $0, as: UTF8.self) }
    }

    /// Hands the string's decoded UTF-8 to `body`; the bytes are valid only inside it.
    mutating func string<R>(_ body: (UnsafeBufferPointer<UInt8>) throws -> R) throws -> R {
        skipWhitespace()
        let start = position
        guard take("\"") else { throw failure("expected a string") }
        var end = position
        while end < bytes.count, bytes[end] != UInt8(ascii: "\""), bytes[end] != UInt8(ascii: "\\"), bytes[end] >= 0x20
        {
            end += 1
        }
        guard end < bytes.count else { throw failure("a string without end", at: start) }
        if bytes[end] == UInt8(ascii: "\"") {
            let text = UnsafeBufferPointer(rebasing: bytes[position..<end])
            position = end + 1
            return try body(text)
        }
        try unescape(from: start, plainTo: end)
        return try scratch.withUnsafeBufferPointer(body)
    }

    mutating func bool() throws(TokenizerError) -> Bool {
        skipWhitespace()
        if takeWord("true") { return true }
        if takeWord("false") { return false }
        throw failure("expected true or false")
    }

    /// A whole number that fits 63 bits; anything else is refused.
    mutating func integer() throws(TokenizerError) -> Int {
        skipWhitespace()
        let start = position
        let negative = take("-")
        var value = 0
        let first = position
        while position < bytes.count, case let digit = bytes[position] &- 0x30, digit < 10 {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(Int(digit))
            guard !overflow, !carry else { throw failure("a number out of range", at: start) }
            value = sum
            position += 1
        }
        guard position > first else { throw failure("expected a whole number", at: start) }
        if bytes[first] == UInt8(ascii: "0"), position > first + 1 {
            throw failure("a number with a leading zero", at: start)
        }
        if position < bytes.count, [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(bytes[position]) {
            throw failure("expected a whole number", at: start)
        }
        return negative ? -value : value
    }

    /// Passes over a value of any kind; its bytes, for another parser, are those between the positions before and after.
    mutating func skip(depth: Int = 0) throws {
        guard depth < Self.maximumDepth else { throw failure("nested more than \(Self.maximumDepth) levels deep") }
        switch try peek() {
        case .object:
            try object { scanner, _ in try scanner.skip(depth: depth + 1) }
        case .array:
            try array { scanner in try scanner.skip(depth: depth + 1) }
        case .string: try string { _ in }
        case .bool: _ = try bool()
        case .null: guard takeWord("null") else { throw failure("expected a JSON value") }
        case .number:
            while position < bytes.count, Self.isNumberByte(bytes[position]) { position += 1 }
        }
    }

    /// A value parsed as a tree, for the small parts of a file.
    mutating func value() throws -> JSONValue {
        skipWhitespace()
        let start = position
        try skip()
        let text = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[start..<position])
        do {
            return try JSONValue(parsing: text, place: place)
        } catch let error {
            throw failure(error.problem, at: start + error.offset)
        }
    }

    /// Nothing but white space may follow the document.
    mutating func end() throws(TokenizerError) {
        skipWhitespace()
        guard position == bytes.count else { throw failure("more text after the end of the JSON value") }
    }

    private static func isNumberByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
            UInt8(ascii: "e"), UInt8(ascii: "E"):
            true
        default: false
        }
    }

    private mutating func skipWhitespace() {
        while position < bytes.count {
            let byte = bytes[position]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            position += 1
        }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(truncatingIfNeeded: character.value) else {
            return false
        }
        position += 1
        return true
    }

    private mutating func takeWord(_ word: StaticString) -> Bool {
        let word = UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
        guard bytes.count - position >= word.count, bytes[position..<position + word.count].elementsEqual(word) else {
            return false
        }
        position += word.count
        return true
    }

    /// The slow path: a string with an escape in it, decoded into `scratch`.
    private mutating func unescape(from start: Int, plainTo end: Int) throws(TokenizerError) {
        scratch.removeAll(keepingCapacity: true)
        scratch.append(contentsOf: bytes[position..<end])
        position = end
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return
            case UInt8(ascii: "\\"): try escape()
            case 0..<0x20: throw failure("a control character in a string must be escaped", at: position - 1)
            default: scratch.append(byte)
            }
        }
        throw failure("a string without end", at: start)
    }

    private mutating func escape() throws(TokenizerError) {
        guard position < bytes.count else { throw failure("the file ends inside a string") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scratch.append(byte)
        case UInt8(ascii: "b"): scratch.append(0x08)
        case UInt8(ascii: "f"): scratch.append(0x0C)
        case UInt8(ascii: "n"): scratch.append(0x0A)
        case UInt8(ascii: "r"): scratch.append(0x0D)
        case UInt8(ascii: "t"): scratch.append(0x09)
        case UInt8(ascii: "u"):
            let start = position - 2
            var value = try fourHexDigits()
            if (0xD800..<0xDC00).contains(value), takeWord("\\u") {
                let low = try fourHexDigits()
                guard (0xDC00..<0xE000).contains(low) else { throw failure("half a surrogate pair", at: start) }
                value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(value) else { throw failure("half a surrogate pair", at: start) }
            scratch.append(contentsOf: UTF8.encode(scalar)!)
        default: throw failure("an escape that JSON does not have", at: position - 1)
        }
    }

    private mutating func fourHexDigits() throws(TokenizerError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard position < bytes.count, let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue else {
                throw failure("expected four hexadecimal digits after \\u")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }
}

/// Where the first byte sequence stands that is not UTF-8; nil where all is well.
func firstInvalidUTF8(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
    let raw = UnsafeRawBufferPointer(bytes)
    var index = 0
    let count = bytes.count
    func continues(_ offset: Int, _ range: ClosedRange<UInt8> = 0x80...0xBF) -> Bool {
        index + offset < count && range.contains(bytes[index + offset])
    }
    while index < count {
        let byte = bytes[index]
        if byte < 0x80 {
            index += 1
            while index + 8 <= count,
                raw.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
            {
                index += 8
            }
            continue
        }
        switch byte {
        case 0xC2...0xDF:
            guard continues(1) else { return index }
            index += 2
        case 0xE0...0xEF:
            let second: ClosedRange<UInt8> = byte == 0xE0 ? 0xA0...0xBF : byte == 0xED ? 0x80...0x9F : 0x80...0xBF
            guard continues(1, second), continues(2) else { return index }
            index += 3
        case 0xF0...0xF4:
            let second: ClosedRange<UInt8> = byte == 0xF0 ? 0x90...0xBF : byte == 0xF4 ? 0x80...0x8F : 0x80...0xBF
            guard continues(1, second), continues(2), continues(3) else { return index }
            index += 4
        default: return index
        }
    }
    return nil
}
