import Foundation

/// The shape of a JSON text that a model is held to, token by token: the part of JSON Schema (2020-12) whose texts can be
/// told from their beginnings. A keyword that would be ignored is refused.
///
/// - `object` with `properties`: all of them, in the schema's order, whatever `required` says.
/// - `array` with `items`, `minItems`, `maxItems` (at most 64 unless told otherwise).
/// - `string` with `minLength`, `maxLength` in Unicode scalars; without `\u` escapes.
/// - `number` with at most six decimals, `integer`: `minimum`, `maximum`, at most fifteen digits before the point.
/// - `boolean`, `null`, `enum`, `const`.
///
/// Texts have one space after each comma and colon, and no other.
public struct JSONSchema: Sendable, Hashable, Codable {
    enum Part: Sendable, Hashable, Codable {
        case bytes([UInt8])
        case node(Int)
    }

    enum Node: Sendable, Hashable, Codable {
        /// One part after the other: an object.
        case sequence([Part])
        /// One of these texts, none empty.
        case literals([[UInt8]])
        case string(length: ClosedRange<Int>)
        case number(JSONNumberBounds, shortest: [UInt8])
        case array(item: Int, count: ClosedRange<Int>)
    }

    private(set) var nodes: [Node] = []
    private(set) var root = 0

    /// - Throws: `JSONSchemaError` that names the place and the keyword; `JSONError` where it is no JSON.
    public init(parsing data: Data, place: String) throws {
        try self.init(JSONValue(parsing: data, place: place), place: place)
    }

    /// - Throws: `JSONSchemaError`.
    public init(_ value: JSONValue, place: String = "schema") throws {
        root = try add(value, place, depth: 0)
    }

    private static let annotations: Set = [
        "type", "title", "description", "default", "examples", "$schema", "$id", "$comment", "additionalProperties",
        "required",
    ]

    private mutating func add(_ value: JSONValue, _ place: String, depth: Int) throws -> Int {
        guard depth < 32 else { throw JSONSchemaError(place, "is nested deeper than 32 levels") }
        guard let schema = value.object else { throw JSONSchemaError(place, "is no object, but \(value.kind)") }
        func allow(_ keywords: Set<String>) throws {
            for key in schema.keys where !keywords.contains(key) && !Self.annotations.contains(key) {
                throw JSONSchemaError(place, "has \"\(key)\", which cannot be kept to")
            }
        }
        if let choices = schema["enum"] ?? schema["const"].map({ .array([$0]) }) {
            try allow(["enum", "const"])
            guard let choices = choices.array, !choices.isEmpty else {
                throw JSONSchemaError(place, "has an \"enum\" that is no list of values")
            }
            return append(.literals(choices.map { [UInt8]($0.serialized(indent: nil)) }))
        }
        guard let type = schema["type"]?.string else {
            throw JSONSchemaError(place, "has no \"type\" that is one name, no \"enum\" and no \"const\"")
        }
        switch type {
        case "object":
            try allow(["properties"])
            let properties = schema["properties"]?.object?.members ?? []
            let names = Set(properties.map(\.key))
            for name in schema["required"]?.array ?? [] where !names.contains(name.string ?? "") {
                throw JSONSchemaError(place, "requires \(name.string ?? name.kind), which is no property of it")
            }
            var parts: [Part] = []
            var text = "{"
            for (index, property) in properties.enumerated() {
                let key = String(decoding: JSONValue.string(property.key).serialized(indent: nil), as: UTF8.self)
                parts.append(.bytes(Array((text + (index > 0 ? ", " : "") + key + ": ").utf8)))
                text = ""
                parts.append(.node(try add(property.value, "\(place).properties.\(property.key)", depth: depth + 1)))
            }
            parts.append(.bytes(Array((text + "}").utf8)))
            return append(.sequence(parts))
        case "array":
            try allow(["items", "minItems", "maxItems"])
            guard let items = schema["items"] else { throw JSONSchemaError(place, "is an array without \"items\"") }
            let count = try range(schema, "minItems", "maxItems", unlimited: 64, place)
            return append(.array(item: try add(items, "\(place).items", depth: depth + 1), count: count))
        case "string":
            try allow(["minLength", "maxLength"])
            return append(.string(length: try range(schema, "minLength", "maxLength", unlimited: 1 << 20, place)))
        case "number", "integer":
            try allow(["minimum", "maximum"])
            for key in ["minimum", "maximum"] where schema[key] != nil && schema[key]?.double?.isFinite != true {
                throw JSONSchemaError(place, "has a \"\(key)\" that is no number")
            }
            let bounds = JSONNumberBounds(
                minimum: schema["minimum"]?.double, maximum: schema["maximum"]?.double, isInteger: type == "integer")
            guard let shortest = bounds.shortest(from: []) else {
                throw JSONSchemaError(place, "leaves no number between \"minimum\" and \"maximum\"")
            }
            return append(.number(bounds, shortest: shortest))
        case "boolean":
            try allow([])
            return append(.literals([Array("true".utf8), Array("false".utf8)]))
        case "null":
            try allow([])
            return append(.literals([Array("null".utf8)]))
        default:
            throw JSONSchemaError(place, "has the unknown type \"\(type)\"")
        }
    }

    private mutating func append(_ node: Node) -> Int {
        nodes.append(node)
        return nodes.count - 1
    }

    /// Bytes by which one token can lengthen the shortest way to the end, at most: by an escape, by each optional item
    /// that it opens, and by the number that it begins, which may have to grow into its bounds.
    var longestDetour: Int {
        var items = 0
        var number = 0
        for node in nodes {
            switch node {
            case .array(let item, _): items += JSONState(self, from: item).closing(self).count + 2
            case .number(let bounds, _): number = max(number, bounds.longestDetour)
            case .sequence, .literals, .string: break
            }
        }
        return 1 + items + number
    }

    private func range(
        _ schema: JSONObject, _ least: String, _ most: String, unlimited: Int, _ place: String
    ) throws -> ClosedRange<Int> {
        for key in [least, most] where schema[key] != nil && schema[key]?.int.map({ $0 >= 0 }) != true {
            throw JSONSchemaError(place, "has a \"\(key)\" that is no whole number ≥ 0")
        }
        let lower = schema[least]?.int ?? 0
        let upper = schema[most]?.int ?? max(unlimited, lower)
        guard lower <= upper else { throw JSONSchemaError(place, "has a \"\(least)\" above its \"\(most)\"") }
        return lower...upper
    }
}

/// A schema that cannot be kept to.
public struct JSONSchemaError: WordedError, Equatable {
    public let place: String
    public let problem: String

    init(_ place: String, _ problem: String) {
        self.place = place
        self.problem = problem
    }

    public var wording: Wording {
        Wording(
            place, "the schema \(problem)",
            advice: "keep to object, array, string, number, integer, boolean, null, enum and const")
    }
}
