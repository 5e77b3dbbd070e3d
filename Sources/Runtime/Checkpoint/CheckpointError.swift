import Foundation

/// What can be wrong with the files of a model that is read.
public enum CheckpointError: WordedError, Equatable {
    /// A file or directory that cannot be opened, read or mapped; `reason` is the system's or ours.
    case file(path: String, reason: String, advice: String? = nil)
    /// A file whose structure is broken.
    case malformed(path: String, problem: String, expected: String? = nil, got: String? = nil)
    /// A tensor whose description or contents are wrong.
    case tensor(path: String, name: String, problem: String, expected: String? = nil, got: String? = nil)
    case missingTensor(path: String, name: String)
    /// All that is wrong with the set of a checkpoint's tensors, one sentence each.
    case tensors(path: String, problems: [String])
    /// A setting that is understood but not supported; `value` as the file has it.
    case unsupported(place: String, key: String, value: String, supported: String)
    /// A setting that is missing or makes no sense.
    case setting(place: String, key: String, problem: String, expected: String? = nil, got: String? = nil)
    /// A weight that is no finite number.
    case notFinite(path: String, name: String, index: Int, value: String)

    public var wording: Wording {
        switch self {
        case .file(let path, let reason, let advice): Wording(path, reason, advice: advice)
        case .malformed(let path, let problem, let expected, let got):
            Wording(
                path, problem, expected: expected, got: got,
                advice: "the file is damaged or of another kind: download or convert it again")
        case .tensor(let path, let name, let problem, let expected, let got):
            Wording("\(path), tensor \(name)", problem, expected: expected, got: got)
        case .missingTensor(let path, let name): Wording(path, "there is no tensor \(name)")
        case .tensors(let path, let problems):
            Wording(
                path, "the tensors are not those of the model in config.json: " + problems.joined(separator: "; "),
                advice: "use the weights and the config.json of one and the same model")
        case .unsupported(let place, let key, let value, let supported):
            Wording(place, "\(key) = \(value) is not supported", expected: supported)
        case .setting(let place, let key, let problem, let expected, let got):
            Wording(place, "\(key) \(problem)", expected: expected, got: got)
        case .notFinite(let path, let name, let index, let value):
            Wording(
                "\(path), tensor \(name)", "element \(index) is \(value)", expected: "finite weights",
                advice: "the weights are damaged: download or convert them again")
        }
    }

    /// The failure of a system call on `path`, with errno's own words.
    static func system(_ path: String, _ operation: String, _ code: Int32 = errno, advice: String? = nil) -> Self {
        .file(
            path: path, reason: "cannot \(operation): \(String(cString: strerror(code))) (errno \(code))",
            advice: advice)
    }
}

/// A name out of a file as it can stand in a message: no control characters, no endless length.
func printable(_ name: String) -> String {
    let plain = name.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
    let short = name.count > 120 ? name.prefix(120) + "…" : name[...]
    return plain ? String(short) : short.debugDescription
}
