import Foundation

/// A model that a comparison can run: a Hugging Face directory, plain or compressed-tensors, or a GGUF file.
///
/// A GGUF's weights are dequantized to fp32 in a directory that lives as long as this does, and run in fp32: the
/// figures are those of its weights alone, which is kinder to it than llama.cpp, whose activations are int8 as ours are.
public final class ComparableModel: Sendable {
    public let checkpoint: Checkpoint
    /// Of the tensors, as the file stores them.
    public let tensorBytes: Int
    /// Bits of all tensors for each parameter.
    public let bitsPerWeight: Double
    /// Of the weight files, with their headers.
    public let fileBytes: Int
    private let scratch: URL?

    /// - Parameters:
    ///   - url: a directory or a .gguf file.
    ///   - reference: the model whose tokenizer and configuration a GGUF is read with; nil where it must bring its own.
    /// - Throws: `CheckpointError`, `QuantizationError`, `EvaluationError.mismatch`.
    public init(_ url: URL, reference: Checkpoint? = nil) throws {
        let inspected = try ModelInspection(url)
        tensorBytes = inspected.tensorBytes
        bitsPerWeight = inspected.bitsPerWeight
        fileBytes = inspected.fileBytes
        if inspected.format.hasPrefix("GGUF") {
            let directory = FileManager.default.temporaryDirectory
                .appending(path: "qquant-\(UUID().uuidString)", directoryHint: .isDirectory)
            let source =
                try reference.map { try GGUFImport(url: url, as: $0, dtype: .f32) }
                ?? GGUFImport(url: url, dtype: .f32)
            do {
                _ = try source.write(to: directory)
                checkpoint = try Checkpoint(directory: directory)
            } catch {
                try? FileManager.default.removeItem(at: directory)
                throw error
            }
            scratch = directory
        } else {
            scratch = nil
            checkpoint = try Checkpoint(directory: url)
            try checkpoint.validate()
        }
        guard let other = reference?.configuration else { return }
        let own = checkpoint.configuration
        for (what, expected, got) in [
            ("layers", other.layers, own.layers), ("hidden width", other.hidden, own.hidden),
            ("intermediate width", other.intermediate, own.intermediate),
            ("heads", other.heads, own.heads), ("key-value heads", other.kvHeads, own.kvHeads),
            ("vocabulary", other.vocabulary, own.vocabulary),
        ] where expected != got {
            throw EvaluationError.mismatch(place: url.path, what: what, expected: expected, got: got)
        }
    }

    deinit {
        if let scratch { try? FileManager.default.removeItem(at: scratch) }
    }
}

/// What can go wrong when models are compared.
public enum EvaluationError: WordedError, Equatable {
    /// The two are not the same architecture.
    case mismatch(place: String, what: String, expected: Int, got: Int)
    /// The text has too few tokens to say anything.
    case tooShort(place: String, tokens: Int, needed: Int)
    case invalid(name: String, expected: String, got: String)
    /// A logit is NaN or infinite.
    case notFinite(place: String, position: Int)

    public var wording: Wording {
        switch self {
        case .mismatch(let place, let what, let expected, let got):
            Wording(
                place, "is not a version of the reference: the \(what) differ", expected: "\(expected)", got: "\(got)")
        case .tooShort(let place, let tokens, let needed):
            Wording(
                place, "the text is too short", expected: "at least \(needed) tokens", got: "\(tokens)",
                advice: "give a longer --text or a smaller --window")
        case .invalid(let name, let expected, let got):
            Wording(name, "the value cannot be used", expected: expected, got: got)
        case .notFinite(let place, let position):
            Wording(place, "a logit at position \(position) is not finite")
        }
    }
}
