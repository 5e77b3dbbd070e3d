import Foundation

/// Names come from files that anyone may have written; here they lose what the target format would act upon.
package enum Escape {
    /// For HTML text and attribute values in double quotes.
    package static func html(_ text: String) -> String {
        var out = ""
        out.reserveCapacity(text.utf8.count)
        for scalar in visible(text).unicodeScalars {
            switch scalar {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&quot;"
            case "'": out += "&#39;"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }

    /// JSON for the inside of a script element: no `<` remains, so neither `</script>` nor `<!--` can end or change it.
    static func json(_ data: Data) -> String {
        String(decoding: data, as: UTF8.self)
            .replacingOccurrences(of: "<", with: "\\u003c")
            .replacingOccurrences(of: ">", with: "\\u003e")
            .replacingOccurrences(of: "&", with: "\\u0026")
            .replacingOccurrences(of: "\u{2028}", with: "\\u2028")
            .replacingOccurrences(of: "\u{2029}", with: "\\u2029")
    }

    /// A library's own source inside a script element. The two sequences can only stand in its strings, regular
    /// expressions and comments, where the backslash changes nothing.
    static func script(_ source: String) -> String {
        source
            .replacingOccurrences(of: "</script", with: "<\\/script", options: .caseInsensitive)
            .replacingOccurrences(of: "<!--", with: "<\\!--")
            .replacingOccurrences(of: "//# sourceMappingURL=", with: "// map: ")
    }

    /// For XML 1.0 text and attributes.
    static func xml(_ text: String) -> String {
        html(text)
    }

    /// For a cell of a Markdown table: one line, and nothing in it is markup.
    static func markdown(_ text: String) -> String {
        var out = ""
        for scalar in visible(text).unicodeScalars {
            switch scalar {
            case "\\", "`", "*", "_", "[", "]", "|", "#", "~": out += "\\" + String(scalar)
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }

    /// One line without control characters (a terminal obeys them), without bidirectional overrides (they reorder the
    /// text around them), and without what XML forbids. Each becomes U+FFFD, line breaks a space.
    static func visible(_ text: String) -> String {
        var out = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x0A, 0x0D, 0x09, 0x2028, 0x2029: out.append(" ")
            case 0x00...0x1F, 0x7F...0x9F, 0x202A...0x202E, 0x2066...0x2069, 0xFFFE, 0xFFFF: out.append("\u{FFFD}")
            default: out.append(scalar)
            }
        }
        return String(out)
    }
}
