import Foundation
import Runtime

extension TraceSummary {
    /// The summary for a person. What comes from the file is shown without its control characters.
    func table(name: String) -> String {
        var lines = ["\(shown(name)): level \(level), \(storage.rawValue)"]
        lines.append(
            "model: \(model.layers) layers, hidden \(model.hidden), \(model.heads) heads, vocabulary \(model.vocabulary)"
        )
        lines += attributes.sorted { $0.key < $1.key }.map { "\(shown($0.key)): \(shown($0.value))" }
        for request in requests { lines += ["", request.title] + request.body }
        lines.append("")
        guard let completenessPercent else {
            return (lines + ["no requests: nothing was traced"]).joined(separator: "\n")
        }
        let share = String(format: "%.2f", completenessPercent)
        lines.append(
            "completeness \(share) % of \(requests.count) request\(requests.count == 1 ? "" : "s")"
                + (isComplete ? "" : ": NOT COMPLETE"))
        return lines.joined(separator: "\n")
    }
}

extension TraceSummary.Request {
    fileprivate var title: String {
        let prompt = promptTokens.map { ", \($0) of the prompt" } ?? ""
        let share = String(format: "%.2f", completenessPercent)
        return "request \(shown(id)): \(shown(status)), \(tokens) tokens\(prompt), \(completeDatasets) of "
            + "\(expectedDatasets) datasets (\(share) %)"
    }

    fileprivate var body: [String] {
        var lines: [String] = []
        if !timings.isEmpty {
            let words = timings.sorted { $0.key < $1.key }.map {
                "\(shown($0.key)) \(String(format: "%.3f", $0.value))"
            }
            lines.append("  timings: " + words.joined(separator: ", "))
        }
        // Layers mostly share one shape: a line for each shape, not for each dataset.
        let byShape = Dictionary(grouping: shapes.keys, by: { shapes[$0] ?? [] })
        for (shape, paths) in byShape.sorted(by: { $0.value.min() ?? "" < $1.value.min() ?? "" }) {
            let names = Set(
                paths.map { $0.hasPrefix("layers/") ? "layers/*/" + ($0.split(separator: "/").last ?? "") : $0 })
            lines.append("  \(shape): " + names.sorted().joined(separator: ", "))
        }
        if residPostMeanL2.contains(where: { $0 != nil }) {
            lines.append("  mean L2 of resid_post, by layer:")
            for start in stride(from: 0, to: residPostMeanL2.count, by: 8) {
                let row = residPostMeanL2[start..<min(start + 8, residPostMeanL2.count)]
                lines.append(
                    "  " + String(format: "%4d", start) + ": "
                        + row.map { $0.map { String(format: "%9.3f", $0) } ?? "        –" }.joined(separator: " "))
            }
        }
        if let saturatedValues, saturatedValues > 0 {
            lines.append("  ! \(saturatedValues) values beyond float16, stored as ±65504")
        }
        lines += notFinite.map { "  ! \($0.dataset): \($0.nan) NaN, \($0.infinite) infinite" }
        lines += problems.prefix(20).map { "  ! \(shown($0))" }
        if problems.count > 20 { lines.append("  ! and \(problems.count - 20) more (--json lists all)") }
        return lines
    }
}

/// Text from a file, fit for a terminal.
private func shown(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.map { $0.properties.generalCategory == .control ? "␦" : $0 }))
}
