import Runtime

/// Why a prompt file, or the folder of them, cannot be used.
public enum PromptError: WordedError, Equatable {
    case folder(path: String, problem: String)
    case unreadable(path: String, problem: String)
    /// `line` from 1; 0 for the file as a whole.
    case malformed(file: String, line: Int, problem: String)
    case twice(name: String, language: String, files: [String])
    case unknown(name: String, language: String, known: [String])
    /// The chat template does not keep the messages' text, so that the data has no place in the result.
    case templateDropsText(file: String)

    public var wording: Wording {
        switch self {
        case .folder(let path, let problem):
            Wording(path, problem, expected: "a folder of prompt files (*.prompt)", advice: "see Datasets/prompts")
        case .unreadable(let path, let problem): Wording(path, problem)
        case .malformed(let file, let line, let problem):
            Wording(
                line == 0 ? file : "\(file), line \(line)", problem, advice: "see Datasets/README.md for the format")
        case .twice(let name, let language, let files):
            Wording(files.joined(separator: ", "), "the prompt \(name) in \(language) is there twice")
        case .unknown(let name, let language, let known):
            Wording(
                "prompt \(name)", "there is none in \(language)",
                expected: "one of " + (known.isEmpty ? "none" : known.joined(separator: ", ")))
        case .templateDropsText(let file):
            Wording(file, "the chat template renders the messages without the snapshot's facts")
        }
    }
}
