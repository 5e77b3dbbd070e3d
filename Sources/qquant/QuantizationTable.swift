import Foundation
import Runtime

/// The closing table.
struct QuantizationTable {
    private let summary: ModelQuantizer.Summary
    private let seconds: Double?
    private let estimate: QuantizationEstimate?

    init(_ summary: ModelQuantizer.Summary, seconds: Double?, estimate: QuantizationEstimate?) {
        self.summary = summary
        self.seconds = seconds
        self.estimate = estimate
    }

    private var worst: [ModelQuantizer.Layer] {
        summary.layers.filter { $0.quality?.decibels != nil }
            .sorted { $0.quality!.decibels! < $1.quality!.decibels! }.prefix(5).map { $0 }
    }

    func text(output: String?) -> String {
        let ends = summary.embeddingMethod.map { ", embedding by \($0)" } ?? ""
        var lines = [
            output.map { "Wrote \($0)" } ?? "No model was written (--dry-run).",
            "  method           \(summary.method)\(ends)",
            "  schemes          \(summary.schemes.map { "\($0.label) (\($0.layers))" }.joined(separator: ", "))",
            "  layers           \(summary.layers.count)",
            "  bits per weight  \(format(summary.bitsPerWeight, 3)) in these layers, \(format(summary.totalBitsPerWeight, 3)) over all tensors",
            "  bytes            \(summary.bytesBefore) before, \(summary.bytesAfter) after (\(format(100 * Double(summary.bytesAfter) / Double(summary.bytesBefore), 1)) %)",
        ]
        if let estimate {
            lines.append("  memory           about \(estimate.memoryBytes / 1_000_000) MB at its peak")
            lines.append("  time             about \(format(estimate.seconds, estimate.seconds < 10 ? 1 : 0)) s")
        }
        if let seconds { lines.append("  time             \(format(seconds, 1)) s") }
        if !worst.isEmpty {
            lines.append("  lowest SQNR")
            for layer in worst {
                lines.append("    \(format(layer.quality!.decibels!, 2)) dB  \(layer.layer.module)")
            }
        }
        return lines.joined(separator: "\n")
    }

    func json() throws -> String {
        let layers = summary.layers.map { layer -> JSONValue in
            var object: JSONObject = [
                "module": .string(layer.layer.module), "rows": .integer(layer.layer.rows),
                "columns": .integer(layer.layer.columns), "bytes_before": .integer(layer.bytesBefore),
                "bytes_after": .integer(layer.bytesAfter), "scheme": .string(layer.scheme.label),
            ]
            if let decibels = layer.quality?.decibels, decibels.isFinite { object["sqnr_db"] = .number(decibels) }
            return .object(object)
        }
        var object: JSONObject = [
            "scheme": .string(summary.schemes.map(\.label).joined(separator: ", ")), "method": .string(summary.method),
            "bits_per_weight": .number(summary.bitsPerWeight),
            "total_bits_per_weight": .number(summary.totalBitsPerWeight), "bytes_before": .integer(summary.bytesBefore),
            "bytes_after": .integer(summary.bytesAfter), "layers": .array(layers),
        ]
        if let method = summary.embeddingMethod { object["embedding_method"] = .string(method) }
        if let estimate {
            object["estimated_seconds"] = .number(estimate.seconds)
            object["estimated_memory_bytes"] = .integer(estimate.memoryBytes)
        }
        if let seconds { object["seconds"] = .number(seconds) }
        return String(decoding: JSONValue.object(object).serialized(indent: nil), as: UTF8.self)
    }

    private func format(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
}
