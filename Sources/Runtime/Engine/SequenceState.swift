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
        /// The next token, and those after guessed ones.
        case nextTokens([Int32])
    }

    struct Limits {
        var context: Int
        var endTokens: Set<Int32>
        /// Tokens to guess ahead.
        var drafts = 0
        /// Prompts are computed in chunks that end at multiples of this.
        var chunk = PageTable.chunk
    }

    private let request: Request
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
    private(set) var draftedTokens = 0
    private(set) var acceptedTokens = 0

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
        var json: JSONState?
        var number = NumberState.outside
        /// Of the number that is being spelled.
        var numberBytes = 0
        /// Whether it would be none of the numbers allowed if the text ended here.
        var numberIsCut = false
        var picked: [PickedToken] = []
    }

    init(_ program: [CompiledStep], request: Request, limits: Limits, tokenizer: Tokenizer?) {
        self.program = program
        self.request = request
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
        // Behind an end token nothing is left to compute, but the last position has to be asked again.
        if sent == tokens.count { sent -= 1 }
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
        case .generate(let generation):
            let drafts = guesses(generation, rows: rows.count)
            asked = .nextTokens(drafts)
            draftedTokens += drafts.count
            let query = query(generation)
            sent += drafts.count
            return Step(
                tokens: (rows + drafts)[...], firstPosition: first,
                readouts: (0...drafts.count).map { Readout(row: rows.count - 1 + $0, kind: .sample(query)) },
                keeps: true)
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
        case (.nextTokens(let drafts), .generate(let generation)):
            // A row's answer counts as long as the tokens before it were guessed right.
            let written = tokens.count
            let current = step
            for (index, reading) in readings.enumerated() {
                guard case .token(let picked) = reading else { return }
                sent = written + index
                write(picked, generation)
                guard step == current, !isFinished, index < drafts.count, drafts[index] == picked.token else { break }
                acceptedTokens += 1
            }
        default:
            preconditionFailure("an answer that was not asked for")
        }
    }

    private mutating func decideIfWeighed(_ choice: ChoiceSet, _ labels: [[Int32]]) {
        guard weighed.count == labels.count else { return }
        let (scores, probabilities) = choice.scoring.weigh(labelScores, tokens: labels.map(\.count))
        let best = scores.firstIndex(of: scores.max()!)!
        choices.append(
            ChoiceOutcome(
                name: choice.name, label: choice.labels[best], probabilities: probabilities,
                logProbabilities: labelScores))
        tokens += labels[best]
        outputTokens += labels[best].count
        labelScores = []
        weighed = []
        advance()
    }

    private func query(_ generation: Generation) -> TokenQuery {
        var query = TokenQuery(sampling: request.sampling, alternatives: request.logProbabilities)
        if request.sampling.repetitionPenalty != 1 { query.seen = Array(Set(tokens)) }
        if let grammar = generation.grammar { query.mask = grammar.mask(writing?.json ?? JSONState(grammar.schema)) }
        if let numbers = generation.numbers { query.mask = numbers.mask(writing?.number ?? .outside) }
        return query
    }

    /// The tokens that followed when the sequence last read as it does now (prompt lookup: Saxena 2023). None where the
    /// next picks depend on more than the logits.
    private func guesses(_ generation: Generation, rows: Int) -> [Int32] {
        guard limits.drafts > 0, rows == 1, !request.traced, generation.grammar == nil, generation.numbers == nil,
            request.sampling.repetitionPenalty == 1
        else { return [] }
        let room = min(generation.maxTokens - (writing?.tokens.count ?? 0), limits.context - tokens.count) - 1
        guard room > 0 else { return [] }
        return PromptLookup.continuation(of: tokens, atMost: min(limits.drafts, room))
    }

    private mutating func write(_ picked: PickedToken, _ generation: Generation) {
        let token = picked.token
        var now =
            writing
            ?? Writing(
                decoder: tokenizer?.makeStreamDecoder(), json: generation.grammar.map { JSONState($0.schema) })
        outputTokens += 1
        if !request.ignoresEndTokens || generation.grammar != nil, limits.endTokens.contains(token) {
            return finish(now, generation.name, .stop)
        }
        tokens.append(token)
        now.tokens.append(token)
        if picked.logProbability != nil { now.picked.append(picked) }
        now.text += now.decoder?.append(token) ?? ""
        if let grammar = generation.grammar {
            return write(now, token, generation, grammar)
        }
        if let numbers = generation.numbers?.numbers {
            for byte in tokenizer?.bytes(of: token, skipSpecialTokens: true) ?? [] {
                guard now.number.take(byte, numbers) else { preconditionFailure("the mask let it through") }
                if case .spelling = now.number { now.numberBytes += 1 } else { now.numberBytes = 0 }
            }
            now.numberIsCut = !now.number.canEnd(numbers)
        }
        if let cut = generation.stop.compactMap({ now.text.range(of: $0)?.lowerBound }).min() {
            now.text = String(now.text[..<cut])
            now.decoder = nil
            finish(now, generation.name, .stop)
        } else if now.tokens.count >= generation.maxTokens || tokens.count >= limits.context {
            finish(now, generation.name, .length)
        } else {
            writing = now
        }
    }

    /// Goes on with a JSON text, or closes it while there is still room to.
    private mutating func write(_ text: Writing, _ token: Int32, _ generation: Generation, _ grammar: Grammar) {
        var now = text
        for byte in tokenizer?.bytes(of: token, skipSpecialTokens: true) ?? [] {
            guard now.json?.take(byte, grammar.schema) == true else { preconditionFailure("the mask let it through") }
        }
        if now.json!.isFinished { return finish(now, generation.name, .stop) }
        let left = min(generation.maxTokens - now.tokens.count, limits.context - tokens.count)
        // No token is shorter than a byte, so mostly nothing has to be encoded to see that there is room.
        guard left <= now.json!.closing(grammar.schema).count + grammar.longestDetour else {
            writing = now
            return
        }
        let closing = Self.closing(now.json!, grammar.schema, tokenizer)
        guard left <= closing.tokens.count + grammar.longestDetour else {
            writing = now
            return
        }
        now.text += (now.decoder?.finish() ?? "") + closing.text
        now.decoder = nil
        let last = closing.tokens.prefix(left)
        now.tokens += last
        tokens += last
        outputTokens += last.count
        finish(now, generation.name, .length)
    }

    /// A short way to the end of a JSON text.
    static func closing(_ state: JSONState, _ schema: JSONSchema, _ tokenizer: Tokenizer?) -> (
        text: String, tokens: [Int32]
    ) {
        let text = String(decoding: state.closing(schema), as: UTF8.self)
        return (text, tokenizer?.encode(text, addSpecialTokens: false) ?? [])
    }

    /// Ends it here: the text in the making stays as far as it came. For when nothing of it is on its way.
    mutating func expire() {
        guard !isFinished else { return }
        if let writing, case .generate(let generation) = program[step] {
            finish(writing, generation.name, .timeout)
        }
        isFinished = true
    }

    private mutating func finish(_ text: Writing, _ name: String, _ reason: FinishReason) {
        var text = text
        if reason != .stop, text.numberIsCut {
            // Bytes of a character that is not whole are still with the decoder.
            let bytes = text.tokens.reduce(0) { $0 + (tokenizer?.bytes(of: $1, skipSpecialTokens: true)?.count ?? 0) }
            let shown = text.numberBytes - (bytes - text.text.utf8.count)
            text.text = String(decoding: text.text.utf8.dropLast(max(0, shown)), as: UTF8.self)
            text.decoder = nil
        }
        text.text += text.decoder?.finish() ?? ""
        texts.append(
            GeneratedText(
                name: name, text: text.text, tokens: text.tokens, finishReason: reason, logProbabilities: text.picked))
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
