import ArgumentParser
import Foundation
import Reporting
import ToolSupport

/// `qbench compare`: whether a candidate is slower than a baseline.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Say whether a run is slower than a baseline, and whether that can be known.",
        discussion: """
            A regression is significant (Mann–Whitney, two-sided), larger than both
            --effect and the noise that the runs recorded, and confirmed by a second
            run. Status 0: no change, or faster. 1: regressed. 3: inconclusive.

            EXAMPLES
              qbench compare Reports/a/results.json Reports/b/results.json
              qbench compare Reports/a/results.json Reports/b/results.json \\
                --confirm Reports/c/results.json
            """)

    @Argument(help: ArgumentHelp("The run to compare with.", valueName: "baseline.json"))
    var baseline: String

    @Argument(help: ArgumentHelp("The run in question.", valueName: "candidate.json"))
    var candidate: String

    @Option(help: ArgumentHelp("A second run of the candidate.", valueName: "file"))
    var confirm: String?

    @Option(help: "The chance of a false alarm that is accepted, over all measures together.")
    var alpha: Double = 0.01

    @Option(help: "The smallest relative change of a median that matters.")
    var effect: Double = 0.05

    func validate() throws {
        guard alpha > 0, alpha < 1 else { throw ValidationError("--alpha lies between 0 and 1; got \(alpha)") }
        guard effect >= 0, effect.isFinite else { throw ValidationError("--effect is 0 or more; got \(effect)") }
    }

    func run() throws {
        let comparison = try reportingErrors {
            Comparison(
                baseline: try BenchmarkResults(contentsOf: URL(fileURLWithPath: baseline)),
                candidate: try BenchmarkResults(contentsOf: URL(fileURLWithPath: candidate)),
                confirmation: try confirm.map { try BenchmarkResults(contentsOf: URL(fileURLWithPath: $0)) },
                test: RegressionTest(alpha: alpha, smallestEffect: effect))
        }
        print(comparison.text(), terminator: "")
        switch comparison.verdict {
        case .noChange, .improved: break
        case .regressed: throw ExitCode(1)
        case .inconclusive: throw ExitCode(3)
        }
    }
}
