import Foundation

extension JSONValue {
    /// The document as UTF-8. Members stand in their order; `indent` spaces a level, or nil for one line without spaces.
    public func serialized(indent: Int? = 2) -> Data {
        var out: [UInt8] = []
        write(to: &out, indent: indent, level: 0)
        if indent != nil { out.append(0x0A) }
        return Data(out)
    }

    private func write(to out: inout [UInt8], indent: Int?, level: Int) {
        switch self {
        case .null: out += "null".utf8
        case .bool(let value): out += (value ? "true" : "false").utf8
        case .integer(let value): out += String(value).utf8
        case .number(let value):
            precondition(value.isFinite, "JSON has no number for \(value)")
            out += "\(value)".utf8
        case .string(let value): Self.write(value, to: &out)
        case .array(let elements):
            Self.write(elements, to: &out, "[", "]", indent, level) { element, out in
                element.write(to: &out, indent: indent, level: level + 1)
            }
        case .object(let object):
            Self.write(object.members, to: &out, "{", "}", indent, level) { member, out in
                Self.write(member.key, to: &out)
                out += (indent == nil ? ":" : ": ").utf8
                member.value.write(to: &out, indent: indent, level: level + 1)
            }
        }
    }

    private static func write<Element>(
        _ elements: [Element], to out: inout [UInt8], _ open: Unicode.Scalar, _ close: Unicode.Scalar, _ indent: Int?,
        _ level: Int, _ body: (Element, inout [UInt8]) -> Void
    ) {
        func newLine(_ level: Int) {
            guard let indent else { return }
            out.append(0x0A)
            out.append(contentsOf: repeatElement(0x20, count: indent * level))
        }
        out.append(UInt8(ascii: open))
        for (index, element) in elements.enumerated() {
            if index > 0 { out.append(UInt8(ascii: ",")) }
            newLine(level + 1)
            body(element, &out)
        }
        if !elements.isEmpty { newLine(level) }
        out.append(UInt8(ascii: close))
    }

    private static func write(_ text: String, to out: inout [UInt8]) {
        out.append(0x22)
        for byte in text.utf8 {
            switch byte {
            case 0x22: out += [0x5C, 0x22]
            case 0x5C: out += [0x5C, 0x5C]
            case 0x0A: out += [0x5C, 0x6E]
            case 0x0D: out += [0x5C, 0x72]
            case 0x09: out += [0x5C, 0x74]
            case 0..<0x20:
                let digits = Array("0123456789abcdef".utf8)
                out += [0x5C, 0x75, 0x30, 0x30, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: out.append(byte)
            }
        }
        out.append(0x22)
    }
}
