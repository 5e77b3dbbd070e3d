import Foundation
import Runtime

/// The truth of a labelled request, from a file of labels (`*.labels.jsonl` beside `*.jsonl`).
public struct TaskLabel: Sendable, Equatable {
    /// The right value of each choice that is labelled.
    public var choices: [String: String] = [:]
    /// Of a question: the facts that it asks for.
    public var asked: [String] = []
    /// What the present value of a forecast has changed by when its time came.
    public var changes: [String: Double] = [:]

    public init(choices: [String: String] = [:], asked: [String] = [], changes: [String: Double] = [:]) {
        (self.choices, self.asked, self.changes) = (choices, asked, changes)
    }

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
        let labels = value["labels"] ?? value
        for name in TaskLabel.choiceNames {
            guard let truth = labels[name], !truth.isNull else { continue }
            guard let text = truth.string else { throw fail("\(name) is \(truth.kind), no text") }
            label.choices[name] = text
        }
        if let asked = labels["asked"], !asked.isNull {
            let names = asked.array?.compactMap(\.string) ?? []
            guard !names.isEmpty, names.count == asked.array?.count else { throw fail("asked is no list of facts") }
            label.asked = names
        }
        if let change = value["quality_change_6h"], !change.isNull {
            guard let number = change.double, number.isFinite else { throw fail("quality_change_6h is no number") }
            label.changes["forecastQuality6h"] = number
        }
        return label
    }
}
