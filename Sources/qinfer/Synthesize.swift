import ArgumentParser
import Foundation
import QDashboard
import Science
import ToolSupport

struct Synthesize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a synthetic set of polls with known incidents.",
        discussion: """
            Writes train, calibration and test polls (JSON Lines in a poller's
            envelope), the truth of each, and labelled requests of every task in English
            and Traditional Chinese, facts inside. The same seed gives the same bytes.

            EXAMPLES
              qinfer synthesize Datasets/recorded/epochs_104_231.jsonl --output \\
                Datasets/synthetic
              qinfer synthesize Datasets/recorded/epochs_104_231.jsonl --output \\
                Datasets/synthetic --seed 7 --days 1 --force
            """)

    @Argument(help: ArgumentHelp("The real epochs that the set is hung on.", valueName: "epochs"))
    var epochs: String

    @Option(help: ArgumentHelp("The folder to make.", valueName: "DIR"))
    var output: String

    @Option(help: "Seed of all that is drawn.")
    var seed: UInt64 = 1

    @Option(help: "Days of each epoch after its start, up to 6.")
    var days = 2.0

    @Option(help: "Labelled requests of the train split.")
    var trainRequests = 0

    @Option(help: "Labelled requests of the calibration split.")
    var calibrationRequests = 1000

    @Option(help: "Labelled requests of the test split.")
    var testRequests = 2000

    @Option(help: ArgumentHelp("Dated incidents of the network, to make requests of too.", valueName: "FILE"))
    var incidents: String?

    @Flag(help: "Replace the folder.")
    var force = false

    func validate() throws {
        guard days >= 0.5, days <= 6 else { throw ValidationError("--days: expected 0.5 to 6, got \(days)") }
        for (name, value) in [
            ("--train-requests", trainRequests), ("--calibration-requests", calibrationRequests),
            ("--test-requests", testRequests),
        ] where !(0...999_999).contains(value) {
            throw ValidationError("\(name): expected 0 to 999999, got \(value)")
        }
    }

    func run() throws {
        try reportingErrors {
            let anchors = try EpochAnchor.read(URL(fileURLWithPath: epochs))
            let real = try incidents.map { try RealIncident.read(URL(fileURLWithPath: $0)) }
            let files = SyntheticFiles(
                generator: Generator(anchors: anchors, settings: SyntheticSettings(seed: seed, days: days)))
            var requests = SyntheticRequests(
                seed: seed,
                counts: [.train: trainRequests, .calibration: calibrationRequests, .test: testRequests])
            let progress = Progress("epochs", total: files.generator.plan.count)
            try files.write(to: URL(fileURLWithPath: output), overwrite: force) { done, _ in
                progress.update(done)
            } each: {
                requests.add($0)
            } more: {
                try requests.write(to: $0)
                if let real { try RealRequests.write(real, anchors, to: $0) }
            }
            progress.finish()
            print(output)
        }
    }
}
