import Foundation
import Runtime

/// A comparison as a person's table and as JSON.
struct ComparisonTable {
    let comparison: ModelComparison
    let reference, candidate: String
    private let model: ComparableModel
    private let stored: StoredTypes
    private let seconds: Double

    init(
        _ comparison: ModelComparison, reference: String, candidate: String, model: ComparableModel,
        stored: StoredTypes, seconds: Double
    ) {
        self.comparison = comparison
        self.reference = reference
        self.candidate = candidate
        self.model = model
        self.stored = stored
        self.seconds = seconds
    }

    /// Key in JSON, name, figure, digits, and what it is multiplied by for people.
    var figures: [(key: String, name: String, estimate: Estimate, digits: Int, scale: Double)] {
        let summary = comparison.summary
        return [
            ("kl_mean", "KL mean, nats", summary.mean, 6, 1), ("kl_median", "KL median", summary.median, 6, 1),
            ("kl_p99", "KL p99", summary.p99, 6, 1), ("kl_max", "KL max", summary.maximum, 6, 1),
            ("same_top1", "same top-1, %", summary.sameTop, 3, 100),
            ("delta_p_rms", "Δp RMS, %", summary.deltaP, 3, 100),
            ("reference_perplexity", "perplexity, reference", summary.referencePerplexity, 4, 1),
            ("candidate_perplexity", "perplexity, candidate", summary.candidatePerplexity, 4, 1),
            ("ln_ratio", "ln ratio", summary.logRatio, 6, 1),
        ]
    }

    var facts: [(name: String, value: String)] {
        [
            ("reference", reference), ("candidate", candidate),
            ("tokens", "\(comparison.summary.tokens) predicted, in \(comparison.windows) windows"),
            ("bits per weight", String(format: "%.3f over all tensors", model.bitsPerWeight)),
            ("size", "\(model.tensorBytes) bytes"), ("time", String(format: "%.1f s", seconds)),
        ]
    }

    /// As the candidate's file has it.
    func scheme(_ layer: LayerComparison) -> String { stored[layer.module] ?? layer.scheme }

    static func shown(_ estimate: Estimate, digits: Int, scale: Double) -> String {
        String(format: "%.\(digits)f", estimate.value * scale)
            + (estimate.standardError.map { String(format: " ± %.\(digits)f", $0 * scale) } ?? "")
    }

    func text() -> String {
        func padded(_ name: String, _ width: Int) -> String {
            name.padding(toLength: max(width, name.count), withPad: " ", startingAt: 0)
        }
        var lines = facts.map { "  " + padded($0.name, 24) + $0.value }
        lines += figures.map {
            "  " + padded($0.name, 24) + Self.shown($0.estimate, digits: $0.digits, scale: $0.scale)
        }
        let width = 2 + (comparison.layers.map(\.module.count).max() ?? 0)
        lines += ["", "  " + padded("layer", width) + padded("scheme", 18) + "SQNR, dB   output error, %"]
        for layer in comparison.layers {
            let decibels = layer.decibels.map { String(format: "%8.2f", $0) } ?? "       –"
            let error = layer.outputError.map { String(format: "%19.3f", 100 * $0) } ?? "                  –"
            lines.append("  " + padded(layer.module, width) + padded(scheme(layer), 18) + decibels + error)
        }
        return lines.joined(separator: "\n")
    }

    func json() -> String {
        var object: JSONObject = [
            "reference": .string(reference), "candidate": .string(candidate),
            "tokens": .integer(comparison.summary.tokens), "windows": .integer(comparison.windows),
            "bits_per_weight": .number(model.bitsPerWeight), "tensor_bytes": .integer(model.tensorBytes),
            "file_bytes": .integer(model.fileBytes), "seconds": .number(seconds),
        ]
        for figure in figures {
            object[figure.key] = [
                "value": .number(figure.estimate.value),
                "standard_error": figure.estimate.standardError.map(JSONValue.number) ?? .null,
            ]
        }
        object["layers"] = .array(
            comparison.layers.map { layer in
                [
                    "module": .string(layer.module), "scheme": .string(scheme(layer)),
                    // JSON has no infinity: null where nothing was lost, too.
                    "sqnr_db": layer.decibels.flatMap { $0.isFinite ? .number($0) : nil } ?? .null,
                    "output_error": layer.outputError.map(JSONValue.number) ?? .null,
                ]
            })
        return String(decoding: JSONValue.object(object).serialized(indent: nil), as: UTF8.self)
    }
}
