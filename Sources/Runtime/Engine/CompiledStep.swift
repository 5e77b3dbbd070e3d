/// A text to be written.
struct Generation: Sendable {
    var name: String
    var maxTokens: Int
    var stop: [String]
    /// What the text is held to.
    var grammar: Grammar?
    var numbers: NumberGrammar?
    /// The fewest positions that it can do with.
    var fewest = 1
}

/// A program whose texts and labels are tokens.
enum CompiledStep: Sendable {
    case text([Int32])
    case choose(ChoiceSet, labels: [[Int32]])
    case generate(Generation)

    static func compile(
        _ request: Request, _ tokenizer: Tokenizer?, vocabulary: Int, grammars: Grammars
    ) throws -> [CompiledStep] {
        func encode(_ text: String) throws -> [Int32] {
            guard let tokenizer else { throw EngineError.noTokenizer(request: request.id) }
            return tokenizer.encode(text, addSpecialTokens: false)
        }
        let steps = try request.program.map { step -> CompiledStep in
            switch step {
            case .text(let text):
                return .text(try encode(text))
            case .tokens(let tokens):
                return .text(tokens)
            case .choose(let choice):
                return .choose(
                    choice,
                    labels: try choice.labels.map { label in
                        let tokens = try encode(label)
                        guard !tokens.isEmpty else {
                            throw EngineError.emptyLabel(request: request.id, choice: choice.name, label: label)
                        }
                        return tokens
                    })
            case .generate(let name, let maxTokens, let stop):
                return .generate(Generation(name: name, maxTokens: maxTokens, stop: stop))
            case .generateWithNumbers(let name, let maxTokens, let stop, let numbers):
                guard tokenizer != nil else { throw EngineError.noTokenizer(request: request.id) }
                return .generate(
                    Generation(name: name, maxTokens: maxTokens, stop: stop, numbers: try grammars.grammar(numbers)))
            case .json(let name, let schema, let maxTokens):
                guard tokenizer != nil else { throw EngineError.noTokenizer(request: request.id) }
                let fewest =
                    SequenceState.closing(JSONState(schema), schema, tokenizer).tokens.count + schema.longestDetour
                guard maxTokens > fewest else {
                    throw EngineError.schemaTooLong(
                        request: request.id, name: name, maxTokens: maxTokens, fewest: fewest + 1)
                }
                return .generate(
                    Generation(
                        name: name, maxTokens: maxTokens, stop: [], grammar: try grammars.grammar(schema),
                        fewest: fewest))
            }
        }
        let leading = steps.prefix(while: \.isText)
        guard leading.contains(where: { !$0.text.isEmpty }) else { throw EngineError.emptyPrompt(request: request.id) }
        for step in steps {
            for token in step.text where token < 0 || Int(token) >= vocabulary {
                throw EngineError.tokenOutOfRange(request: request.id, token: token, vocabulary: vocabulary)
            }
        }
        return steps
    }

    /// The fewest positions that the step can do with.
    var fewestTokens: Int { if case .generate(let generation) = self { generation.fewest } else { mostTokens } }

    /// The tokens that the caller brings.
    var givenTokens: Int { text.count }

    var text: [Int32] { if case .text(let tokens) = self { tokens } else { [] } }

    var isText: Bool { if case .text = self { true } else { false } }

    /// The most positions that the step can fill.
    var mostTokens: Int {
        switch self {
        case .text(let tokens): tokens.count
        case .choose(_, let labels): labels.map(\.count).max() ?? 0
        case .generate(let generation): generation.maxTokens
        }
    }
}
