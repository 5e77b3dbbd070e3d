/// Oniguruma's regular expressions, in which tokenizer.json is written, put into PCRE2's.
///
/// Where both mean the same the text is passed on; where they differ it is rewritten (`\s` has U+180E in PCRE2 and not in
/// Oniguruma, `\v` is one character here and a class there); and what is neither is refused by name rather than guessed.
enum OnigurumaSyntax {
    /// Unicode's White_Space, which is what `\s` means; the set has not changed since Unicode 6.3.
    private static let whiteSpace =
        #"\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"#
    private static let noWhiteSpace =
        #"\x{0}-\x{8}\x{e}-\x{1f}\x{21}-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}"#
        + #"\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff}"#

    /// The categories without unassigned, private and surrogate characters, which depend on the version of Unicode.
    private static let categories: [String: [String]] = {
        let groups = [
            "L": ["Lu", "Ll", "Lt", "Lm", "Lo"], "M": ["Mn", "Mc", "Me"], "N": ["Nd", "Nl", "No"],
            "P": ["Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"], "S": ["Sm", "Sc", "Sk", "So"], "Z": ["Zs", "Zl", "Zp"],
        ]
        var all = groups
        for members in groups.values { for member in members { all[member] = [member] } }
        all["Cc"] = ["Cc"]
        all["Cf"] = ["Cf"]
        return all
    }()
    private static let scripts: Set<String> = [
        "Han", "Hiragana", "Katakana", "Hangul", "Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Thai",
    ]

    /// The members of a PCRE2 class that are Oniguruma's \p{name}: what PCRE2 knows by that name, and, where the library
    /// is older than Unicode 16, the characters it does not know yet. Two machines must cut a text alike.
    private static func members(ofProperty name: String) -> String? {
        let newer = pcre2KnowsUnicode16 ? [:] : UnicodeTables.sinceUnicode15
        if let parts = categories[name] {
            return "\\p{\(name)}" + parts.compactMap { newer[$0] }.joined()
        }
        // Without sc: PCRE2 would add the script extensions.
        return scripts.contains(name) ? "\\p{sc:\(name)}" + (newer[name] ?? "") : nil
    }

    /// What one character (ß, ﬀ, ﬁ, ﬂ, ﬅ) matches in Oniguruma when case is ignored, and in PCRE2 does not.
    private static let multipleFolds: Set<String> = ["ss", "ff", "fi", "fl", "st"]

    static func translate(_ pattern: String, place: String) throws(TokenizerError) -> String {
        var translator = Translator(pattern: pattern, place: place)
        return try translator.run()
    }

    private struct Translator {
        let pattern: String
        let place: String
        let source: [Unicode.Scalar]
        var index = 0
        var output = ""
        /// For each open group whether case is ignored in it; the first is the whole pattern.
        var caseless = [false]

        init(pattern: String, place: String) {
            self.pattern = pattern
            self.place = place
            source = Array(pattern.unicodeScalars)
        }

        mutating func run() throws(TokenizerError) -> String {
            if starts(with: "(?i)") {
                index += 4
                output += "(?i)"
                caseless = [true]
            }
            while let scalar = next() {
                switch scalar {
                case "\\": try escape(inClass: false)
                case "[": try characterClass()
                case "(": try group()
                case "{": try interval()
                case "^", "$": throw refused("\(scalar)")
                case ")":
                    if caseless.count > 1 { caseless.removeLast() }
                    output += ")"
                case "*", "+", "?", "|", ".": output.unicodeScalars.append(scalar)
                default:
                    if let following, caseless.last!, multipleFolds.contains("\(scalar)\(following)".lowercased()) {
                        throw refused("\(scalar)\(following) inside (?i")
                    }
                    literal(scalar)
                }
            }
            return output
        }

        private mutating func next() -> Unicode.Scalar? {
            guard index < source.count else { return nil }
            defer { index += 1 }
            return source[index]
        }

        private var following: Unicode.Scalar? { index < source.count ? source[index] : nil }

        private func starts(with text: String) -> Bool { source[index...].starts(with: text.unicodeScalars) }

        private func refused(_ construct: String) -> TokenizerError {
            .unsupported(
                place: place, key: "the pattern \(quoted(pattern)): the construct", value: construct,
                expected: "what Oniguruma and PCRE2 both have")
        }

        /// A character that stands for itself, escaped where it could mean something.
        private mutating func literal(_ scalar: Unicode.Scalar) {
            let isWordOrWide = scalar.value >= 0x80 || scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
            if !isWordOrWide, scalar.value > 0x20 { output += "\\" }
            output.unicodeScalars.append(scalar)
        }

        private mutating func group() throws(TokenizerError) {
            output += "("
            caseless.append(starts(with: "?i:") || (caseless.last! && !starts(with: "?-i:")))
            guard following == "?" else { return }
            for opening in ["?:", "?=", "?!", "?>", "?<=", "?<!", "?i:", "?-i:"] where starts(with: opening) {
                index += opening.unicodeScalars.count
                output += opening
                return
            }
            throw refused("(" + String(String.UnicodeScalarView(source[index...].prefix(3))))
        }

        /// {n}, {n,}, {n,m}; and {,m}, which is {0,m} here and plain text in PCRE2.
        private mutating func interval() throws(TokenizerError) {
            let start = index
            func text() -> String { "{" + String(String.UnicodeScalarView(source[start..<index])) }
            var parts = [""]
            while let scalar = next(), scalar != "}" {
                if scalar == ",", parts.count == 1 {
                    parts.append("")
                } else if ("0"..."9").contains(scalar), parts[parts.count - 1].count < 5 {
                    parts[parts.count - 1].unicodeScalars.append(scalar)
                } else {
                    throw refused(text())
                }
            }
            guard source[index - 1] == "}", parts != [""], parts != ["", ""] else { throw refused(text()) }
            // {n}? and {n,m}+ mean other things in the two syntaxes.
            if following == "+" || (following == "?" && parts.count == 1) { throw refused(text() + "\(following!)") }
            if parts[0].isEmpty { parts[0] = "0" }
            output += "{" + parts.joined(separator: ",") + "}"
        }

        private mutating func characterClass() throws(TokenizerError) {
            output += "["
            if following == "^" {
                index += 1
                output += "^"
            }
            if following == "]" { throw refused("[]") }
            var isFirst = true
            while let scalar = next() {
                switch scalar {
                case "]":
                    output += "]"
                    return
                case "[": throw refused("[ inside a class")
                case "&" where following == "&": throw refused("&& inside a class")
                case "-":
                    // A hyphen between two characters makes a range; next to the brackets it is itself.
                    if isFirst || following == "]" {
                        output += "\\-"
                    } else if following == "\\", index + 1 < source.count,
                        "sSdDpPwWhH".unicodeScalars.contains(source[index + 1])
                    {
                        throw refused("a range to a class")
                    } else {
                        output += "-"
                    }
                case "\\": try escape(inClass: true)
                default: literal(scalar)
                }
                isFirst = false
            }
            throw refused("[ without ]")
        }

        private mutating func escape(inClass: Bool) throws(TokenizerError) {
            guard let scalar = next() else { throw refused("\\ at the end") }
            switch scalar {
            case "s": output += inClass ? whiteSpace : "[\(whiteSpace)]"
            case "S": output += inClass ? noWhiteSpace : "[^\(whiteSpace)]"
            case "d", "D": try property("Nd", negated: scalar == "D", inClass: inClass)
            case "p", "P": try property(negated: scalar == "P", inClass: inClass)
            case "n": output += #"\x{a}"#
            case "r": output += #"\x{d}"#
            case "t": output += #"\x{9}"#
            case "f": output += #"\x{c}"#
            case "v": output += #"\x{b}"#
            case "a": output += #"\x{7}"#
            case "e": output += #"\x{1b}"#
            case "x", "u": try codePoint(after: scalar)
            case "A"..."Z", "a"..."z", "0"..."9": throw refused("\\\(scalar)")
            default: literal(scalar)
            }
        }

        /// \x{H…} and \uHHHH.
        private mutating func codePoint(after letter: Unicode.Scalar) throws(TokenizerError) {
            var digits = ""
            if letter == "x" {
                guard next() == "{" else { throw refused("\\x without {}") }
                while let scalar = next(), scalar != "}" { digits.unicodeScalars.append(scalar) }
            } else {
                for _ in 0..<4 { if let scalar = next() { digits.unicodeScalars.append(scalar) } }
                guard digits.count == 4 else { throw refused("\\u\(digits)") }
            }
            guard let value = UInt32(digits, radix: 16), Unicode.Scalar(value) != nil else {
                throw refused("\\\(letter)\(digits)")
            }
            output += "\\x{" + String(value, radix: 16) + "}"
        }

        /// \p{Name} and \p{^Name}: general categories and scripts.
        private mutating func property(negated: Bool, inClass: Bool) throws(TokenizerError) {
            guard next() == "{" else { throw refused("\\p without {}") }
            var name = ""
            while let scalar = next(), scalar != "}" { name.unicodeScalars.append(scalar) }
            var negated = negated
            if name.hasPrefix("^") {
                name.removeFirst()
                negated.toggle()
            }
            try property(name, negated: negated, inClass: inClass)
        }

        private mutating func property(_ name: String, negated: Bool, inClass: Bool) throws(TokenizerError) {
            guard let members = members(ofProperty: name) else { throw refused("\\p{\(name)}") }
            // A class is a union; what is added to a property cannot be taken from its complement in one.
            if inClass, negated { throw refused("\\P{\(name)} inside a class") }
            // What case means for a property is another thing in each library, and in each version of PCRE2.
            if caseless.last == true, ["Lu", "Ll", "Lt"].contains(name) { throw refused("\\p{\(name)} inside (?i") }
            output += inClass ? members : "[\(negated ? "^" : "")\(members)]"
        }
    }
}
