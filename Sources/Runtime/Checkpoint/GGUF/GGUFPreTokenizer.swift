/// How a text is cut into words before the merges, by the names that `tokenizer.ggml.pre` gives; each as in the
/// tokenizer.json of the models that it comes from, and cutting as llama.cpp does (src/llama-vocab.cpp).
struct GGUFPreTokenizer {
    let json: JSONValue
    let normalizer: JSONValue
    /// A word that is a token as it stands is not put together by merges.
    let ignoresMerges: Bool
    /// Where the file does not say.
    let addsBOS: Bool

    static let names = ["default", "gpt-2", "smollm", "llama-bpe", "llama3", "llama-v3", "qwen2", "deepseek-r1-qwen"]
    static var known: String { names.joined(separator: ", ") }

    init?(named name: String) {
        switch name {
        case "gpt-2": self.init(Self.byteLevel(useRegex: true))
        case "smollm":
            self.init(Self.sequence([["type": "Digits", "individual_digits": true], Self.byteLevel(useRegex: true)]))
        case "llama-bpe", "llama3", "llama-v3":
            self.init(Self.words(Self.modern(digits: "{1,3}")), ignoresMerges: true, addsBOS: true)
        case "qwen2": self.init(Self.words(Self.modern(digits: "")), normalizer: ["type": "NFC"])
        case "deepseek-r1-qwen": self.init(Self.words(Self.modern(digits: "")))
        case "default":
            // llama.cpp's own, for files older than the key: punctuation apart, GPT-2's words, numbers by three digits.
            self.init(
                Self.sequence([
                    Self.split(#"[\p{P}\$\+<=>\^~\|]+"#),
                    Self.split(
                        #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"#),
                    Self.split(#"\p{N}+"#), Self.split("[0-9][0-9][0-9]"), Self.byteLevel(useRegex: false),
                ]))
        default: return nil
        }
    }

    private init(_ json: JSONValue, normalizer: JSONValue = .null, ignoresMerges: Bool = false, addsBOS: Bool = false) {
        self.json = json
        self.normalizer = normalizer
        self.ignoresMerges = ignoresMerges
        self.addsBOS = addsBOS
    }

    /// Llama 3's expression and, with single digits, Qwen 2's.
    private static func modern(digits: String) -> String {
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"# + digits
            + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    }

    private static func words(_ expression: String) -> JSONValue {
        sequence([split(expression), byteLevel(useRegex: false)])
    }

    private static func sequence(_ steps: [JSONValue]) -> JSONValue {
        ["type": "Sequence", "pretokenizers": .array(steps)]
    }

    private static func split(_ expression: String) -> JSONValue {
        ["type": "Split", "pattern": ["Regex": .string(expression)], "behavior": "Isolated", "invert": false]
    }

    static func byteLevel(useRegex: Bool) -> JSONValue {
        ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": .bool(useRegex)]
    }
}
