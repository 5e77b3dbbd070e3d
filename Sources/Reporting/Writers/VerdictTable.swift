import Foundation

/// The verdicts as aligned text for a terminal.
public enum VerdictTable {
    /// - Parameter colour: ANSI colours; see `wantsColour`.
    public static func text(_ evaluation: KPIEvaluation, colour: Bool = false) -> String {
        guard !evaluation.results.isEmpty else { return "No targets were given, so there is no verdict.\n" }
        let header = ["", "target", "measured", "must be", "margin"]
        let rows = evaluation.results.map { r in
            [
                mark(r.verdict), Escape.visible(r.name), r.measuredText ?? "—", r.targetText, r.marginText ?? "—",
            ]
        }
        let widths = header.indices.map { column in ([header] + rows).map { width($0[column]) }.max() ?? 0 }
        func line(_ cells: [String]) -> String {
            var text = ""
            for (i, cell) in cells.enumerated() {
                let gap = String(repeating: " ", count: widths[i] - width(cell))
                // Numbers stand right, words left.
                text += (i == 0 ? "" : "  ") + (i >= 2 ? gap + cell : cell + gap)
            }
            while text.last == " " { text.removeLast() }
            return text
        }
        var lines = [style(line(header), "2", colour)]
        for (r, row) in zip(evaluation.results, rows) {
            lines.append(style(line(row), code(r.verdict), colour))
            if r.verdict == .notMeasured, let remark = r.remark {
                let indent = String(repeating: " ", count: widths[0] + 2)
                lines.append(style(indent + Escape.visible(remark), "2", colour))
            }
        }
        lines.append("")
        lines.append(style(evaluation.headline, code(evaluation.verdict), colour))
        return lines.joined(separator: "\n") + "\n"
    }

    /// Colour belongs on a terminal whose user has not refused it (no-color.org: set and not empty).
    public static func wantsColour(isTerminal: Bool, environment: [String: String]) -> Bool {
        isTerminal && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
    }

    private static func mark(_ verdict: KPIVerdict) -> String {
        switch verdict {
        case .pass: "PASS"
        case .fail: "FAIL"
        case .notMeasured: "n/m"
        }
    }

    private static func code(_ verdict: KPIVerdict) -> String {
        switch verdict {
        case .pass: "32"
        case .fail: "31"
        case .notMeasured: "33"
        }
    }

    private static func style(_ text: String, _ code: String, _ colour: Bool) -> String {
        colour ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }

    /// Columns on a terminal: East Asian wide characters take two, combining marks none.
    static func width(_ text: String) -> Int {
        text.unicodeScalars.reduce(0) { sum, scalar in
            switch scalar.properties.generalCategory {
            case .nonspacingMark, .enclosingMark, .format: return sum
            default: break
            }
            switch scalar.value {
            case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
                0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F900...0x1F9FF, 0x20000...0x3FFFD:
                return sum + 2
            default: return sum + 1
            }
        }
    }
}
