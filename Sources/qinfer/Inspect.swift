import ArgumentParser
import Foundation
import QDashboard
import Runtime
import ToolSupport

struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what recordings or a trace hold.",
        discussion: """
            Recordings (HAR, JSON Lines, bodies, also as gzip, or a folder of them):
            timeline, findings and facts. Status 2: records were rejected.
            A trace: requests, shapes, versions and per-layer norms; names datasets
            that are missing and values that are no numbers. Status 1: not complete.

            EXAMPLES
              qinfer inspect trace.h5
              qinfer inspect Datasets/recorded/poller.jsonl --json
            """)

    @Argument(help: ArgumentHelp("Recordings, or one trace as --trace writes it.", valueName: "file"))
    var files: [String] = []

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Print the table of facts: name, unit, window, formula.")
    var formulas = false

    func validate() throws {
        if files.isEmpty && !formulas { throw ValidationError("name a recording or a trace") }
    }

    func run() throws {
        if formulas { print(FactDefinition.markdown, terminator: "") }
        guard let first = files.first else { return }
        if files.count == 1, Self.isTrace(first) { try inspectTrace(first) } else { try inspectRecordings() }
    }

    /// HDF5's own signature; a file that is missing is said to be so by the reader.
    private static func isTrace(_ path: String) -> Bool {
        if path.hasSuffix(".h5") { return true }
        // Looking into a pipe would take its first bytes.
        let type = try? FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType
        guard type == .typeRegular else { return false }
        let start = FileHandle(forReadingAtPath: path).flatMap { try? $0.read(upToCount: 8) }
        return start == Data([0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A])
    }

    private func inspectRecordings() throws {
        let rejected = try reportingErrors {
            let reader = try RequestReader(paths: files, digestsInput: false)
            var builder = TimelineBuilder()
            let progress = Progress("kB", total: reader.bytesInAll > 0 ? reader.bytesInAll / 1000 : nil)
            while let item = try reader.next() {
                builder.add(item)
                let records = reader.accepted + reader.rejected
                if records.isMultiple(of: 1000) {
                    progress.update(reader.bytesRead / 1000, detail: "\(records) records")
                }
            }
            progress.finish()
            let report = TimelineReport(timeline: builder.finish(), scrubbed: reader.scrubbed, aside: reader.aside)
            print(json ? String(decoding: report.json.serialized(), as: UTF8.self) : report.text)
            return reader.rejected
        }
        if rejected > 0 { throw ExitCode.doneWithRejections }
    }

    private func inspectTrace(_ path: String) throws {
        let summary = try reportingErrors {
            let summary = try TraceSummary(TraceFile(url: URL(fileURLWithPath: path)))
            if json {
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
                print(String(decoding: try encoder.encode(summary), as: UTF8.self))
            } else {
                print(summary.table(name: URL(fileURLWithPath: path).lastPathComponent))
            }
            return summary
        }
        if !summary.isComplete { throw ExitCode.failed }
    }
}
