import Foundation
import Runtime

/// Reads what a quantization is calibrated with, as tokens, text by text.
///
/// A file is plain text, or JSON Lines whose objects have `text`, `tokens`, or `messages` (rendered by the model's chat
/// template), or recorded snapshots, which are rendered by the prompt of the task and language that they name (else of
/// the analysis), so that calibration sees what the model will see.
public final class CalibrationTexts {
    /// Read when the first text needs it.
    private var loaded: Tokenizer?
    private let directory: URL
    private let prompts: URL
    private let language: Language

    /// - Parameters:
    ///   - directory: of the model, for its tokenizer and chat template.
    ///   - prompts: folder of prompt files, for snapshots.
    ///   - language: of snapshots that name none.
    public init(model directory: URL, prompts: URL, language: Language) {
        self.directory = directory
        self.prompts = prompts
        self.language = language
    }

    private func tokens(_ text: String) throws -> [Int32] {
        if loaded == nil { loaded = try Tokenizer(directory: directory) }
        return loaded!.encode(text, addSpecialTokens: false)
    }

    /// - Throws: `QuantizationError.calibration`, `InputError`, `PromptError`, `ChatTemplateError`.
    public func read(_ path: String) throws -> [[Int32]] {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw refused(path, "cannot be read: \(error.localizedDescription)")
        }
        guard let content = String(validating: data, as: UTF8.self) else {
            throw refused(path, "is not valid UTF-8")
        }
        guard path.hasSuffix(".jsonl") || path.hasSuffix(".json") else {
            return [try checked(tokens(content), bytes: data.count, path)]
        }
        let lines = content.split(whereSeparator: \.isNewline).enumerated()
            .filter { !$0.element.allSatisfy(\.isWhitespace) }
        guard let first = lines.first else { return [] }
        let keys = ["text", "tokens", "messages"]
        let object = try? JSONValue(parsing: Data(first.element.utf8), place: "\(path):1")
        guard let object, keys.contains(where: { object[$0] != nil }) else { return try snapshots(path) }
        let template = object["messages"] == nil ? nil : try ChatTemplate(directory: directory)
        return try lines.map { index, line in
            let place = "\(path):\(index + 1)"
            let value = try JSONValue(parsing: Data(line.utf8), place: place)
            if let list = value["tokens"]?.array {
                return try list.map { item in
                    guard let token = item.int, let id = Int32(exactly: token) else {
                        throw refused(place, "a token is no integer")
                    }
                    return id
                }
            }
            if let text = value["text"]?.string { return try encoded(text, place) }
            if let messages = value["messages"]?.array, let template {
                let list = try messages.map { message in
                    guard let role = message["role"]?.string, let content = message["content"]?.string else {
                        throw refused(place, "a message has no role or no content")
                    }
                    return ChatMessage(role: role, content: content)
                }
                return try encoded(template.render(list, addGenerationPrompt: false), place)
            }
            throw refused(place, "the line has no text, tokens or messages")
        }
    }

    private func snapshots(_ path: String) throws -> [[Int32]] {
        let library = try PromptLibrary(directory: prompts)
        let template = try ChatTemplate(directory: directory)
        var prepared: [String: PreparedPrompt] = [:]
        let reader = try RequestReader(paths: [path], digestsInput: false)
        var texts: [[Int32]] = []
        while let item = try reader.next() {
            guard case .request(let request) = item else { continue }
            let task = request.task ?? AnswerTask.analysis
            let language = request.language ?? self.language
            let key = "\(task.rawValue).\(language.rawValue)"
            let prompt =
                try prepared[key] ?? library.prompt(task.rawValue, language: language).prepared(for: template)
            prepared[key] = prompt
            // A choice is followed by its first label, so that what comes behind it is seen too.
            let text = prompt.program(for: request).reduce("") { text, step in
                switch step {
                case .text(let part): text + part
                case .choose(let choice): text + (choice.labels.first ?? "")
                default: text
                }
            }
            texts.append(try encoded(text, path))
        }
        try reader.requireRequests()
        return texts
    }

    private func encoded(_ text: String, _ place: String) throws -> [Int32] {
        try checked(tokens(text), bytes: text.utf8.count, place)
    }

    /// Text of which the vocabulary knows nothing falls apart into bytes, and calibrates for nothing. A vocabulary of
    /// little more than bytes knows no words at all.
    private func checked(_ tokens: [Int32], bytes: Int, _ place: String) throws -> [Int32] {
        guard bytes < 200 || (loaded?.vocabularySize ?? 0) < 4096 || Double(tokens.count) < 0.85 * Double(bytes) else {
            throw QuantizationError.calibration(
                place: place, problem: "the model's vocabulary does not know this language",
                expected: "fewer tokens than bytes", got: "\(tokens.count) tokens of \(bytes) bytes",
                advice: "calibrate with text that the model will see")
        }
        return tokens
    }

    private func refused(_ place: String, _ problem: String) -> QuantizationError {
        .calibration(place: place, problem: problem, expected: nil, got: nil, advice: nil)
    }
}
