import Foundation

/// Typed access to the members of a JSON object, with errors that name the file, the key and the value.
/// A member that is null counts as absent, as it does in transformers.
struct Settings {
    let object: JSONObject
    let place: String
    /// Keys that lead to this object, each followed by a point.
    var prefix = ""

    init(_ value: JSONValue, place: String) throws {
        guard let object = value.object else {
            throw CheckpointError.malformed(
                path: place, problem: "no JSON object", expected: "an object", got: value.kind)
        }
        self.object = object
        self.place = place
    }

    private init(object: JSONObject, place: String, prefix: String) {
        self.object = object
        self.place = place
        self.prefix = prefix
    }

    subscript(key: String) -> JSONValue? {
        guard let value = object[key], !value.isNull else { return nil }
        return value
    }

    func isSet(_ key: String) -> Bool { self[key] != nil }

    func section(_ key: String) throws -> Settings {
        guard let object = try required(key).object else { throw kindFailure(key, "an object") }
        return Settings(object: object, place: place, prefix: prefix + key + ".")
    }

    /// A whole number from 1.
    func size(_ key: String, default fallback: Int? = nil, atMost limit: Int = Int(Int32.max)) throws -> Int {
        if let fallback, !isSet(key) { return fallback }
        guard let value = try required(key).int else { throw kindFailure(key, "a whole number") }
        guard (1...limit).contains(value) else {
            throw failure(key, "is out of range", expected: "1 to \(limit)", got: "\(value)")
        }
        return value
    }

    /// A number above 0.
    func positive(_ key: String, default fallback: Double? = nil, atMost limit: Double = .infinity) throws -> Double {
        if let fallback, !isSet(key) { return fallback }
        guard let value = try required(key).double else { throw kindFailure(key, "a number") }
        // JSON knows no infinity, GGUF's metadata do.
        guard value > 0, value <= limit, value.isFinite else {
            let range = limit.isFinite ? "a number above 0, up to \(limit)" : "a number above 0"
            throw failure(key, "is out of range", expected: range, got: "\(value)")
        }
        return value
    }

    func flag(_ key: String, default fallback: Bool) throws -> Bool {
        guard let value = self[key] else { return fallback }
        guard let flag = value.bool else { throw kindFailure(key, "true or false") }
        return flag
    }

    func text(_ key: String) throws -> String? {
        guard let value = self[key] else { return nil }
        guard let text = value.string else { throw kindFailure(key, "a string") }
        return text
    }

    /// One token id or a list of them; nil where the key is absent.
    func tokens(_ key: String) throws -> [Int32]? {
        guard let value = self[key] else { return nil }
        return try (value.array ?? [value]).map {
            guard let token = $0.int.flatMap(Int32.init(exactly:)), token >= 0 else {
                throw kindFailure(key, "a token id, or a list of them")
            }
            return token
        }
    }

    private func required(_ key: String) throws -> JSONValue {
        guard let value = self[key] else { throw failure(key, "is missing") }
        return value
    }

    func failure(_ key: String, _ problem: String, expected: String? = nil, got: String? = nil) -> CheckpointError {
        .setting(place: place, key: prefix + key, problem: problem, expected: expected, got: got)
    }

    private func kindFailure(_ key: String, _ expected: String) -> CheckpointError {
        failure(key, "is of the wrong kind", expected: expected, got: self[key].map(Self.short))
    }

    func unsupported(_ key: String, _ supported: String, value: JSONValue? = nil) -> CheckpointError {
        .unsupported(
            place: place, key: prefix + key, value: Self.short(value ?? self[key] ?? .null), supported: supported)
    }

    private static func short(_ value: JSONValue) -> String {
        printable(String(decoding: value.serialized(indent: nil), as: UTF8.self))
    }
}
