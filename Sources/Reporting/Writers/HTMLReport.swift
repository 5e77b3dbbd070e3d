import Foundation

/// The report as one self-contained page: style, script, Chart.js and data inside, nothing fetched.
public enum HTMLReport {
    /// - Parameters:
    ///   - chartLibrary: the source of Chart.js 3.x, see `chartLibrary(at:)`.
    /// - Throws: `ReportingError` where a value cannot be drawn.
    public static func html(
        _ results: BenchmarkResults, _ evaluation: KPIEvaluation, chartLibrary: String
    ) throws -> String {
        let text = ReportText(results, evaluation)
        let data = ChartData(results, evaluation)
        let sections = HTMLSections(text: text, data: data)
        let name = Escape.html(results.model.name)
        return """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
            <title>\(name) · \(Escape.html(evaluation.headline))</title>
            <link rel="icon" href="data:,">
            <style>
            \(HTMLStyle.css)
            </style>
            </head>
            <body>
            <main>
            \(sections.header)
            \(sections.verdicts)
            \(sections.latency)
            \(sections.tokens)
            \(sections.timeline)
            \(sections.stages)
            \(sections.quality)
            \(sections.tasks)
            \(sections.failures)
            \(sections.facts)
            \(sections.words)
            <footer>\(Escape.html(results.tool.name)) \(Escape.html(results.tool.version)) · raw samples in results.json · charts by Chart.js (MIT licence)</footer>
            </main>
            <script type="application/json" id="data">\(try data.json())</script>
            <script>\(Escape.script(chartLibrary))</script>
            <script>
            \(HTMLScript.javascript)
            </script>
            </body>
            </html>

            """
    }

    /// Where Debian's package libjs-chart.js puts it.
    public static let defaultChartLibrary = URL(fileURLWithPath: "/usr/share/javascript/chart.js/chart.min.js")

    /// Reads Chart.js.
    ///
    /// - Throws: `ReportingError.chartLibraryMissing`, naming the package; `.malformed` where the file is something else.
    public static func chartLibrary(at url: URL = defaultChartLibrary) throws -> String {
        guard FileManager.default.fileExists(atPath: url.path) else {
            throw ReportingError.chartLibraryMissing(path: url.path)
        }
        let source = try SmallFile.text(url, limit: 8 << 20)
        guard source.prefix(400).contains("Chart.js v3.") else {
            throw ReportingError.malformed(
                place: url.path, problem: "is not the Chart.js that the report is made for",
                expected: "\"Chart.js v3.\" in its first lines", got: String(Escape.visible(String(source.prefix(60)))))
        }
        return source
    }
}
