import Foundation
import Runtime
import Synchronization

/// Answers an OpenAI batch file, row by row. Rows are written as they are done, each at once, so that a kill loses only
/// what was at work; a row that cannot be answered is a line with an error, and stops no other.
public struct BatchRun: Sendable {
    public let engine: Engine
    public let template: ChatTemplate
    /// Tokens of rows that do not say.
    public let maxTokens: Int
    public let inFlight: Int
    private let lines: BatchLine
    private let tokenizer: Tokenizer

    public struct Counts: Sendable, Equatable {
        public var answered = 0
        public var failed = 0
        /// Of these, rows that an earlier run had done.
        public var resumed = 0
    }

    /// - Parameter digest: of the model.
    public init(
        engine: Engine, tokenizer: Tokenizer, template: ChatTemplate, model: String, digest: String, maxTokens: Int,
        inFlight: Int
    ) {
        self.engine = engine
        self.tokenizer = tokenizer
        self.template = template
        self.maxTokens = maxTokens
        self.inFlight = inFlight
        let deciding = [
            digest, engine.options.precision.rawValue, engine.options.cachePrecision.rawValue, "\(engine.context)",
            "\(maxTokens)", template.kind.rawValue,
        ]
        lines = BatchLine(
            model: model, fingerprint: "fp_" + Digest.hex(Data(deciding.joined(separator: " ").utf8)).prefix(16))
    }

    /// The longest row.
    static let lineLimit = 16 << 20

    /// - Throws: `InputError` and `OutputError`: a missing input, an output that exists, one of another model or input.
    public func answerAll(
        _ input: String, output: URL, existing: RunOutput.Existing,
        progress: @escaping @Sendable (Counts) -> Void = { _ in }
    ) throws -> Counts {
        let reader = LineReader(try FileSource(path: input), lineLimit: Self.lineLimit)
        let log = try BatchLog(output, existing: existing, fingerprint: lines.fingerprint)
        var known: Set<String> = []
        let room = DispatchSemaphore(value: inFlight)
        let all = DispatchGroup()
        defer { all.wait() }
        while let item = try reader.next() {
            switch item {
            case .tooLong(let number, let length):
                let error = BatchError(nil, "the row has \(length) bytes; at most \(Self.lineLimit) are taken")
                try log.append(lines.failure(error, line: number, customID: nil), line: number, failed: true)
            case .text(let number, let range):
                let bytes = Data(reader.bytes(range))
                if bytes.allSatisfy({ $0 == 0x20 || $0 == 0x09 }) { continue }
                let value = try? JSONValue(parsing: bytes, place: input)
                let id = value?["custom_id"]?.string
                if let done = log.done[number] {
                    guard done == id else {
                        throw OutputError.differentRun(
                            path: output.path, what: "input: line \(number)", expected: id ?? "no custom_id",
                            got: done ?? "no custom_id")
                    }
                    if let id { known.insert(id) }
                    continue
                }
                do {
                    guard let value else { throw BatchError(nil, "the row is no JSON", code: "invalid_json_line") }
                    let row = try BatchRow(value)
                    guard known.insert(row.customID).inserted else {
                        throw BatchError(
                            "custom_id", "an earlier row has the custom_id too", code: "duplicate_custom_id")
                    }
                    room.wait()
                    all.enter()
                    do {
                        try submit(row, line: number) { line, failed in
                            log.record(line, line: number, failed: failed, progress)
                            room.signal()
                            all.leave()
                        }
                    } catch {
                        room.signal()
                        all.leave()
                        throw error
                    }
                } catch {
                    try log.append(
                        lines.failure(Self.worded(error), line: number, customID: id), line: number, failed: true)
                }
                try log.check()
            }
            progress(log.counts)
        }
        all.wait()
        return try log.finish()
    }

    /// Queues a row; `done` gets its line.
    private func submit(
        _ row: BatchRow, line number: Int, done: @escaping @Sendable (JSONValue, _ failed: Bool) -> Void
    ) throws {
        let prompt = try template.render(row.messages, addGenerationPrompt: true)
        let tokens = tokenizer.encode(prompt, addSpecialTokens: false)
        let most = row.maxTokens ?? maxTokens
        let step: ProgramStep =
            switch row.format {
            case .text: .generate(name: "text", maxTokens: most, stop: row.stop)
            case .json(let schema): .json(name: "text", schema: schema, maxTokens: most)
            }
        var request = Request(id: row.customID, program: [.tokens(tokens), step], sampling: row.sampling)
        request.logProbabilities = row.topLogProbabilities
        try engine.submit(request) { [lines, tokenizer] result in
            switch result {
            case .success(let completion):
                let now = Int(Date().timeIntervalSince1970)
                done(
                    lines.answer(row, line: number, completion, tokenizer: tokenizer, created: now), false)
            case .failure(let error):
                done(lines.failure(Self.worded(error), line: number, customID: row.customID), true)
            }
        }
    }

    private static func worded(_ error: any Error) -> BatchError {
        switch error {
        case let error as BatchError: error
        case EngineError.promptTooLong: BatchError("messages", "\(error)", code: "context_length_exceeded")
        case is ChatTemplateError: BatchError("messages", "\(error)")
        case is EngineError: BatchError(nil, "\(error)", code: "engine_error")
        default: BatchError(nil, "\(error)")
        }
    }
}
