import Foundation
import Runtime
import Science

/// What a request says beside its snapshot.
struct RequestFields: Equatable {
    var task: AnswerTask?
    var language: Language?
    var facts: Facts?
    var news: [NewsItem] = []
    var question: String?

    /// It says nothing of what is asked: a record of a recording.
    var isPoll: Bool { task == nil && facts == nil && news.isEmpty && question == nil }

    static let questionBytes = 4096
    static let newsItems = 1000

    init() {}

    init(_ record: BodyFields) throws(Rejection) {
        if let text = try record.text("task") {
            guard let task = AnswerTask(rawValue: text) else {
                let known = AnswerTask.allCases.map(\.rawValue).joined(separator: ", ")
                throw Rejection("task: expected one of \(known), got \(Quoting.quoted(text))")
            }
            self.task = task
        }
        if let text = try record.text("language") {
            guard let language = Language(rawValue: text) else {
                throw Rejection("language: expected en or zh, got \(Quoting.quoted(text))")
            }
            self.language = language
        }
        question = try record.text("question", limit: Self.questionBytes)
        if let question, question.allSatisfy(\.isWhitespace) { throw Rejection("question: nothing is asked") }
        news = try Self.news(record)
        if let value = record.object["facts"], !value.isNull { facts = try Self.facts(BodyFields(record, "facts")) }
        if task == .ask, question == nil { throw Rejection("question is missing; the task ask needs one") }
    }

    private static func news(_ record: BodyFields) throws(Rejection) -> [NewsItem] {
        guard let value = record.object["news"], !value.isNull else { return [] }
        guard let items = value.array else { throw Rejection("news: expected an array, got \(value.kind)") }
        guard items.count <= newsItems else {
            throw Rejection("news: \(items.count) items; expected at most \(newsItems)")
        }
        var news: [NewsItem] = []
        for (index, item) in items.enumerated() {
            guard let object = item.object else {
                throw Rejection("news[\(index)]: expected an object, got \(item.kind)")
            }
            let fields = BodyFields(object, path: "news[\(index)]")
            guard let title = try fields.text("title"), !title.allSatisfy(\.isWhitespace) else {
                throw Rejection("news[\(index)].title is missing")
            }
            news.append(NewsItem(at: try fields.moment("at"), source: try fields.text("source"), title: title))
        }
        return news
    }

    /// Facts that were computed before. Only names of the table, and only its own words: a text from outside is no fact.
    private static func facts(_ fields: BodyFields) throws(Rejection) -> Facts {
        var facts = Facts()
        for (name, value) in fields.object.members where !value.isNull {
            guard let definition = FactDefinition.byName[name] else {
                throw Rejection("\(fields.name(Quoting.plain(name, limit: 40))): no such fact (see docs/facts.md)")
            }
            switch definition.unit {
            case "UTC":
                guard let date = try fields.moment(name) else { continue }
                facts[name] = .moment(date)
            case "word":
                guard let word = value.string, FactDefinition.words.contains(word) else {
                    throw Rejection("\(fields.name(name)): expected one of the words that this fact has")
                }
                facts[name] = .word(word)
            default:
                switch value {
                case .integer(let number) where number.magnitude <= 1_000_000_000_000_000_000:
                    facts[name] = .integer(number)
                case .number(let number) where abs(number) <= 1e18: facts[name] = .decimal(number)
                default: throw Rejection("\(fields.name(name)): expected a number between −10¹⁸ and 10¹⁸")
                }
            }
        }
        return facts
    }
}

extension FactDefinition {
    static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
    /// The words that facts are, rather than numbers.
    static let words = Set(
        ["up", "flat", "down", "none", ForecastMethod.mixture.rawValue] + ForecastMethod.allCases.map(\.rawValue)
            + IncidentKind.allCases.map(\.rawValue) + Severity.allCases.map(\.rawValue))
}
