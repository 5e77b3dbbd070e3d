import ArgumentParser
import Foundation
import Runtime
import ToolSupport

struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Turn a GGUF file into a Hugging Face directory.",
        discussion: """
            Reads GGUF v2 and v3 with F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1,
            Q4_K, Q5_K and Q6_K tensors.

            EXAMPLES
              qquant import SmolLM2-135M-Instruct.Q4_1.gguf --output models/SmolLM2
              qquant import model.gguf --output models/model --dtype bf16 --force
            """)

    @Argument(help: "The GGUF file.")
    var file: String

    @Option(help: "Directory to write.")
    var output: String

    @Option(help: "Type of the weights in the result: f16, bf16 or f32.")
    var dtype = "f16"

    @Flag(help: "Replace an existing model directory.")
    var force = false

    func validate() throws {
        guard ["f16", "bf16", "f32"].contains(dtype) else {
            throw ValidationError("--dtype: expected f16, bf16 or f32, got \(dtype)")
        }
    }

    func run() throws {
        try reportingErrors {
            let source = try GGUFImport(url: URL(fileURLWithPath: file), dtype: DType(rawValue: dtype.uppercased())!)
            for line in source.notes { note("note: \(line)") }
            let progress = Progress("parameters", total: source.parameters)
            let summary = try source.write(to: URL(fileURLWithPath: output), overwrite: force) { progress.update($0) }
            progress.finish()
            print(
                "\(output): \(summary.tensors) tensors, \(summary.parameters) parameters, \(summary.bytes) bytes (\(dtype))"
            )
        }
    }
}
