import Foundation

/// The page's sections on answers against labels.
extension HTMLSections {
    var tasks: String {
        guard let tasks = results.tasks else { return "" }
        return labels(tasks) + grounding(tasks) + forecasts(tasks)
    }

    private func labels(_ tasks: TaskQuality) -> String {
        guard let first = tasks.models.first, !first.choices.isEmpty else { return "" }
        let about =
            "\(Format.grouped(Double(tasks.labelledRequests))) of \(Format.grouped(Double(tasks.requests))) requests "
            + "have labels. Every figure has its 95 % interval by bootstrap over requests."
        let cards = first.choices.enumerated().map { index, choice in
            """
            <div class="card flush scroll"><h3 class="tablehead">\(e(choice.task)) · \(e(choice.name)) \
            <em>\(Format.grouped(Double(choice.count))) labelled</em></h3>
            \(table(["", "accuracy", "macro-F1", "ECE", "Brier"] + TaskText.languages(tasks), TaskText.rows(tasks, choice)))</div>
            <div class="pair">
            \(figure("reliability-\(index)", "Whether confidence means what it says", "Accuracy by confidence, ten equal bins; on the line is right"))
            \(confusion(choice, first.name))
            </div>
            """
        }
        return section("Answers against labels", about, cards.joined(separator: "\n"))
    }

    private func confusion(_ choice: TaskQuality.Choice, _ model: String) -> String {
        let head = choice.labels.map { "<th scope=\"col\">\(e($0).replacing("_", with: "_<wbr>"))</th>" }.joined()
        let rows = zip(choice.labels, choice.confusion).map { label, counts in
            let all = max(1, counts.reduce(0, +))
            let cells = counts.map { count in
                "<td style=\"--share:\(Format.fixed(Double(count) / Double(all), 3))\">\(count == 0 ? "·" : "\(count)")</td>"
            }
            return "<tr><th scope=\"row\">\(e(label))</th>\(cells.joined())</tr>"
        }
        return """
            <div class="card scroll"><h3>What was said, by what was true</h3>
            <p class="caption">Rows are the truth, columns what \(e(model)) said</p>
            <table class="confusion"><thead><tr><th></th>\(head)</tr></thead><tbody>\(rows.joined())</tbody></table></div>
            """
    }

    private func grounding(_ tasks: TaskQuality) -> String {
        let rows = TaskText.groundingRows(tasks)
        guard !rows.isEmpty else { return "" }
        return section(
            "Numbers in the texts",
            "A number is grounded where it is a fact that the prompt showed. Texts with another one are written a second "
                + "time, with their digits held to the facts; what is counted here is what stood in the end.",
            "<div class=\"card flush scroll\">\(table(TaskText.groundingColumns, rows))</div>")
    }

    private func forecasts(_ tasks: TaskQuality) -> String {
        guard !tasks.forecasts.isEmpty else { return "" }
        return section(
            "Forecasts",
            "Computed, not the model's. MASE: mean absolute error over that of saying that all stays as it is.",
            "<div class=\"card flush scroll\">\(table(TaskText.forecastColumns, TaskText.forecastRows(tasks)))</div>")
    }

    private func table(_ columns: [String], _ rows: [[String]]) -> String {
        let head = columns.map { "<th scope=\"col\">\(e($0))</th>" }.joined()
        let body = rows.map { row in
            "<tr><th scope=\"row\">\(e(row[0]))</th>" + row.dropFirst().map { "<td>\(cell($0))</td>" }.joined()
                + "</tr>"
        }
        return """
            <table class="plain"><thead><tr>\(head)</tr></thead>
            <tbody>\(body.joined(separator: "\n"))</tbody></table>
            """
    }
}

extension HTMLSections {
    /// A figure with its interval below it, so that wide tables fit.
    fileprivate func cell(_ text: String) -> String {
        guard text.hasSuffix(")"), let open = text.range(of: " (") else { return e(text) }
        return e(String(text[..<open.lowerBound]))
            + "<span class=\"spread\">\(e(String(text[open.upperBound...].dropLast())))</span>"
    }
}

/// The tables of `TaskQuality` as words, the same in Markdown and HTML.
enum TaskText {
    static func share(_ figure: TaskQuality.Figure?) -> String {
        figure.map { figure in
            Format.percent(figure.value)
                + (figure.interval.map { " (\(Format.percent($0.low)) – \(Format.percent($0.high)))" } ?? "")
        } ?? "—"
    }

    static func number(_ figure: TaskQuality.Figure?, digits: Int = 3) -> String {
        figure.map { figure in
            Format.fixed(figure.value, digits)
                + (figure.interval.map { " (\(Format.fixed($0.low, digits)) – \(Format.fixed($0.high, digits)))" } ?? "")
        } ?? "—"
    }

    static func languages(_ tasks: TaskQuality) -> [String] {
        Set(tasks.models.flatMap { $0.choices.flatMap(\.languages.keys) }).sorted()
    }

    /// Models, then baselines, for one choice.
    static func rows(_ tasks: TaskQuality, _ choice: TaskQuality.Choice) -> [[String]] {
        let languages = languages(tasks)
        var rows = tasks.models.compactMap { model -> [String]? in
            model.choices.first { $0.task == choice.task && $0.name == choice.name }.map { own in
                [model.name, share(own.accuracy), number(own.macroF1), number(own.ece), number(own.brier)]
                    + languages.map { share(own.languages[$0]) }
            }
        }
        let empty = Array(repeating: "", count: 3 + languages.count)
        if let base = tasks.baselines.first(where: { $0.task == choice.task && $0.name == choice.name }) {
            rows.append(["majority", share(base.majority)] + empty)
            let words =
                base.detectorCount == choice.count || base.detector == nil
                ? share(base.detector) : "\(share(base.detector)) of \(base.detectorCount)"
            rows.append(["detector alone", words] + empty)
        }
        return rows
    }

    static let groundingColumns = [
        "", "texts", "numbers", "grounded", "written freely", "texts without a loose number", "written twice",
        "fact asked for",
    ]

    static func groundingRows(_ tasks: TaskQuality) -> [[String]] {
        tasks.models.flatMap { model in
            model.grounding.filter { $0.texts > 0 }.map { own in
                [
                    "\(own.task) · \(model.name)", "\(own.texts)", "\(own.numbers)", share(own.rate),
                    share(own.freeRate),
                    "\(own.groundedTexts)", "\(own.regenerated)",
                    own.asked == nil ? "—" : "\(share(own.asked)) of \(own.askedCount)",
                ]
            }
        }
    }

    static let forecastColumns = ["", "n", "MASE", "inside of the 80 % interval"]

    static func forecastRows(_ tasks: TaskQuality) -> [[String]] {
        tasks.forecasts.map { [$0.name, "\($0.count)", number($0.mase, digits: 2), share($0.coverage)] }
    }
}
