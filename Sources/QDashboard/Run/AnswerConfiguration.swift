import Foundation
import Runtime

/// Everything that decides a run's answers, and nothing else: neither stages, threads, batch nor kernels.
public struct AnswerConfiguration: Sendable, Equatable {
    /// Name and value, e.g. ("model", its digest).
    public let members: [(name: String, value: String)]

    public static func == (a: Self, b: Self) -> Bool { a.json == b.json }

    /// - Parameters:
    ///   - calibration: the model's, whose temperatures are in the answers' confidences.
    ///   - model: the checkpoint's directory, for its tokenizer and chat template.
    ///   - every: seconds between the moments of a recording that are requests; nil where each record is one.
    ///   - wire: how hidden states were rounded between processes; nil where they were not.
    ///   - horizons: that predictions look ahead to; nil where the run has none.
    public init(
        modelDigest: String, prompts: PromptSet, calibration: ModelCalibration, model: URL, nodeID: String,
        options: EngineOptions, task: String, every: Double? = nil, wire: String? = nil,
        horizons: Horizons? = nil
    ) {
        let digests = prompts.digests
        var members = [
            ("model", modelDigest), ("prompt", digests.prompts), ("node", nodeID), ("task", task),
            ("language", prompts.language.rawValue), ("chat template", digests.templates),
            ("calibration", calibration.digest ?? "none"), ("moments", every.map { "every \($0) s" } ?? "all"),
            ("precision", options.precision.rawValue), ("key and value precision", options.cachePrecision.rawValue),
            ("context", options.context.map(String.init) ?? "the model's"),
        ]
        if let wire { members.append(("wire", wire)) }
        if let horizons { members.append(("horizons", horizons.text)) }
        if let tokenizer = try? Data(contentsOf: model.appending(path: "tokenizer.json"), options: .mappedIfSafe) {
            members.append(("tokenizer", Digest.hex(tokenizer)))
        }
        self.members = members
    }

    /// Nil where it is no such object.
    init?(_ value: JSONValue) {
        guard let object = value.object else { return nil }
        members = object.members.compactMap { member in member.value.string.map { (member.key, $0) } }
        guard members.count == object.count else { return nil }
    }

    public var json: JSONValue { object(members.map { ($0.name, .string($0.value)) }) }

    /// SHA-256 of the canonical JSON.
    public var digest: String { Digest.hex(canonical: json) }

    /// The first thing in which another one differs.
    func difference(from other: AnswerConfiguration) -> (what: String, mine: String, theirs: String)? {
        let names = members.map(\.name) + other.members.map(\.name)
        for name in names {
            let mine = members.first { $0.name == name }?.value ?? "none"
            let theirs = other.members.first { $0.name == name }?.value ?? "none"
            if mine != theirs { return (name, mine, theirs) }
        }
        return nil
    }
}
