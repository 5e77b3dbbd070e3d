import ArgumentParser
import Foundation
import Runtime
import ToolSupport

struct Compare: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure how far a model is from its reference.",
        discussion: """
            Both models run through the runtime over windows of the text: int8
            activations where weights are quantized. A GGUF file is dequantized and
            runs in fp32, with the reference's tokenizer and configuration. A model
            that differs from the reference in these is refused.

            EXAMPLES
              qquant compare models/SmolLM2 models/SmolLM2-int4 --text README.md
              qquant compare models/SmolLM2 SmolLM2.Q4_K_M.gguf --text book.txt \\
                --tokens 8192 --html compare.html
            """)

    @Argument(help: "Directory of the full model.")
    var reference: String

    @Argument(help: "Directory of a version of it, or a GGUF file.")
    var candidate: String

    @Option(help: "The text, in UTF-8.")
    var text: String

    @Option(help: "Tokens to compare, from the text's beginning. (default: all)")
    var tokens: Int?

    @Option(help: "Tokens of a window, which starts without a past.")
    var window = 256

    @Option(help: "The candidate's arithmetic: auto, as it runs; fp32, weights alone.")
    var compute = "auto"

    @Option(help: "Threads. (default: all cores)")
    var threads: Int?

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: ArgumentHelp("Write a page with a picture of the layers.", valueName: "file"))
    var html: String?

    func validate() throws {
        if let tokens, tokens < 2 { throw ValidationError("--tokens: expected at least 2, got \(tokens)") }
        guard window >= 2 else { throw ValidationError("--window: expected at least 2, got \(window)") }
        guard ComputePrecision(rawValue: compute) != nil else {
            throw ValidationError("--compute: expected auto or fp32, got \(compute)")
        }
        if let threads, threads < 1 { throw ValidationError("--threads: expected at least 1, got \(threads)") }
    }

    func run() async throws {
        try await reportingErrorsAsync {
            let began = Date()
            let content = try ModelComparison.text(reading: URL(fileURLWithPath: text))
            let exact = try Checkpoint(directory: URL(fileURLWithPath: reference))
            let tokenizer = try Tokenizer(directory: exact.directory)
            let other = try ComparableModel(URL(fileURLWithPath: candidate), reference: exact)
            let stored = try StoredTypes(URL(fileURLWithPath: candidate))
            var options = ComparisonOptions()
            options.window = window
            options.tokens = tokens
            options.threads = threads
            options.precision = ComputePrecision(rawValue: compute)!
            let progress = Progress("windows", total: nil)
            let comparison = try await ModelComparison.run(
                reference: exact, candidate: other.checkpoint,
                text: tokenizer.encode(content, addSpecialTokens: false), options: options
            ) { done, _ in progress.update(done) }
            progress.finish()
            let table = ComparisonTable(
                comparison, reference: reference, candidate: candidate, model: other,
                stored: stored, seconds: Date().timeIntervalSince(began))
            if let html { try AtomicFile.write(ComparisonPage(table).html(), to: URL(fileURLWithPath: html)) }
            print(json ? table.json() : table.text())
        }
    }
}
