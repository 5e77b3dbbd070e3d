import ArgumentParser
import Foundation
import QDashboard
import ToolSupport

struct Render: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what a model would be asked.",
        discussion: """
            Prints a line of JSON for each request: id, task, language, messages (the
            facts filled in) and answer (texts that are given, choices and texts that
            are the model's). Needs no model. Status 2: records were rejected.

            EXAMPLES
              qinfer render --prompts Datasets/prompts --snapshots \\
                Datasets/recorded/latest_stats.jsonl
              qinfer render --prompts Datasets/prompts --snapshots \\
                Datasets/synthetic/requests.train.jsonl
            """)

    @Option(help: ArgumentHelp("Directory of the prompts.", valueName: "dir"))
    var prompts = "Datasets/prompts"

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Recordings: HAR, JSON Lines, bodies, .gz, folders.", valueName: "file"))
    var snapshots: [String]

    @Option(help: "Task of requests that name none: analysis, prediction, anomaly, oracle, ask.")
    var task = AnswerTask.analysis

    @Option(help: "Language of requests that name none: en or zh.")
    var language = Language.english

    func run() throws {
        let rejected = try reportingErrors {
            let renderer = PromptRenderer(library: try PromptLibrary(directory: URL(fileURLWithPath: prompts)))
            let reader = try RequestReader(paths: snapshots, computesFacts: true, digestsInput: false)
            while let item = try reader.next() {
                switch item {
                case .rejected(let record): note("\(record.file):\(record.line): \(record.reason)")
                case .request(let request):
                    let line = try renderer.line(request, task: task, language: language)
                    FileHandle.standardOutput.write(line.serialized(indent: nil) + [0x0A])
                }
            }
            return reader.rejected
        }
        if rejected > 0 { throw ExitCode.doneWithRejections }
    }
}

extension AnswerTask: ExpressibleByArgument {}
