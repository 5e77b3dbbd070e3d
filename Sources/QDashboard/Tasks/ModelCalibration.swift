import Foundation
import Runtime

/// A model's `calibration.json`: by which temperature each choice's logits are divided before the softmax.
public struct ModelCalibration: Sendable, Equatable {
    public static let fileName = "calibration.json"
    static let range = 0.01...100.0

    /// "task.choice" → temperature.
    public var temperatures: [String: Double] = [:]
    /// SHA-256 of the file; nil without one.
    public private(set) var digest: String?

    public init(temperatures: [String: Double] = [:]) { self.temperatures = temperatures }

    /// Of a checkpoint's directory; without the file, every temperature is 1.
    ///
    /// Throws `CalibrationError`.
    public init(model: URL) throws {
        let url = model.appending(path: Self.fileName)
        guard FileManager.default.fileExists(atPath: url.path) else { return }
        guard let data = try? Data(contentsOf: url) else {
            throw CalibrationError.unusable(path: url.path, problem: "cannot be read")
        }
        let value: JSONValue
        do {
            value = try JSONValue(parsing: data, place: url.path)
        } catch {
            throw CalibrationError.unusable(path: url.path, problem: "is not JSON")
        }
        guard let members = value["temperatures"]?.object else {
            throw CalibrationError.unusable(path: url.path, problem: "has no object \"temperatures\"")
        }
        for (name, value) in members.members {
            guard let temperature = value.double, Self.range.contains(temperature) else {
                throw CalibrationError.unusable(
                    path: url.path, problem: "the temperature of \(Quoting.quoted(name)) is none from 0.01 to 100")
            }
            temperatures[name] = temperature
        }
        digest = Digest.hex(data)
    }

    public func temperature(_ name: String) -> Double { temperatures[name] ?? 1 }
}

public enum CalibrationError: WordedError, Equatable {
    case unusable(path: String, problem: String)
    case labels(path: String, problem: String)
    /// No request has a label and a choice that can be compared.
    case nothingToFit(path: String)

    public var wording: Wording {
        switch self {
        case .unusable(let path, let problem):
            Wording(
                path, problem, expected: #"{"temperatures":{"analysis.sentiment":1.3,…}}"#,
                advice: "make it anew with qbench calibrate, or remove it")
        case .labels(let path, let problem):
            Wording(
                path, problem, expected: #"lines such as {"id":"…","labels":{"sentiment":"positive"}}"#,
                advice: "make them with qinfer synthesize")
        case .nothingToFit(let path):
            Wording(
                path, "no request has a label for a choice of the prompts",
                expected: "requests as qinfer synthesize writes them, their labels beside them",
                advice: "give --requests Datasets/synthetic/requests.calibration.jsonl")
        }
    }
}
