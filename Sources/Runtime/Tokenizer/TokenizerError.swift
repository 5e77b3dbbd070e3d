/// What can be wrong with a tokenizer's files.
public enum TokenizerError: WordedError, Equatable {
    /// The file cannot be read: missing, a directory, too large, an I/O failure.
    case unreadable(place: String, problem: String, advice: String?)
    /// The file is no JSON, or not the JSON that is expected at that byte.
    case malformed(place: String, offset: Int, problem: String)
    /// A value has the wrong type or contradicts another one.
    case invalid(place: String, problem: String, expected: String?, got: String?)
    /// The file is well formed, and asks for something that this tokenizer does not do.
    case unsupported(place: String, key: String, value: String, expected: String)

    public var wording: Wording {
        switch self {
        case .unreadable(let place, let problem, let advice):
            Wording(place, problem, advice: advice)
        case .malformed(let place, let offset, let problem):
            Wording("\(place), byte \(offset)", problem, advice: "download or export the file again")
        case .invalid(let place, let problem, let expected, let got):
            Wording(place, problem, expected: expected, got: got)
        case .unsupported(let place, let key, let value, let expected):
            Wording(place, "\(key) \(value) is not supported", expected: expected)
        }
    }
}

/// A text of a file as it may stand in a message: short, and without control characters.
func quoted(_ text: String) -> String {
    let head = String(text.unicodeScalars.prefix(60))
    return head.debugDescription + (head.unicodeScalars.count < text.unicodeScalars.count ? "…" : "")
}
