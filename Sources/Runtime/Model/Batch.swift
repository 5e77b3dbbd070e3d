/// Rows of several sequences on their way through the stages together.
public struct Batch: Sendable {
    /// The rows of one sequence: consecutive positions.
    struct Segment: Sendable {
        /// Which sequence, by the scheduler's number.
        var sequence: Int
        /// Its rows in the batch.
        var rows: Range<Int>
        /// The position of its first row.
        var firstPosition: Int
        /// Pages of its KV cache, in order of position.
        var pages: [Int32]
        /// What is to be read off the logits.
        var readouts: [Readout]
        /// The request it belongs to, for messages and traces.
        var request: String
        /// Whether its activations go to the trace.
        var traced: Bool
    }

    /// Token of each row; only the first stage looks at them, and they go no further than its process.
    var tokens: [Int32] = []
    /// Position of each row in its sequence.
    var positions: [Int32] = []
    var segments: [Segment] = []

    var rows: Int { positions.count }

    mutating func append(
        sequence: Int, tokens new: some Collection<Int32>, firstPosition: Int, pages: [Int32], readouts: [Readout],
        request: String, traced: Bool
    ) {
        segments.append(
            Segment(
                sequence: sequence, rows: rows..<rows + new.count, firstPosition: firstPosition,
                pages: pages, readouts: readouts, request: request, traced: traced))
        positions.append(contentsOf: (0..<new.count).map { Int32(firstPosition + $0) })
        tokens.append(contentsOf: new)
    }
}

/// How the next token is to be picked, and what is to be told of it.
struct TokenQuery: Sendable {
    var sampling: Sampling
    /// The sequence's tokens, each once, where repeating them is penalized.
    var seen: [Int32] = []
    /// The tokens that may be picked; nil for all.
    var mask: TokenMask?
    /// How many of the likeliest tokens to tell with their probabilities; nil tells no probabilities at all.
    var alternatives: Int?
}

/// A question to the logits of one row of a segment.
struct Readout: Sendable {
    enum Kind: Sendable {
        /// The next token.
        case sample(TokenQuery)
        /// The log-probabilities of given tokens.
        case logProbabilities([Int32])
        /// All logits, for comparisons and traces.
        case logits
    }
    /// Row within the segment.
    var row: Int
    var kind: Kind
}

/// What the last stage read off the logits, in the order of the batch's readouts.
enum Reading: Sendable {
    case token(PickedToken)
    case logProbabilities([Double])
    case logits([Float])
}
