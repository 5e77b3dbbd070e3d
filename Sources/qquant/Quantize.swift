import ArgumentParser
import Foundation
import Runtime
import ToolSupport

struct Quantize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Quantize a checkpoint to int8 or int4.",
        discussion: """
            The result is a Hugging Face directory in compressed-tensors'
            pack-quantized format, which transformers and vLLM load. Embedding and
            norms stay as they are.

            EXAMPLES
              qquant quantize models/SmolLM2 --output models/SmolLM2-int4 --bits 4
              qquant quantize models/SmolLM2 --output models/SmolLM2-int8 \\
                --bits 8 --group-size channel --dry-run
            """)

    @Argument(help: "Directory of a Hugging Face checkpoint.")
    var model: String

    @Option(help: "Directory to write.")
    var output: String

    @Option(help: "Bits a weight: 8 or 4.")
    var bits: Int

    @Option(
        help: ArgumentHelp("Columns that share a scale: 32, 64, 128, or channel for whole rows.", valueName: "size"))
    var groupSize = "64"

    @Flag(help: "Zero stays zero, or each group has a zero point of its own.")
    var symmetry = Symmetry.symmetric

    @Option(help: "How weights are rounded: rtn.")
    var method = "rtn"

    @Flag(help: "Quantize the head too; a tied head gets weights of its own.")
    var quantizeHead = false

    @Flag(help: "Print what would be written, and write nothing.")
    var dryRun = false

    @Flag(help: "Replace an existing model directory.")
    var force = false

    @Flag(help: "Print the closing table as JSON.")
    var json = false

    enum Symmetry: String, EnumerableFlag { case symmetric, asymmetric }

    func validate() throws {
        guard bits == 8 || bits == 4 else { throw ValidationError("--bits: expected 8 or 4, got \(bits)") }
        guard ["32", "64", "128", "channel"].contains(groupSize) else {
            throw ValidationError("--group-size: expected 32, 64, 128 or channel, got \(groupSize)")
        }
        guard method == "rtn" else { throw ValidationError("--method: expected rtn, got \(method)") }
    }

    func run() throws {
        try reportingErrors {
            let scheme = QuantizationScheme(
                bits: bits, symmetric: symmetry == .symmetric, groupSize: Int(groupSize))
            let checkpoint = try Checkpoint(directory: URL(fileURLWithPath: model))
            let quantizer = try ModelQuantizer(checkpoint, scheme: scheme, quantizesHead: quantizeHead)
            let began = Date()
            var summary = quantizer.plan
            if !dryRun {
                let progress = Progress("layers", total: summary.layers.count)
                summary = try quantizer.write(to: URL(fileURLWithPath: output), overwrite: force) { done, _ in
                    progress.update(done)
                }
                progress.finish()
            }
            let table = QuantizationTable(summary, seconds: dryRun ? nil : Date().timeIntervalSince(began))
            print(try json ? table.json() : table.text(output: dryRun ? nil : output))
        }
    }
}

/// The closing table.
struct QuantizationTable {
    private let summary: ModelQuantizer.Summary
    private let seconds: Double?

    init(_ summary: ModelQuantizer.Summary, seconds: Double?) {
        self.summary = summary
        self.seconds = seconds
    }

    private var worst: [ModelQuantizer.Layer] {
        summary.layers.filter { $0.quality?.decibels != nil }
            .sorted { $0.quality!.decibels! < $1.quality!.decibels! }.prefix(5).map { $0 }
    }

    func text(output: String?) -> String {
        var lines = [
            output.map { "Wrote \($0)" } ?? "Nothing was written (--dry-run).",
            "  scheme           \(summary.scheme.label), \(summary.method)",
            "  layers           \(summary.layers.count)",
            "  bits per weight  \(format(summary.bitsPerWeight, 3)) in these layers",
            "  bytes            \(summary.bytesBefore) before, \(summary.bytesAfter) after (\(format(100 * Double(summary.bytesAfter) / Double(summary.bytesBefore), 1)) %)",
        ]
        if let seconds { lines.append("  time             \(format(seconds, 1)) s") }
        if !worst.isEmpty {
            lines.append("  lowest SQNR")
            for layer in worst {
                lines.append("    \(format(layer.quality!.decibels!, 2)) dB  \(layer.layer.module)")
            }
        }
        return lines.joined(separator: "\n")
    }

    func json() throws -> String {
        let layers = summary.layers.map { layer -> JSONValue in
            var object: JSONObject = [
                "module": .string(layer.layer.module), "rows": .integer(layer.layer.rows),
                "columns": .integer(layer.layer.columns), "bytes_before": .integer(layer.bytesBefore),
                "bytes_after": .integer(layer.bytesAfter),
            ]
            if let decibels = layer.quality?.decibels, decibels.isFinite { object["sqnr_db"] = .number(decibels) }
            return .object(object)
        }
        var object: JSONObject = [
            "scheme": .string(summary.scheme.label), "method": .string(summary.method),
            "bits_per_weight": .number(summary.bitsPerWeight), "bytes_before": .integer(summary.bytesBefore),
            "bytes_after": .integer(summary.bytesAfter), "layers": .array(layers),
        ]
        if let seconds { object["seconds"] = .number(seconds) }
        return String(decoding: JSONValue.object(object).serialized(indent: nil), as: UTF8.self)
    }

    private func format(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
}
