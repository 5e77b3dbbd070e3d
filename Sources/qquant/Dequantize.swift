import ArgumentParser
import Foundation
import Runtime
import ToolSupport

struct Dequantize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Turn a quantized checkpoint back into a plain one.",
        discussion: """
            For engines that do not read compressed-tensors, and for comparisons. What quantization has lost stays lost.

            EXAMPLES
              qquant dequantize models/SmolLM2-int4 --output models/plain
              qquant dequantize models/SmolLM2-int4 --output models/plain --dtype f32
            """)

    @Argument(help: "Directory of a quantized checkpoint.")
    var model: String

    @Option(help: "Directory to write.")
    var output: String

    @Option(help: "Type of all tensors: f16, bf16 or f32. (default: weights as their scales, all else as it is)")
    var dtype: String?

    @Flag(help: "Replace an existing model directory.")
    var force = false

    func validate() throws {
        guard let dtype, !["f16", "bf16", "f32"].contains(dtype) else { return }
        throw ValidationError("--dtype: expected f16, bf16 or f32, got \(dtype)")
    }

    func run() throws {
        try reportingErrors {
            let checkpoint = try Checkpoint(directory: URL(fileURLWithPath: model))
            let dequantizer = try ModelDequantizer(
                checkpoint, dtype: dtype.map { DType(rawValue: $0.uppercased())! })
            let progress = Progress("layers", total: nil)
            try dequantizer.write(to: URL(fileURLWithPath: output), overwrite: force) { done, _ in
                progress.update(done)
            }
            progress.finish()
            print("Wrote \(output)")
        }
    }
}
