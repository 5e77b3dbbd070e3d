import Foundation

/// Whoever answers requests: an engine in this process, or a pipeline of other ones.
public protocol Answering: AnyObject, Sendable {
    /// Queues a request; `completion` is called once, on another thread, and must not block.
    /// - Throws: where the request cannot be answered at all.
    func submit(_ request: Request, completion: @escaping @Sendable (Result<Completion, any Error>) -> Void) throws
}

/// One request: a program on a fresh sequence.
public struct Request: Sendable, Codable {
    public var id: String
    public var program: [ProgramStep]
    public var sampling: Sampling
    /// Whether its activations go to the trace.
    public var traced: Bool
    /// Writes on past the model's end tokens, for measurements that need a given number of tokens.
    public var ignoresEndTokens = false
    /// How many of the likeliest tokens to tell beside each written one; nil tells no probabilities.
    public var logProbabilities: Int?
    /// How long it lets others go first.
    public var priority = Priority.high
    /// Seconds from its arrival until it ends with what it has; nil waits for ever.
    public var deadline: Double?

    public init(id: String, program: [ProgramStep], sampling: Sampling = .greedy, traced: Bool = false) {
        self.id = id
        self.program = program
        self.sampling = sampling
        self.traced = traced
    }
}

/// Who goes first. A request waits as if it had come later by its priority's seconds: one of high priority overtakes
/// those of medium priority that came up to 15 s before it, and no later one does. So nobody waits for ever.
public enum Priority: String, Sendable, Codable {
    case high, medium

    var headStart: Double {
        switch self {
        case .high: 0
        case .medium: 15
        }
    }
}

/// Why a text ended.
public enum FinishReason: String, Sendable, Codable {
    /// The model's end token, or a stop text.
    case stop
    /// The limit on tokens, or the end of the context.
    case length
    /// The request's deadline; also of a completion whose text was not begun.
    case timeout
}

/// A label's outcome.
public struct ChoiceOutcome: Sendable, Equatable, Codable {
    public let name: String
    /// The likeliest label.
    public let label: String
    /// Each label's probability, normalised over the labels, in their order.
    public let probabilities: [Double]
    /// Each label's log-probability as the model gave it.
    public let logProbabilities: [Double]
}

/// A written text.
public struct GeneratedText: Sendable, Equatable, Codable {
    public let name: String
    public let text: String
    public let tokens: [Int32]
    public let finishReason: FinishReason
    /// Each token's probability, where asked for; what closed a JSON text is not among them, nor is the end token.
    public var logProbabilities: [PickedToken] = []
}

/// A finished request.
public struct Completion: Sendable, Codable {
    public let id: String
    public let choices: [ChoiceOutcome]
    public let texts: [GeneratedText]
    /// Tokens given by the caller: prompts, not labels and not texts.
    public let promptTokens: Int
    /// Tokens the model wrote or chose.
    public let outputTokens: Int
    /// All tokens of the sequence, in order.
    public let tokens: [Int32]
    public let timings: RequestTimings
    /// Whether it ended at its deadline, with what it had.
    public let timedOut: Bool
}

/// Where a request's time went, in seconds.
public struct RequestTimings: Sendable, Codable {
    /// Arrival to admission.
    public var queue = 0.0
    /// Admission to the first token or label.
    public var prefill = 0.0
    /// First token or label to the last.
    public var decode = 0.0
    /// Arrival to the last token.
    public var total = 0.0
    /// Arrival to the first token or label (TTFT).
    public var timeToFirstToken = 0.0
    /// Each stage's time on this request's batches, shared by rows.
    public var stages: [Double] = []
    /// Tokens that prompt lookup guessed, and those of them that the model agreed with.
    public var draftedTokens = 0
    public var acceptedTokens = 0
    /// Prompt tokens that another request had already computed.
    public var sharedPromptTokens = 0
}
