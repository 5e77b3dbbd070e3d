import ArgumentParser
import Foundation
import Runtime
import ToolSupport

struct Quantize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Quantize a checkpoint to int8 or int4.",
        discussion: """
            The result is a Hugging Face directory in compressed-tensors'
            pack-quantized format, which transformers 5.23 loads unless the embedding
            is quantized too: such a checkpoint runs in qinfer and qbench. (vLLM was
            not tried; it is reported to fail on one, vllm-project/vllm#45535.) Give
            --bits for one scheme, or a budget for the best choice of schemes within
            it; that may quantize the embedding, unless --embedding keep.

            EXAMPLES
              qquant quantize models/SmolLM2 --output models/SmolLM2-int4 --bits 4
              qquant quantize models/SmolLM2 --output models/SmolLM2-4.5 \\
                --target-bpw 4.5 --method gptq --calibration book.txt
            """)

    @Argument(help: "Directory of a Hugging Face checkpoint.")
    var model: String

    @Option(help: "Directory to write.")
    var output: String

    @OptionGroup(title: "Schemes")
    var scheme: SchemeFlags

    @OptionGroup(title: "Method")
    var method: MethodFlags

    @Option(help: ArgumentHelp("Split the weights into files of at most so many tensor bytes.", valueName: "size"))
    var maxShardSize: ByteSize?

    @Option(help: "Threads. (default: all cores)")
    var threads: Int?

    @Flag(help: "Print what would be written, memory and time; write nothing but the file of --sensitivities.")
    var dryRun = false

    @Flag(help: "Replace an existing model directory.")
    var force = false

    @Flag(help: "Print the closing table as JSON.")
    var json = false

    func validate() throws {
        if let threads, threads < 1 { throw ValidationError("--threads: expected at least 1, got \(threads)") }
        guard scheme.target == nil || method.calibration.count > 0 || scheme.hasSensitivities else {
            throw ValidationError(
                "--target-bpw and --target-size: expected --calibration, or a file for --sensitivities")
        }
        guard !method.needsCalibration || method.calibration.count > 0 else {
            throw ValidationError("--method \(method.method.rawValue): expected --calibration FILE")
        }
        guard method.calibration.isEmpty || method.needsCalibration || scheme.target != nil else {
            throw ValidationError(
                "--calibration: --method \(method.method.rawValue) reads none; expected imatrix, gptq, awq, --smooth, "
                    + "--target-bpw or --target-size")
        }
    }

    func run() throws {
        try reportingErrors {
            let checkpoint = try Checkpoint(directory: URL(fileURLWithPath: model))
            try ModelQuantizer.check(
                checkpoint, output: dryRun ? nil : URL(fileURLWithPath: output), overwrite: force)
            let calibration = try method.calibrationSet(checkpoint)
            let choice = try scheme.choose(checkpoint, calibration, method, threads: threads)
            var recipe = method.recipe(choice.plan, calibration)
            recipe.budget = choice.budget
            recipe.maxShardBytes = maxShardSize?.bytes
            recipe.threads = threads
            let quantizer = try ModelQuantizer(checkpoint, recipe: recipe)
            if dryRun {
                var estimate = try quantizer.estimate()
                if choice.measuringSeconds > 0 { estimate.addMeasuring(seconds: choice.measuringSeconds) }
                let table = QuantizationTable(quantizer.plan, seconds: nil, estimate: estimate)
                print(try json ? table.json() : table.text(output: nil))
                return
            }
            let began = Date()
            let progress = Progress("layers", total: quantizer.plan.layers.count)
            let summary = try quantizer.write(to: URL(fileURLWithPath: output), overwrite: force) { done, _ in
                progress.update(done)
            }
            progress.finish()
            let table = QuantizationTable(summary, seconds: Date().timeIntervalSince(began), estimate: nil)
            print(try json ? table.json() : table.text(output: output))
        }
    }
}
