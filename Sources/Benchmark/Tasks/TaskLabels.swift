import Foundation
import Runtime

/// The truth of a labelled request, from a file of labels (`*.labels.jsonl` beside `*.jsonl`).
public struct TaskLabel: Sendable, Equatable {
    /// The right value of each choice that is labelled.
    public var choices: [String: String] = [:]
    /// Of a question: the fact that it asks for.
    public var fact: String?
    /// What the detector alone says of the recording up to that moment.
    public var detector: [String: String] = [:]
    /// What came of each forecast.
    public var actual: [String: Double] = [:]

    /// The choices that labels may name.
    static let choiceNames = ["sentiment", "direction", "kind", "severity", "risk"]
}

/// Labels by the requests' ids.
public struct TaskLabels: Sendable {
    public private(set) var byID: [String: TaskLabel] = [:]

    public var isEmpty: Bool { byID.isEmpty }

    public init(_ byID: [String: TaskLabel] = [:]) { self.byID = byID }

    /// Reads all `*.labels.jsonl` files of a folder.
    /// - Throws: `BenchmarkError.badLabel` that names file and line; two labels of one id among it.
    public init(folder: String) throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        for name in names.sorted() where name.hasSuffix(Self.suffix) { try read(folder + "/" + name) }
    }

    public static let suffix = ".labels.jsonl"

    private mutating func read(_ path: String) throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
        for (index, line) in data.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            if line.allSatisfy({ $0 == 0x20 || $0 == 0x0D }) { continue }
            func fail(_ problem: String) -> BenchmarkError {
                .badLabel(place: "\(path), line \(index + 1)", problem: problem)
            }
            guard let value = try? JSONValue(parsing: Data(line), place: path) else { throw fail("is no JSON") }
            guard let id = value["id"]?.string else {
                // Incidents of a recording stand in files of the same name; they label no request.
                if value["onset"] != nil || value["kind"] != nil || value["hard_negative"] != nil { continue }
                throw fail("has no id")
            }
            guard byID.updateValue(try Self.label(value, fail), forKey: id) == nil else {
                throw fail("labels \(id) a second time")
            }
        }
    }

    private static func label(_ value: JSONValue, _ fail: (String) -> BenchmarkError) throws -> TaskLabel {
        var label = TaskLabel()
        func text(_ value: JSONValue?, _ name: String) throws -> String? {
            guard let value, !value.isNull else { return nil }
            guard let text = value.string else { throw fail("\(name) is \(value.kind), no text") }
            return text
        }
        for name in TaskLabel.choiceNames { label.choices[name] = try text(value[name], name) }
        label.fact = try text(value["fact"], "fact")
        if let detector = value["detector"], !detector.isNull {
            for name in TaskLabel.choiceNames { label.detector[name] = try text(detector[name], "detector.\(name)") }
            label.deriveFromDetector()
        }
        for member in value["actual"]?.object?.members ?? [] where !member.value.isNull {
            guard let number = member.value.double, number.isFinite else {
                throw fail("actual.\(member.key) is no number")
            }
            label.actual[member.key] = number
        }
        return label
    }
}

extension TaskLabel {
    /// Sentiment and risk follow from an incident as the truth's do.
    fileprivate mutating func deriveFromDetector() {
        guard let severity = detector["severity"] else { return }
        if detector["sentiment"] == nil {
            detector["sentiment"] = severity == "none" ? "positive" : severity == "minor" ? "neutral" : "negative"
        }
        if detector["risk"] == nil {
            detector["risk"] = severity == "none" ? "low" : severity == "severe" ? "high" : "medium"
        }
    }
}
