import Foundation

/// A model that a comparison can run: a Hugging Face directory, plain or compressed-tensors, or a GGUF file.
///
/// A GGUF's weights are dequantized to fp32 in files without names, whose room the system takes back when this process
/// ends, and run in fp32: the figures are those of its weights alone, which is kinder to it than llama.cpp, whose
/// activations are int8 as ours are.
public struct ComparableModel: Sendable {
    public let checkpoint: Checkpoint
    /// Of the tensors, as the file stores them.
    public let tensorBytes: Int
    /// Bits of all tensors for each parameter.
    public let bitsPerWeight: Double
    /// Of the weight files, with their headers.
    public let fileBytes: Int

    /// - Parameters:
    ///   - url: a directory or a .gguf file.
    ///   - reference: the model whose tokenizer and configuration a GGUF is read with; nil where it must bring its own.
    /// - Throws: `CheckpointError`, `QuantizationError`, `FileWriteError`; `EvaluationError.mismatch` for what is no
    ///   version of the reference.
    public init(_ url: URL, reference: Checkpoint? = nil) throws {
        let inspected = try ModelInspection(url)
        tensorBytes = inspected.tensorBytes
        bitsPerWeight = inspected.bitsPerWeight
        fileBytes = inspected.fileBytes
        let version = reference.map { VersionCheck(reference: $0, place: url.path) }
        if inspected.format.hasPrefix("GGUF") {
            try version?.check(GGUFFile(url: url))
            let source =
                try reference.map { try GGUFImport(url: url, as: $0, dtype: .f32) }
                ?? GGUFImport(url: url, dtype: .f32)
            checkpoint = try source.unlinkedCheckpoint()
        } else {
            checkpoint = try Checkpoint(directory: url)
            try checkpoint.validate()
        }
        try version?.check(checkpoint)
    }
}

/// What can go wrong when models are compared.
public enum EvaluationError: WordedError, Equatable {
    /// The two compute different functions, whatever their weights; `key` as the candidate's files spell it.
    case mismatch(place: String, key: String, expected: String, got: String)
    /// The text's file is not UTF-8; the offset in bytes.
    case notText(place: String, offset: Int, byte: UInt8)
    /// The text has too few tokens to say anything.
    case tooShort(place: String, tokens: Int, needed: Int)
    case invalid(name: String, expected: String, got: String)
    /// A logit is NaN or infinite.
    case notFinite(place: String, position: Int)

    public var wording: Wording {
        switch self {
        case .mismatch(let place, let key, let expected, let got):
            Wording(
                place, "is not a version of the reference: \(key) differs", expected: expected, got: got,
                advice: "compare it with the model that it was made from")
        case .notText(let place, let offset, let byte):
            Wording(
                place, "byte \(offset) is not UTF-8", expected: "a text in UTF-8",
                got: "0x" + String(byte, radix: 16, uppercase: true), advice: "give another --text, or convert it")
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
