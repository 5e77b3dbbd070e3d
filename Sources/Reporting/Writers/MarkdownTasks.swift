extension MarkdownReport {
    /// Answers against labels, grounding and forecasts.
    static func tasks(_ tasks: TaskQuality) -> String {
        let md = Escape.markdown
        func rows(_ rows: [[String]]) -> [[String]] { rows.map { $0.map(md) } }
        var out = ""
        if let first = tasks.models.first, !first.choices.isEmpty {
            out += "## Answers against labels\n\n"
            out += "\(tasks.labelledRequests) of \(tasks.requests) requests have labels.\n\n"
            for choice in first.choices {
                out += "### \(md(choice.task)) · \(md(choice.name)) (\(choice.count))\n\n"
                let columns = ["", "accuracy", "macro-F1", "ECE", "Brier"] + TaskText.languages(tasks)
                out += table(columns, rows(TaskText.rows(tasks, choice)), right: Set(columns.indices.dropFirst()))
                out += "Truth in rows, what \(md(first.name)) said in columns:\n\n"
                out += table(
                    [""] + choice.labels.map(md),
                    zip(choice.labels, choice.confusion).map { label, counts in [md(label)] + counts.map(String.init) },
                    right: Set(choice.labels.indices.map { $0 + 1 }))
            }
        }
        let grounding = TaskText.groundingRows(tasks)
        if !grounding.isEmpty {
            out += "## Numbers in the texts\n\n"
            out += table(
                TaskText.groundingColumns, rows(grounding), right: Set(TaskText.groundingColumns.indices.dropFirst()))
        }
        if !tasks.forecasts.isEmpty {
            out += "## Forecasts\n\n"
            out += table(
                TaskText.forecastColumns, rows(TaskText.forecastRows(tasks)),
                right: Set(TaskText.forecastColumns.indices.dropFirst()))
        }
        return out
    }
}
