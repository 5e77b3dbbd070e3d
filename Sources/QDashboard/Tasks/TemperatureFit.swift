import Foundation
import Runtime
import Science

/// The temperature of each choice of each task, fitted on labelled requests that the model was not trained on.
public struct TemperatureFit: Sendable {
    public struct Entry: Sendable, Equatable {
        /// "task.choice"
        public let name: String
        public let count: Int
        public let accuracy: Double
        public let temperature: Double
        /// Expected calibration error before and after.
        public let errorBefore: Double
        public let errorAfter: Double
    }

    public let entries: [Entry]

    /// - Parameters:
    ///   - answers: made with temperatures of 1.
    ///   - labels: by a request's id, then by the choice's name.
    ///   - place: for the error's words.
    /// - Throws: `CalibrationError.nothingToFit`.
    public init(_ answers: [AnswerRecord], labels: [String: [String: String]], place: String) throws {
        var samples: [String: (probabilities: [[Double]], truth: [Int])] = [:]
        for answer in answers {
            for choice in answer.choices {
                guard let truth = labels[answer.id]?[choice.name],
                    let index = choice.probabilities.firstIndex(where: { $0.label == truth })
                else { continue }
                samples["\(answer.task.rawValue).\(choice.name)", default: ([], [])].probabilities.append(
                    choice.probabilities.map(\.value))
                samples["\(answer.task.rawValue).\(choice.name)"]!.truth.append(index)
            }
        }
        entries = samples.sorted { $0.key < $1.key }.compactMap { name, sample -> Entry? in
            guard let fitted = Calibration.temperature(probabilities: sample.probabilities, truth: sample.truth) else {
                return nil
            }
            let correct = zip(sample.probabilities, sample.truth).map { $0.firstIndex(of: $0.max()!) == $1 }
            func error(_ temperature: Double) -> Double {
                let confidence = sample.probabilities.map {
                    Calibration.tempered($0, temperature: temperature).max()!
                }
                return Calibration.error(confidence: confidence, correct: correct) ?? 0
            }
            return Entry(
                name: name, count: sample.truth.count,
                accuracy: Double(correct.count { $0 }) / Double(correct.count), temperature: fitted,
                errorBefore: error(1), errorAfter: error(fitted))
        }
        guard !entries.isEmpty else { throw CalibrationError.nothingToFit(path: place) }
    }

    /// As `calibration.json` holds it.
    ///
    /// - Parameter dataset: what it was fitted on, by name.
    public func json(dataset: String, modelDigest: String) -> JSONValue {
        var temperatures = JSONObject()
        var choices = JSONObject()
        for entry in entries {
            temperatures[entry.name] = .number(entry.temperature)
            choices[entry.name] = object([
                ("requests", .integer(entry.count)), ("accuracy", .number(entry.accuracy)),
                ("ece_before", .number(entry.errorBefore)), ("ece_after", .number(entry.errorAfter)),
            ])
        }
        let fitted = object([
            ("dataset", .string(dataset)), ("model_digest", .string(modelDigest)), ("choices", .object(choices)),
        ])
        return object([("temperatures", .object(temperatures)), ("fitted", fitted)])
    }

    /// The labels beside a file of requests: `x.labels.jsonl` of `x.jsonl`, the main choices by their names.
    ///
    /// Throws `CalibrationError.unusable`.
    public static func labels(of requests: URL) throws -> [String: [String: String]] {
        let url = requests.deletingPathExtension().appendingPathExtension("labels.jsonl")
        guard let data = try? Data(contentsOf: url), let text = String(validating: data, as: UTF8.self) else {
            throw CalibrationError.labels(path: url.path, problem: "cannot be read as UTF-8")
        }
        var labels: [String: [String: String]] = [:]
        for (number, line) in text.split(separator: "\n").enumerated() {
            guard let value = try? JSONValue(parsing: Data(line.utf8), place: url.path), let id = value["id"]?.string,
                let members = value["labels"]?.object
            else { throw CalibrationError.labels(path: "\(url.path), line \(number + 1)", problem: "is no label") }
            labels[id] = Dictionary(
                uniqueKeysWithValues: members.members.compactMap { member in
                    member.value.string.map { (member.key, $0) }
                })
        }
        return labels
    }
}
