import Foundation
import Runtime

extension JSONValue {
    /// The one spelling of a value that is digested: no spaces, keys sorted by their UTF-8 bytes, a number without a
    /// fraction that a double holds exactly (up to 2^53) as an integer, other numbers as the shortest text that reads back
    /// the same, strings escaped only where JSON demands it.
    ///
    /// In Python: `json.dumps(v, sort_keys=True, ensure_ascii=False, separators=(",", ":"))` once such floats are ints.
    public var canonicalJSON: [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(512)
        appendCanonical(to: &out)
        return out
    }

    private func appendCanonical(to out: inout [UInt8]) {
        switch self {
        case .null: out += "null".utf8
        case .bool(let value): out += (value ? "true" : "false").utf8
        case .integer(let value): out += String(value).utf8
        case .number(let value):
            if abs(value) <= 0x1p53, let integer = Int(exactly: value) {
                out += String(integer).utf8
            } else {
                out += "\(value)".utf8
            }
        case .string(let text): Self.appendCanonical(text, to: &out)
        case .array(let elements):
            out.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                element.appendCanonical(to: &out)
            }
            out.append(UInt8(ascii: "]"))
        case .object(let object):
            out.append(UInt8(ascii: "{"))
            let members = object.members
            // Places are sorted, which are lighter to move than members.
            let order = members.indices.sorted { Self.precedes(members[$0].key, members[$1].key) }
            for (index, place) in order.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                Self.appendCanonical(members[place].key, to: &out)
                out.append(UInt8(ascii: ":"))
                members[place].value.appendCanonical(to: &out)
            }
            out.append(UInt8(ascii: "}"))
        }
    }

    private static func precedes(_ a: String, _ b: String) -> Bool {
        var (a, b) = (a, b)
        return a.withUTF8 { a in b.withUTF8 { b in a.lexicographicallyPrecedes(b) } }
    }

    private static func appendCanonical(_ text: String, to out: inout [UInt8]) {
        var text = text
        text.withUTF8 { bytes in
            out.append(UInt8(ascii: "\""))
            if bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x22 && $0 != 0x5C }) {
                out += bytes
            } else {
                for byte in bytes { appendEscaped(byte, to: &out) }
            }
            out.append(UInt8(ascii: "\""))
        }
    }

    private static func appendEscaped(_ byte: UInt8, to out: inout [UInt8]) {
        switch byte {
        case 0x22, 0x5C: out += [0x5C, byte]
        case 0x08: out += [0x5C, UInt8(ascii: "b")]
        case 0x09: out += [0x5C, UInt8(ascii: "t")]
        case 0x0A: out += [0x5C, UInt8(ascii: "n")]
        case 0x0C: out += [0x5C, UInt8(ascii: "f")]
        case 0x0D: out += [0x5C, UInt8(ascii: "r")]
        case 0..<0x20:
            let digits = Array("0123456789abcdef".utf8)
            out += [0x5C, UInt8(ascii: "u"), 0x30, 0x30, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        default: out.append(byte)
        }
    }
}
