import ArgumentParser
import Benchmark
import Foundation
import QDashboard
import Runtime
import ToolSupport

struct CalibrateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "calibrate", abstract: "Fit the temperatures of a model's labels, and write calibration.json.",
        discussion: """
            Asks the model for the labels of requests that it was not trained on, and
            fits one temperature for each choice of each task: the confidence of answers
            is right on average afterwards. qinfer and qbench use the file where it lies
            beside the weights; qquant copies it along.

            EXAMPLES
              qbench calibrate models/SmolLM2-int8 \\
                --requests Datasets/synthetic/requests.calibration.jsonl
              qbench calibrate models/SmolLM2-int8 --limit 200 --output trial.json \\
                --requests Datasets/synthetic/requests.calibration.jsonl
            """)

    @Argument(help: "Directory of a Hugging Face checkpoint.")
    var model: String

    @Option(help: ArgumentHelp("Requests, with their labels in FILE.labels.jsonl beside them.", valueName: "FILE"))
    var requests: String

    @Option(
        help: ArgumentHelp(
            "Directory of the prompts. (default: the model's own, else Datasets/prompts)", valueName: "dir"))
    var prompts: String?

    @Option(help: ArgumentHelp("Where to write. (default: calibration.json in the model)", valueName: "file"))
    var output: String?

    @Option(help: ArgumentHelp("Ask this many requests at the most.", valueName: "count"))
    var limit: Int?

    @OptionGroup var engine: EngineFlags

    func run() throws {
        try reportingErrors {
            let directory = URL(fileURLWithPath: model)
            let progress = Progress("labels", total: limit)
            let calibrator = ModelCalibrator(
                model: directory, engine: engine.options, chatTemplate: engine.chatTemplate,
                prompts: PromptLibrary.folder(prompts, model: directory))
            let (fit, json) = try calibrator.fit(URL(fileURLWithPath: requests), limit: limit) { progress.update($0) }
            progress.finish()
            let url = output.map { URL(fileURLWithPath: $0) } ?? directory.appending(path: ModelCalibration.fileName)
            try AtomicFile.write(json.serialized(), to: url)
            for entry in fit.entries {
                print(
                    "\(entry.name): \(entry.count) requests, accuracy \(Self.percent(entry.accuracy)), temperature "
                        + "\(String(format: "%.3f", entry.temperature)), ECE \(Self.percent(entry.errorBefore)) → "
                        + Self.percent(entry.errorAfter))
            }
            print(url.relativePath)
        }
    }

    private static func percent(_ share: Double) -> String { String(format: "%.1f %%", share * 100) }
}
