import Foundation
import Runtime

extension Prompt {
    /// Rises when the same prompt file would be turned into other programs; it is part of every digest.
    static let rules = 1

    /// Reads a prompt file. The format stands in Datasets/README.md.
    ///
    /// Throws `PromptError.malformed`, which names the line.
    public init(text: String, file: String) throws {
        let text = text.replacing("\r\n", with: "\n")
        var parser = PromptParser(file: file)
        try parser.parse(text)
        name = try parser.required("prompt")
        guard let language = Language(rawValue: try parser.required("language")) else {
            throw parser.failure(0, "language: expected one of en, zh")
        }
        self.language = language
        guard let version = Int(try parser.required("version")), version > 0 else {
            throw parser.failure(0, "version: expected a whole number from 1")
        }
        self.version = version
        self.file = file
        (messages, answer, factLines) = try parser.finish()
        digest = Digest.hex(Data("prompt rules \(Self.rules)\n\(text)".utf8))
    }
}

/// Header lines, then sections that begin with `=== name`.
private struct PromptParser {
    let file: String
    private var header: [String: String] = [:]
    private var choices: [String: Prompt.Choice] = [:]
    private var generations: [String: Prompt.Generation] = [:]
    private var sections: [(name: String, line: Int, lines: [Substring])] = []

    init(file: String) { self.file = file }

    func failure(_ line: Int, _ problem: String) -> PromptError { .malformed(file: file, line: line, problem: problem) }

    func required(_ key: String) throws -> String {
        guard let value = header[key], !value.isEmpty else { throw failure(0, "the header has no \(key)") }
        return value
    }

    mutating func parse(_ text: String) throws {
        if text.unicodeScalars.contains(where: { $0.properties.generalCategory == .privateUse || $0 == "\0" }) {
            throw failure(0, "a character that no text needs (NUL or one of private use)")
        }
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.hasPrefix("=== ") {
                let name = line.dropFirst(4).trimmingCharacters(in: .whitespaces)
                guard ["system", "user", "assistant", "facts"].contains(name) else {
                    throw failure(index + 1, "expected === system, user, assistant or facts")
                }
                sections.append((name, index + 1, []))
            } else if sections.isEmpty {
                try headerLine(line, index + 1)
            } else {
                sections[sections.count - 1].lines.append(line)
            }
        }
    }

    private mutating func headerLine(_ line: Substring, _ number: Int) throws {
        let line = line.trimmingCharacters(in: .whitespaces)
        if line.isEmpty || line.hasPrefix("#") { return }
        guard let colon = line.firstIndex(of: ":") else { throw failure(number, "expected `key: value`") }
        let key = String(line[..<colon])
        let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        if let name = key.dropPrefix("choose ") {
            let fields = try fields(value, separator: "|", number)
            guard fields.count >= 2 else { throw failure(number, "a choice needs at least two labels") }
            guard Set(fields.map(\.key)).count == fields.count, Set(fields.map(\.value)).count == fields.count,
                fields.allSatisfy({ !$0.value.isEmpty })
            else { throw failure(number, "labels must differ and not be empty") }
            let options = fields.map { Prompt.Choice.Option(value: $0.key, label: $0.value) }
            guard choices.updateValue(.init(name: name, options: options), forKey: name) == nil else {
                throw failure(number, "the choice \(name) is there twice")
            }
        } else if let name = key.dropPrefix("score ") {
            guard choices[name] != nil else { throw failure(number, "no choice \(name) is declared before it") }
            for (key, value) in try fields(value, separator: "|", number) {
                switch (key, value) {
                case ("by", "sum"): choices[name]?.scoring.perToken = false
                case ("by", "mean"): choices[name]?.scoring.perToken = true
                case ("content-free", _) where !value.isEmpty: choices[name]?.scoring.contentFree = value
                default: throw failure(number, "expected by=\"sum\" or by=\"mean\", and content-free=\"TEXT\"")
                }
            }
        } else if let name = key.dropPrefix("generate ") {
            let fields = try fields(value, separator: "|", number)
            guard let tokens = fields.first(where: { $0.key == "max-tokens" }).flatMap({ Int($0.value) }),
                (1...4096).contains(tokens)
            else { throw failure(number, "expected max-tokens=\"N\" with N from 1 to 4096") }
            let stop = fields.filter { $0.key == "stop" }.map(\.value)
            let slots = fields.filter { $0.key == "slots" }.map(\.value)
            guard stop.allSatisfy({ !$0.isEmpty }), slots.allSatisfy({ $0 == "[]" }),
                fields.allSatisfy({ ["max-tokens", "stop", "slots"].contains($0.key) })
            else {
                throw failure(number, "expected max-tokens, stop and slots=\"[]\", and no empty stop")
            }
            let generation = Prompt.Generation(name: name, maxTokens: tokens, stop: stop, hasSlots: !slots.isEmpty)
            guard generations.updateValue(generation, forKey: name) == nil else {
                throw failure(number, "the generation \(name) is there twice")
            }
        } else {
            guard ["prompt", "language", "version"].contains(key) else {
                throw failure(number, "expected prompt, language, version, choose NAME, score NAME or generate NAME")
            }
            guard header.updateValue(value, forKey: key) == nil else { throw failure(number, "\(key) is there twice") }
        }
    }

    /// `key="value"` pairs; values are JSON strings.
    private func fields(_ text: String, separator: Character, _ number: Int) throws -> [(key: String, value: String)] {
        try text.split(separator: separator).map { field in
            let field = field.trimmingCharacters(in: .whitespaces)
            guard let equals = field.firstIndex(of: "=") else { throw failure(number, "expected name=\"value\"") }
            let key = field[..<equals].trimmingCharacters(in: .whitespaces)
            let json = field[field.index(after: equals)...].trimmingCharacters(in: .whitespaces)
            guard !key.isEmpty, let value = try? JSONValue(parsing: Data(json.utf8), place: file).string else {
                throw failure(number, "expected name=\"value\", the value written as a JSON string")
            }
            return (key, value)
        }
    }

    func finish() throws -> ([ChatMessage], [Prompt.AnswerPart], [Prompt.FactLine]) {
        var messages: [ChatMessage] = []
        var facts: [Prompt.FactLine] = []
        var places = 0
        for section in sections.dropLast() where section.name != "facts" {
            let lines = trimmed(section.lines).map { line -> String in
                guard line.trimmingCharacters(in: .whitespaces) == "{{facts}}" else { return String(line) }
                places += 1
                return Prompt.factsPlace
            }
            let content = lines.joined(separator: "\n")
            guard !content.contains("{{") else {
                throw failure(
                    section.line, "{{…}} stands only in the facts and in the last answer, {{facts}} on its own line")
            }
            messages.append(ChatMessage(role: section.name, content: content))
        }
        for section in sections where section.name == "facts" {
            for (index, line) in section.lines.enumerated() where !line.allSatisfy(\.isWhitespace) {
                facts.append(try factLine(line, section.line + index + 1))
            }
        }
        guard let last = sections.last, last.name == "assistant" else {
            throw failure(
                sections.last?.line ?? 0, "the last section must be === assistant, the answer to be filled in")
        }
        guard places == 1, messages.last?.role == "user", messages.last?.content.contains(Prompt.factsPlace) == true
        else {
            throw failure(0, "{{facts}} must stand once, in the last === user, so that all before it is shared")
        }
        guard !facts.isEmpty else { throw failure(0, "there is no === facts section with facts in it") }
        return (messages, try answer(trimmed(last.lines).joined(separator: "\n"), last.line), facts)
    }

    private func factLine(_ line: Substring, _ number: Int) throws -> Prompt.FactLine {
        let pieces = try pieces(String(line), number).map { piece -> Prompt.FactLine.Piece in
            guard piece.isPlaceholder else { return .text(piece.text) }
            let parts = piece.text.split(separator: "|", maxSplits: 1)
            let name = parts.first.map(String.init) ?? ""
            guard Facts.known.contains(name) else {
                throw failure(
                    number, "unknown fact {{\(name)}}; known are \(Facts.known.sorted().joined(separator: ", "))")
            }
            guard parts.count == 2 else { return .fact(name: name, style: .standard) }
            guard let style = FactStyle(parts[1]) else {
                throw failure(
                    number,
                    "unknown style |\(parts[1]); expected plain, millions, trillions, 0…9, +0…+9, low<1<high or word=name;word=name"
                )
            }
            return .fact(name: name, style: style)
        }
        return Prompt.FactLine(pieces: pieces)
    }

    private func answer(_ text: String, _ line: Int) throws -> [Prompt.AnswerPart] {
        let parts = try pieces(text, line).map { piece -> Prompt.AnswerPart in
            guard piece.isPlaceholder else { return .text(piece.text) }
            if let name = piece.text.dropPrefix("choose "), let choice = choices[name] { return .choose(choice) }
            if let name = piece.text.dropPrefix("generate "), let generation = generations[name] {
                return .generate(generation)
            }
            throw failure(line, "{{\(piece.text)}}: expected choose or generate and a name that the header declares")
        }
        guard parts.contains(where: { if case .text = $0 { false } else { true } }) else {
            throw failure(line, "the model has nothing to choose or to write")
        }
        return parts
    }

    private func pieces(_ text: String, _ line: Int) throws -> [(text: String, isPlaceholder: Bool)] {
        var pieces: [(String, Bool)] = []
        var rest = text[...]
        while let open = rest.range(of: "{{") {
            guard let close = rest[open.upperBound...].range(of: "}}") else { throw failure(line, "{{ without }}") }
            if open.lowerBound > rest.startIndex { pieces.append((String(rest[..<open.lowerBound]), false)) }
            pieces.append((String(rest[open.upperBound..<close.lowerBound]), true))
            rest = rest[close.upperBound...]
        }
        if !rest.isEmpty { pieces.append((String(rest), false)) }
        return pieces
    }

    private func trimmed(_ lines: [Substring]) -> [Substring] {
        let isBlank = { (line: Substring) in line.allSatisfy(\.isWhitespace) }
        return Array(lines.drop(while: isBlank).reversed().drop(while: isBlank).reversed())
    }
}

extension String {
    fileprivate func dropPrefix(_ prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
