/// What can go wrong between a request and its answer.
public enum EngineError: WordedError, Equatable {
    case emptyPrompt(request: String)
    case noTokenizer(request: String)
    case promptTooLong(request: String, tokens: Int, output: Int, context: Int)
    case exceedsCache(request: String, positions: Int, capacity: Int)
    case tokenOutOfRange(request: String, token: Int32, vocabulary: Int)
    case emptyLabel(request: String, choice: String, label: String)
    case invalidOption(name: String, expected: String, got: String)
    case tooManyStages(stages: Int, layers: Int)
    case outOfMemory(purpose: String, bytes: Int)
    case notFinite(request: String, position: Int)
    case noTokenFits(request: String, position: Int)
    case schemaTooLong(request: String, name: String, maxTokens: Int, fewest: Int)
    case stopped

    public var wording: Wording {
        switch self {
        case .emptyPrompt(let request):
            Wording(
                request, "the prompt is empty", expected: "at least one token", got: "none", advice: "give a prompt")
        case .noTokenizer(let request):
            Wording(request, "the request holds text, but the engine has no tokenizer", advice: "give tokens")
        case .promptTooLong(let request, let tokens, let output, let context):
            Wording(
                request, "the prompt does not fit the model's context",
                expected: "at most \(context) tokens with \(output) for the answer", got: "\(tokens)",
                advice: "shorten the prompt or lower --max-tokens")
        case .exceedsCache(let request, let positions, let capacity):
            Wording(
                request, "the request is larger than the whole KV cache", expected: "at most \(capacity) positions",
                got: "\(positions)", advice: "raise --cache-memory or lower --max-tokens")
        case .tokenOutOfRange(let request, let token, let vocabulary):
            Wording(
                request, "a token is outside of the vocabulary", expected: "0…\(vocabulary - 1)", got: "\(token)",
                advice: "use this model's own tokenizer")
        case .emptyLabel(let request, let choice, let label):
            Wording(
                request, "label \"\(label)\" of choice \(choice) has no tokens", advice: "give each label some text")
        case .invalidOption(let name, let expected, let got):
            Wording(name, "the value is out of range", expected: expected, got: got, advice: "correct it")
        case .tooManyStages(let stages, let layers):
            Wording(
                "--stages", "there are more stages than layers", expected: "1…\(layers)", got: "\(stages)",
                advice: "use fewer stages")
        case .outOfMemory(let purpose, let bytes):
            Wording(
                purpose, "the memory cannot be had", expected: "\(bytes) bytes",
                advice: "lower --cache-memory, or use a machine with more memory")
        case .notFinite(let request, let position):
            Wording(
                request, "the logits at position \(position) are not finite",
                advice: "check the checkpoint with qquant inspect; a damaged or overflowing model cannot answer")
        case .noTokenFits(let request, let position):
            Wording(
                request, "no token of the vocabulary fits the schema at position \(position)",
                advice: "the tokenizer lacks the bytes that the schema asks for; change the schema")
        case .schemaTooLong(let request, let name, let maxTokens, let fewest):
            Wording(
                request, "the shortest answer of \(name)'s schema may not fit", expected: "at least \(fewest) tokens",
                got: "\(maxTokens)", advice: "raise --max-tokens or shorten the schema")
        case .stopped:
            Wording("engine", "it was stopped before the request was answered", advice: "run again with --resume")
        }
    }
}
