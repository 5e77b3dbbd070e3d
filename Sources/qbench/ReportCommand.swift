import ArgumentParser
import Foundation
import Reporting
import ToolSupport

/// `qbench report`: makes the readable reports from recorded results.
struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Write report.html, report.md and junit.xml from results.json.",
        discussion: """
            Raw samples stay as they were; the verdicts are worked out anew.

            EXAMPLES
              qbench report Reports/run/results.json --output Reports/run --force
              qbench report Reports/run/results.json --output Reports/strict \\
                --kpi Datasets/kpi.yaml
            """)

    @Argument(help: ArgumentHelp("What qbench run recorded.", valueName: "results.json"))
    var results: String

    @Option(name: .shortAndLong, help: ArgumentHelp("The directory to write into.", valueName: "dir"))
    var output: String

    @Option(help: ArgumentHelp("Judge by these targets instead of the recorded ones.", valueName: "file"))
    var kpi: String?

    @Option(name: .customLong("chart-js"), help: ArgumentHelp("Where Chart.js 3.x is.", valueName: "file"))
    var chartJS: String = HTMLReport.defaultChartLibrary.path

    @Flag(help: "Replace reports that exist.")
    var force = false

    func run() throws { try reportingErrors(write) }

    private func write() throws {
        let source = URL(fileURLWithPath: results)
        var read = try BenchmarkResults(contentsOf: source)
        if let kpi { read.targets = try KPIFile.read(URL(fileURLWithPath: kpi)) }
        let written = try ReportFiles.write(
            read, to: URL(fileURLWithPath: output, isDirectory: true), source: source, overwrite: force,
            chartLibrary: URL(fileURLWithPath: chartJS))
        let colour = VerdictTable.wantsColour(
            isTerminal: isatty(STDOUT_FILENO) == 1, environment: ProcessInfo.processInfo.environment)
        print(VerdictTable.text(KPIEvaluation(read), colour: colour))
        for url in written { print(url.relativePath) }
    }
}
