/// Text from outside, made safe to stand in a message or a prompt.
package enum Quoting {
    /// One line, without control, format, private or unassigned characters (line breaks, NUL, bidirectional overrides,
    /// zero-width characters), runs of white space folded to one space, and no longer than `limit` characters. Identities
    /// and secrets are taken out first, while they can still be recognised.
    package static func plain(_ text: String, limit: Int) -> String {
        let text = Scrubber.scrub(text).text
        if isPlain(text, limit: limit) { return text }
        var scalars = String.UnicodeScalarView()
        var pendingSpace = false
        // A character can be built of any number of scalars: the bound on scalars keeps a hostile one short too.
        for scalar in text.unicodeScalars {
            if scalars.count > limit * 4 { break }
            if scalar.properties.isWhitespace {
                pendingSpace = !scalars.isEmpty
                continue
            }
            switch scalar.properties.generalCategory {
            case .control, .format, .privateUse, .surrogate, .unassigned, .lineSeparator, .paragraphSeparator: continue
            default: break
            }
            if pendingSpace { scalars.append(" ") }
            pendingSpace = false
            scalars.append(scalar)
        }
        let clean = String(scalars)
        return clean.count <= limit && scalars.count <= limit * 4 ? clean : clean.prefix(max(limit - 1, 0)) + "…"
    }

    /// Whether a text is as `plain` would make it, as far as a look at its bytes tells: ASCII without control characters
    /// and without white space to fold.
    private static func isPlain(_ text: String, limit: Int) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            guard bytes.count <= limit else { return false }
            var before: UInt8 = 0x20
            for byte in bytes {
                guard (0x20...0x7E).contains(byte), byte != 0x20 || before != 0x20 else { return false }
                before = byte
            }
            return before != 0x20 || bytes.isEmpty
        }
    }

    /// As `plain`, in quotation marks, for messages.
    package static func quoted(_ text: String, limit: Int = 60) -> String { "\"" + plain(text, limit: limit) + "\"" }

    /// As `plain`, in quotation marks, for a prompt: whatever a chat template or a tokenizer takes for markup is written
    /// with other characters, so that no special token (`<|im_end|>`, `</s>`, `[INST]`, `<｜User｜>`) can be spelled and
    /// the quotation cannot be closed from inside.
    package static func promptData(_ text: String, limit: Int = 120) -> String {
        let replaced = plain(text, limit: limit).map { character -> Character in
            switch character {
            case "<", "＜", "[", "{", "［", "｛": "("
            case ">", "＞", "]", "}", "］", "｝": ")"
            case "|", "｜", "\\": "/"
            case "\"", "“", "”", "「", "」", "`": "'"
            default: character
            }
        }
        return "\"" + String(replaced) + "\""
    }
}
