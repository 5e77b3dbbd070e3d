extension FactDefinition {
    /// The whole table, in the order of the documentation.
    public static let all = timeline + recent + assessment + forecasts + detector

    /// docs/facts.md, whole.
    public static var markdown: String {
        var lines = [
            "# Facts", "",
            "What is computed of a recording, and how. The table is made from the code (`FactDefinition.all`); a test holds",
            "this file to it. Windows end at `observedAt`, the last moment of the recording. A fact whose window was watched to",
            "less than a half, or whose numbers were not served, is absent, never 0. Records that break an invariant count as",
            "such, and are left out of everything else.", "",
            "| name | unit | window | formula |", "|---|---|---|---|",
        ]
        lines += all.map { "| `\($0.name)` | \($0.unit) | \($0.window) | \($0.formula) |" }
        lines += [
            "", "Prompts may also name what one snapshot says (the fields of `Snapshot`), and:", "",
            "| name | what |", "|---|---|",
            "| `newsList` | the request's news, a line each: date, and source and title as quoted data |",
            "| `question` | the request's question, as quoted data |",
        ]
        return lines.joined(separator: "\n") + "\n"
    }
}

extension Facts {
    /// All facts of the table that the timeline shows.
    public init(_ timeline: Timeline) {
        if let context = FactContext(timeline) { self.init(context) } else { self.init() }
    }

    init(_ context: FactContext) {
        self.init()
        for definition in FactDefinition.all {
            guard let value = definition.compute(context) else { continue }
            if case .decimal(let number) = value, !number.isFinite { continue }
            self[definition.name] = value
        }
        self = assessed
    }
}
