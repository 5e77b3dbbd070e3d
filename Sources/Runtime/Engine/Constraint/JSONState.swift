/// How far a JSON text of a schema has come: a stack of what is open, innermost last. Empty at the text's end.
package struct JSONState: Sendable, Hashable {
    private enum Frame: Sendable, Hashable {
        case sequence(node: Int, part: Int, offset: Int)
        /// `matched` bytes of literal `which`, and of all literals with the same beginning.
        case literals(node: Int, which: Int, matched: Int)
        /// `count` scalars so far.
        case string(node: Int, count: Int, StringPhase)
        case number(node: Int, text: [UInt8])
        /// `count` items, the one at work included.
        case array(node: Int, count: Int, ArrayPhase)

        var node: Int {
            switch self {
            case .sequence(let node, _, _), .literals(let node, _, _), .string(let node, _, _),
                .number(let node, _), .array(let node, _, _):
                node
            }
        }
    }

    private enum StringPhase: Sendable, Hashable {
        case opening, body, escape
        /// Within a UTF-8 scalar: bytes to come, and what the next may be.
        case scalar(left: Int, next: ClosedRange<UInt8>)
    }

    private enum ArrayPhase: Sendable, Hashable {
        /// Before the bracket, behind it, behind an item, behind a comma, and behind the comma's space.
        case opening, first, next, space, item
    }

    private enum Outcome {
        case taken(Frame?)
        case opens(Frame, inner: Int)
        case ends
        case refused
    }

    private var stack: [Frame]

    package init(_ schema: JSONSchema) { self.init(schema, from: schema.root) }

    init(_ schema: JSONSchema, from node: Int) { stack = [Self.frame(node, schema)] }

    private mutating func push(_ node: Int, _ schema: JSONSchema) {
        stack.append(Self.frame(node, schema))
    }

    private static func frame(_ node: Int, _ schema: JSONSchema) -> Frame {
        switch schema.nodes[node] {
        case .sequence: .sequence(node: node, part: 0, offset: 0)
        case .literals: .literals(node: node, which: 0, matched: 0)
        case .string: .string(node: node, count: 0, .opening)
        case .number: .number(node: node, text: [])
        case .array: .array(node: node, count: 0, .opening)
        }
    }

    /// Whether the text may end here.
    package func canEnd(_ schema: JSONSchema) -> Bool { stack.allSatisfy { Self.canEnd($0, schema) } }

    /// Whether the text must end here.
    package var isFinished: Bool { stack.isEmpty }

    /// Takes the text's next byte; false, and no use any more, where no text of the schema goes on like this.
    package mutating func take(_ byte: UInt8, _ schema: JSONSchema) -> Bool {
        while let frame = stack.popLast() {
            switch Self.advance(frame, byte, schema) {
            case .taken(let next):
                if let next { stack.append(next) }
                return true
            case .opens(let outer, let inner):
                stack.append(outer)
                push(inner, schema)
            case .ends: continue
            case .refused: return false
            }
        }
        return false
    }

    private static func canEnd(_ frame: Frame, _ schema: JSONSchema) -> Bool {
        switch (frame, schema.nodes[frame.node]) {
        case (.sequence(_, let part, _), .sequence(let parts)): part == parts.count
        case (.literals(_, let which, let matched), .literals(let texts)):
            texts.contains { $0.count == matched && $0.elementsEqual(texts[which].prefix(matched)) }
        case (.number(_, let text), .number(let bounds, _)): bounds.isComplete(text)
        default: false
        }
    }

    private static func advance(_ frame: Frame, _ byte: UInt8, _ schema: JSONSchema) -> Outcome {
        switch (frame, schema.nodes[frame.node]) {
        case (.sequence(let node, let part, let offset), .sequence(let parts)):
            guard part < parts.count else { return .ends }
            switch parts[part] {
            case .node(let inner): return .opens(.sequence(node: node, part: part + 1, offset: 0), inner: inner)
            case .bytes(let bytes):
                guard bytes[offset] == byte else { return .refused }
                if offset + 1 < bytes.count { return .taken(.sequence(node: node, part: part, offset: offset + 1)) }
                return .taken(part + 1 < parts.count ? .sequence(node: node, part: part + 1, offset: 0) : nil)
            }
        case (.literals(let node, let which, let matched), .literals(let texts)):
            let start = texts[which].prefix(matched)
            let going = texts.indices.filter { texts[$0].count > matched && texts[$0].starts(with: start) }
            guard let next = going.first(where: { texts[$0][matched] == byte }) else {
                return canEnd(frame, schema) ? .ends : .refused
            }
            let isLast = !texts.contains { $0.count > matched + 1 && $0.starts(with: texts[next].prefix(matched + 1)) }
            return .taken(isLast ? nil : .literals(node: node, which: next, matched: matched + 1))
        case (.string(let node, let count, let phase), .string(let length)):
            return string(node, count, phase, byte, length)
        case (.number(let node, let text), .number(let bounds, _)):
            if bounds.isViable(text + [byte]) { return .taken(.number(node: node, text: text + [byte])) }
            return bounds.isComplete(text) ? .ends : .refused
        case (.array(let node, let count, let phase), .array(let item, let limits)):
            switch (phase, byte) {
            case (.opening, UInt8(ascii: "[")): return .taken(.array(node: node, count: 0, .first))
            case (.first, UInt8(ascii: "]")), (.next, UInt8(ascii: "]")):
                return count >= limits.lowerBound ? .taken(nil) : .refused
            case (.first, _) where limits.upperBound > 0, (.item, _):
                return .opens(.array(node: node, count: count + 1, .next), inner: item)
            case (.next, UInt8(ascii: ",")) where count < limits.upperBound:
                return .taken(.array(node: node, count: count, .space))
            case (.space, UInt8(ascii: " ")): return .taken(.array(node: node, count: count, .item))
            default: return .refused
            }
        default:
            preconditionFailure("a frame of another node")
        }
    }

    private static func string(
        _ node: Int, _ count: Int, _ phase: StringPhase, _ byte: UInt8, _ length: ClosedRange<Int>
    ) -> Outcome {
        switch phase {
        case .opening:
            return byte == UInt8(ascii: "\"") ? .taken(.string(node: node, count: 0, .body)) : .refused
        case .escape:
            return "\"\\/bfnrt".utf8.contains(byte)
                ? .taken(.string(node: node, count: count + 1, .body)) : .refused
        case .scalar(let left, let next):
            guard next.contains(byte) else { return .refused }
            return .taken(
                left == 1
                    ? .string(node: node, count: count + 1, .body)
                    : .string(node: node, count: count, .scalar(left: left - 1, next: 0x80...0xBF)))
        case .body:
            if byte == UInt8(ascii: "\"") { return count >= length.lowerBound ? .taken(nil) : .refused }
            guard count < length.upperBound, byte >= 0x20 else { return .refused }
            if byte == UInt8(ascii: "\\") { return .taken(.string(node: node, count: count, .escape)) }
            if byte < 0x80 { return .taken(.string(node: node, count: count + 1, .body)) }
            // Well-formed UTF-8 (Unicode, table 3-7).
            let scalar: (Int, ClosedRange<UInt8>)? =
                switch byte {
                case 0xC2...0xDF: (1, 0x80...0xBF)
                case 0xE0: (2, 0xA0...0xBF)
                case 0xED: (2, 0x80...0x9F)
                case 0xE1...0xEF: (2, 0x80...0xBF)
                case 0xF0: (3, 0x90...0xBF)
                case 0xF1...0xF3: (3, 0x80...0xBF)
                case 0xF4: (3, 0x80...0x8F)
                default: nil
                }
            guard let (left, next) = scalar else { return .refused }
            return .taken(.string(node: node, count: count, .scalar(left: left, next: next)))
        }
    }
}

extension JSONState {
    /// Scalars that the string at work may still take, where the text stands between two of its scalars.
    func scalarsLeft(_ schema: JSONSchema) -> Int? {
        guard case .string(let node, let count, .body) = stack.last, case .string(let length) = schema.nodes[node]
        else { return nil }
        return length.upperBound - count
    }

    /// The same state for all purposes of a token of at most `longest` scalars: far from a string's limits, its length
    /// does not matter.
    func normalised(_ schema: JSONSchema, longest: Int) -> JSONState {
        guard case .string(let node, let count, let phase) = stack.last,
            case .string(let length) = schema.nodes[node],
            count >= length.lowerBound, length.upperBound - count > longest
        else { return self }
        var copy = self
        copy.stack[stack.count - 1] = .string(node: node, count: length.lowerBound, phase)
        return copy
    }

    /// A short way to the end of the text. A scalar that has only begun is not completed: its bytes are to be dropped
    /// or replaced.
    package func closing(_ schema: JSONSchema) -> [UInt8] { stack.reversed().flatMap { Self.closing($0, schema) } }

    private static func closing(_ frame: Frame, _ schema: JSONSchema) -> [UInt8] {
        switch (frame, schema.nodes[frame.node]) {
        case (.sequence(_, let part, let offset), .sequence(let parts)):
            return parts[part...].enumerated().flatMap { index, part -> [UInt8] in
                switch part {
                case .bytes(let bytes): Array(bytes.dropFirst(index == 0 ? offset : 0))
                case .node(let inner): closing(Self.frame(inner, schema), schema)
                }
            }
        case (.literals(_, let which, let matched), .literals(let texts)):
            let start = texts[which].prefix(matched)
            let shortest = texts.filter { $0.starts(with: start) }.min { $0.count < $1.count }!
            return Array(shortest.dropFirst(matched))
        case (.string(_, let count, let phase), .string(let length)):
            let open: [UInt8] = phase == .opening ? [34] : phase == .escape ? [UInt8(ascii: "n")] : []
            let isInside = if case .scalar = phase { true } else { phase == .escape }
            let missing = max(0, length.lowerBound - count - (isInside ? 1 : 0))
            return open + Array(repeating: 32, count: missing) + [34]
        case (.number(_, let text), .number(let bounds, let shortest)):
            return text.isEmpty ? shortest : bounds.shortest(from: text) ?? []
        case (.array(_, let count, let phase), .array(let item, let limits)):
            let one = closing(Self.frame(item, schema), schema)
            var bytes: [UInt8] = phase == .opening ? [UInt8(ascii: "[")] : []
            var done = count
            if phase == .space || phase == .item {
                bytes += (phase == .space ? [32] : []) + one
                done += 1
            }
            for index in done..<max(done, limits.lowerBound) {
                bytes += (index > 0 ? Array(", ".utf8) : []) + one
            }
            return bytes + [UInt8(ascii: "]")]
        default:
            preconditionFailure("a frame of another node")
        }
    }
}
