import Foundation
import Runtime

/// A comparison as one HTML file that needs no other: the figures, and a map of which layers hurt, a row for each
/// decoder layer and a column for each of its products; embedding and head, where they differ, have rows of their own.
struct ComparisonPage {
    private let table: ComparisonTable

    init(_ table: ComparisonTable) { self.table = table }

    func html() -> String {
        """
        <!doctype html>
        <html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
        <title>\(escaped(table.candidate))</title>
        <style>
        body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
        table { border-collapse: collapse; margin: 1rem 0; } td, th { padding: .15rem .8rem; text-align: left; }
        .map td { text-align: right; font-variant-numeric: tabular-nums; color: #111; }
        </style>
        <h1>\(escaped(table.candidate))</h1>
        <table>\(rows)</table>
        <h2>Which layers hurt</h2>
        <p>Relative error of each product's output on the reference's inputs, in percent; under the pointer, and of the
        embedding, the signal-to-noise ratio of the weights. The darker, the worse.</p>
        \(map)
        </html>

        """
    }

    private var rows: String {
        (table.facts
            + table.figures.map { ($0.name, ComparisonTable.shown($0.estimate, digits: $0.digits, scale: $0.scale)) })
            .map { "<tr><th>\(escaped($0.0))</th><td>\(escaped($0.1))</td></tr>" }.joined(separator: "\n")
    }

    private var map: String {
        let layers = table.comparison.layers
        let worst = layers.compactMap(\.outputError).max() ?? 0
        let columns = 7
        let products = layers.filter(\.isInDecoder)
        func row(_ name: String, _ cells: String) -> String { "<tr><th>\(name)</th>\(cells)</tr>" }
        func end(_ module: String) -> [String] {
            layers.filter { $0.module == module }.map { row($0.shortName, cell($0, worst, columns: columns)) }
        }
        let head = row("layer", products.prefix(columns).map { "<th>\($0.shortName)</th>" }.joined())
        let body = stride(from: 0, to: products.count, by: columns).map { begin in
            row(
                "\(begin / columns)",
                products[begin..<min(begin + columns, products.count)].map { cell($0, worst) }.joined())
        }
        let rows = [head] + end("model.embed_tokens") + body + end("lm_head")
        return "<table class=\"map\">\(rows.joined(separator: "\n"))</table>"
    }

    private func cell(_ layer: LayerComparison, _ worst: Double, columns: Int = 1) -> String {
        let ratio = layer.decibels.map { String(format: "%.1f dB", $0) } ?? "zero"
        let alpha = layer.outputError.map { worst > 0 ? String(format: "%.2f", 0.9 * $0 / worst) : "0" } ?? "0"
        let shown = layer.outputError.map { String(format: "%.2f", 100 * $0) } ?? (layer.isInDecoder ? "–" : ratio)
        return "<td colspan=\"\(columns)\" style=\"background:rgba(214,60,40,\(alpha))\" title=\"\(layer.module): "
            + "\(ratio), \(escaped(table.scheme(layer)))\">\(shown)</td>"
    }

    private func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }
}

extension LayerComparison {
    /// `q_proj`, `embed_tokens`
    fileprivate var shortName: String { module.split(separator: ".").last.map(String.init) ?? module }
}
