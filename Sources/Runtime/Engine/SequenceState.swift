import Foundation

/// A request's program at work on its sequence: which tokens to compute next, what to ask of their logits, and what
/// the answers mean. Pure bookkeeping; the scheduler decides when.
struct SequenceState {
    /// The rows that the sequence contributes to a batch.
    struct Step {
        var tokens: ArraySlice<Int32>
        var firstPosition: Int
        var readouts: [Readout]
        /// Whether these positions stay: a label that is only being weighed is written over.
        var keeps: Bool
    }

    private enum Question {
        case firstTokens
        case restOfLabel(Int)
        case nextToken
    }

    struct Limits {
        var context: Int
        var endTokens: Set<Int32>
        /// Prompts are computed in chunks that end at multiples of this.
        var chunk = PageTable.chunk
    }

    private let sampling: Sampling
    private let ignoresEndTokens: Bool
    private let program: [CompiledStep]
    private let limits: Limits
    private let tokenizer: Tokenizer?

    private(set) var tokens: [Int32] = []
    /// Positions handed to the first stage.
    private(set) var sent = 0
    private(set) var promptTokens = 0
    private(set) var outputTokens = 0
    private(set) var choices: [ChoiceOutcome] = []
    private(set) var texts: [GeneratedText] = []
    private(set) var isFinished = false

    private var step = 0
    /// The question whose answer is on its way.
    private var asked: Question?
    private var labelScores: [Double] = []
    private var writing: Writing?

    /// A text in the making.
    private struct Writing {
        var tokens: [Int32] = []
        var text = ""
        var decoder: StreamDecoder?
    }

    init(_ program: [CompiledStep], request: Request, limits: Limits, tokenizer: Tokenizer?) {
        self.program = program
        sampling = request.sampling
        ignoresEndTokens = request.ignoresEndTokens
        self.limits = limits
        self.tokenizer = tokenizer
        prompt = program.prefix(while: \.isText).flatMap(\.text)
        takeText()
    }

    /// Skips the positions that another sequence has computed already.
    mutating func skip(_ computed: Int) { sent = computed }

    /// The tokens of the program's beginning, up to the first question.
    let prompt: [Int32]

    /// Rows that `next` would give, at most.
    var nextRows: Int { max(1, min(tokens.count - sent, limits.chunk)) }

    /// The next rows to compute, or nil while an answer is on its way.
    mutating func next() -> Step? {
        guard !isFinished, asked == nil else { return nil }
        if case .choose(_, let labels) = program[step], labelScores.count == labels.count {
            // The first tokens are weighed; now the labels of several tokens, one after the other.
            if let index = labels.indices.first(where: { labels[$0].count > 1 && !weighed.contains($0) }) {
                asked = .restOfLabel(index)
                let label = labels[index]
                return Step(
                    tokens: label.dropLast(), firstPosition: tokens.count,
                    readouts: label.indices.dropLast().map {
                        Readout(row: $0, kind: .logProbabilities([label[$0 + 1]]))
                    }, keeps: false)
            }
        }
        // Chunks end at multiples of the chunk size, whatever was shared or skipped before.
        let end = min(tokens.count, (sent / limits.chunk + 1) * limits.chunk)
        let rows = tokens[sent..<end]
        let first = sent
        sent = end
        guard end == tokens.count else { return Step(tokens: rows, firstPosition: first, readouts: [], keeps: true) }
        let readout: Readout
        switch program[step] {
        case .choose(_, let labels):
            asked = .firstTokens
            readout = Readout(row: rows.count - 1, kind: .logProbabilities(labels.map { $0[0] }))
        case .generate:
            asked = .nextToken
            readout = Readout(row: rows.count - 1, kind: .sample(sampling))
        case .text:
            preconditionFailure("texts are taken as soon as they come up")
        }
        return Step(tokens: rows, firstPosition: first, readouts: [readout], keeps: true)
    }

    private var weighed: Set<Int> = []

    /// Takes the answer to the question asked with the last step.
    mutating func absorb(_ readings: [Reading]) {
        guard let question = asked else { return }
        asked = nil
        switch (question, program[step]) {
        case (.firstTokens, .choose(let choice, let labels)):
            guard case .logProbabilities(let scores) = readings[0] else { return }
            labelScores = scores
            weighed = Set(labels.indices.filter { labels[$0].count == 1 })
            decideIfWeighed(choice, labels)
        case (.restOfLabel(let index), .choose(let choice, let labels)):
            for reading in readings {
                if case .logProbabilities(let scores) = reading { labelScores[index] += scores[0] }
            }
            weighed.insert(index)
            decideIfWeighed(choice, labels)
        case (.nextToken, .generate(let name, let maxTokens, let stops)):
            guard case .token(let token) = readings[0] else { return }
            write(token, name, maxTokens, stops)
        default:
            preconditionFailure("an answer that was not asked for")
        }
    }

    private mutating func decideIfWeighed(_ choice: ChoiceSet, _ labels: [[Int32]]) {
        guard weighed.count == labels.count else { return }
        let top = labelScores.max()!
        let weights = labelScores.map { exp($0 - top) }
        let total = weights.reduce(0, +)
        let best = labelScores.firstIndex(of: top)!
        choices.append(
            ChoiceOutcome(
                name: choice.name, label: choice.labels[best], probabilities: weights.map { $0 / total },
                logProbabilities: labelScores))
        tokens += labels[best]
        outputTokens += labels[best].count
        labelScores = []
        weighed = []
        advance()
    }

    private mutating func write(_ token: Int32, _ name: String, _ maxTokens: Int, _ stops: [String]) {
        var now = writing ?? Writing(decoder: tokenizer?.makeStreamDecoder())
        if !ignoresEndTokens, limits.endTokens.contains(token) {
            outputTokens += 1
            return finish(now, name, .stop)
        }
        tokens.append(token)
        outputTokens += 1
        now.tokens.append(token)
        now.text += now.decoder?.append(token) ?? ""
        if let cut = stops.compactMap({ now.text.range(of: $0)?.lowerBound }).min() {
            now.text = String(now.text[..<cut])
            now.decoder = nil
            finish(now, name, .stop)
        } else if now.tokens.count >= maxTokens || tokens.count >= limits.context {
            finish(now, name, .length)
        } else {
            writing = now
        }
    }

    /// Ends it here: the text in the making stays as far as it came. For when nothing of it is on its way.
    mutating func expire() {
        guard !isFinished else { return }
        if let writing, case .generate(let name, _, _) = program[step] { finish(writing, name, .timeout) }
        isFinished = true
    }

    private mutating func finish(_ text: Writing, _ name: String, _ reason: FinishReason) {
        var text = text
        text.text += text.decoder?.finish() ?? ""
        texts.append(GeneratedText(name: name, text: text.text, tokens: text.tokens, finishReason: reason))
        writing = nil
        advance()
    }

    private mutating func advance() {
        step += 1
        takeText()
        if tokens.count >= limits.context { isFinished = true }
    }

    /// Appends the texts at the program's head; ends the sequence when nothing follows.
    private mutating func takeText() {
        while step < program.count, case .text(let text) = program[step] {
            tokens += text
            promptTokens += text.count
            step += 1
        }
        if step == program.count { isFinished = true }
    }
}
