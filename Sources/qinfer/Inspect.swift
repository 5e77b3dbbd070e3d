import ArgumentParser
import Foundation
import Runtime
import ToolSupport

struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what a trace holds, and whether it is whole.",
        discussion: """
            Lists requests, shapes, versions and per-layer norms; names datasets that
            are missing and values that are no numbers. Status 1: not complete.

            EXAMPLES
              qinfer inspect trace.h5
              qinfer inspect trace.h5 --json
            """)

    @Argument(help: ArgumentHelp("A trace, as --trace writes it.", valueName: "TRACE.h5"))
    var trace: String

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let summary = try reportingErrors {
            let summary = try TraceSummary(TraceFile(url: URL(fileURLWithPath: trace)))
            if json {
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
                print(String(decoding: try encoder.encode(summary), as: UTF8.self))
            } else {
                print(summary.table(name: URL(fileURLWithPath: trace).lastPathComponent))
            }
            return summary
        }
        if !summary.isComplete { throw ExitCode.failed }
    }
}
