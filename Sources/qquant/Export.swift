import ArgumentParser
import Foundation
import Runtime
import ToolSupport

struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a checkpoint as a GGUF file for llama.cpp.",
        discussion: """
            Integers of a quantized checkpoint are kept where the format can hold
            them; all else is rounded as llama.cpp rounds it.

            EXAMPLES
              qquant export models/SmolLM2-int8 SmolLM2.Q8_0.gguf --gguf Q8_0
              qquant export models/SmolLM2-int4 SmolLM2.Q4_0.gguf --gguf Q4_0 --force
            """)

    @Argument(help: "Directory of a checkpoint.")
    var model: String

    @Argument(help: "The GGUF file to write.")
    var output: String

    @Option(help: ArgumentHelp("Type of the linear layers: Q8_0, Q4_0 or Q4_1.", valueName: "type"))
    var gguf: String

    @Flag(help: "Replace an existing file.")
    var force = false

    func validate() throws {
        guard GGUFExport.Format(rawValue: gguf) != nil else {
            throw ValidationError("--gguf: expected Q8_0, Q4_0 or Q4_1, got \(gguf)")
        }
    }

    func run() throws {
        try reportingErrors {
            let export = try GGUFExport(
                Checkpoint(directory: URL(fileURLWithPath: model)), format: GGUFExport.Format(rawValue: gguf)!)
            for line in export.notes { note("note: \(line)") }
            let progress = Progress("tensors", total: nil)
            let summary = try export.write(to: URL(fileURLWithPath: output), overwrite: force) { done, _ in
                progress.update(done)
            }
            progress.finish()
            print(
                "\(output): \(summary.tensors) tensors, \(summary.bytes) bytes; "
                    + "kept exactly \(summary.exact), with rounded scales \(summary.roundedScales), "
                    + "rounded anew \(summary.requantized)")
        }
    }
}
