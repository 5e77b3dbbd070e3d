import ArgumentParser
import Foundation
import Runtime
import ToolSupport

struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what a checkpoint or a GGUF file holds.",
        discussion: """
            Exits with 1 where the tensors are not those that config.json asks for.

            EXAMPLES
              qquant inspect models/SmolLM2-135M-Instruct
              qquant inspect SmolLM2-135M-Instruct.Q4_1.gguf --json
            """)

    @Argument(help: "Directory of a Hugging Face checkpoint, a GGUF file, or one safetensors file.")
    var model: String

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        try reportingErrors {
            let inspection = try ModelInspection(URL(fileURLWithPath: model))
            print(json ? InspectionTable(inspection).json() : InspectionTable(inspection).text())
            if let problem = inspection.problem {
                note("error: \(problem)")
                throw ExitCode.failed
            }
        }
    }
}

/// An inspection as a person's table and as JSON.
struct InspectionTable {
    private let inspection: ModelInspection

    init(_ inspection: ModelInspection) { self.inspection = inspection }

    func text() -> String {
        var lines: [String] = []
        func line(_ name: String, _ value: String) {
            lines.append("  " + name.padding(toLength: max(16, name.count + 1), withPad: " ", startingAt: 0) + value)
        }
        lines.append(inspection.path)
        line(
            "format",
            inspection.format
                + ", \(inspection.files) file\(inspection.files == 1 ? "" : "s"), \(inspection.fileBytes) bytes")
        if let model = inspection.model {
            line("family", model.family.rawValue)
            line("layers", "\(model.layers), hidden \(model.hidden), intermediate \(model.intermediate)")
            line("heads", "\(model.heads), key-value heads \(model.kvHeads), width \(model.headDim)")
            line("vocabulary", "\(model.vocabulary), \(model.tiedEmbeddings ? "tied" : "untied") head")
            line("context", "\(model.contextLength)")
            line("rope", "theta \(model.rope.theta)" + scaling(model.rope.scaling))
        }
        line("parameters", "\(inspection.parameters)")
        if !inspection.schemes.isEmpty {
            line(
                "quantization",
                inspection.schemes.map { "\($0.label) (\($0.layers) layer\($0.layers == 1 ? "" : "s"))" }.joined(
                    separator: ", "))
        }
        let quantized = inspection.quantizedBitsPerWeight.map { ", \(Self.format($0)) in quantized layers" } ?? ""
        // A packed tensor alone does not say how many weights it stands for.
        if inspection.model != nil { line("bits per weight", Self.format(inspection.bitsPerWeight) + quantized) }
        if let digest = inspection.digest { line("digest", digest) }
        if let note = inspection.note { line("note", note) }
        for (name, value) in provenance { line(name, value) }
        return (lines + [""] + tensorLines()).joined(separator: "\n")
    }

    /// How the file was made, where a quantizer says so: "method", "calibration", …
    private var provenance: [(String, String)] {
        inspection.metadata.filter { $0.key.hasPrefix("qquant.") }.sorted { $0.key < $1.key }
            .map { (String($0.key.dropFirst(7)), $0.value) }
    }

    private func tensorLines() -> [String] {
        let rows = inspection.tensors.map { ($0.name, $0.dtype, "\($0.shape)", "\($0.bytes)") }
        func width(_ column: KeyPath<(String, String, String, String), String>) -> Int {
            rows.map { $0[keyPath: column].count }.max() ?? 0
        }
        let widths = (width(\.0), width(\.1), width(\.2), width(\.3))
        return rows.map { name, dtype, shape, bytes in
            "  " + name.padding(toLength: widths.0 + 2, withPad: " ", startingAt: 0)
                + dtype.padding(toLength: widths.1 + 2, withPad: " ", startingAt: 0)
                + shape.padding(toLength: widths.2 + 2, withPad: " ", startingAt: 0)
                + String(repeating: " ", count: widths.3 - bytes.count) + bytes
        }
    }

    func json() -> String {
        var object: JSONObject = [
            "path": .string(inspection.path), "format": .string(inspection.format),
            "files": .integer(inspection.files), "file_bytes": .integer(inspection.fileBytes),
            "parameters": .integer(inspection.parameters), "tensor_bytes": .integer(inspection.tensorBytes),
            "bits_per_weight": .number(inspection.bitsPerWeight),
        ]
        if let bits = inspection.quantizedBitsPerWeight { object["quantized_bits_per_weight"] = .number(bits) }
        if let digest = inspection.digest { object["digest"] = .string(digest) }
        if let problem = inspection.problem { object["problem"] = .string(problem) }
        if let note = inspection.note { object["note"] = .string(note) }
        var metadata = JSONObject()
        for (key, value) in inspection.metadata.sorted(by: { $0.key < $1.key }) { metadata[key] = .string(value) }
        object["metadata"] = .object(metadata)
        object["quantization"] = .array(
            inspection.schemes.map { ["scheme": .string($0.label), "layers": .integer($0.layers)] })
        if let model = inspection.model {
            object["model"] = [
                "family": .string(model.family.rawValue), "layers": .integer(model.layers),
                "hidden": .integer(model.hidden), "heads": .integer(model.heads), "kv_heads": .integer(model.kvHeads),
                "head_dim": .integer(model.headDim), "intermediate": .integer(model.intermediate),
                "vocabulary": .integer(model.vocabulary), "context_length": .integer(model.contextLength),
                "rope_theta": .number(model.rope.theta), "tied_embeddings": .bool(model.tiedEmbeddings),
                "dtype": .string(model.dtype.rawValue),
            ]
        }
        object["tensors"] = .array(
            inspection.tensors.map {
                [
                    "name": .string($0.name), "dtype": .string($0.dtype),
                    "shape": .array($0.shape.map { .integer($0) }), "bytes": .integer($0.bytes),
                ]
            })
        return String(decoding: JSONValue.object(object).serialized(indent: nil), as: UTF8.self)
    }

    private func scaling(_ scaling: RopeConfiguration.Scaling) -> String {
        switch scaling {
        case .none: ""
        case .linear(let factor): ", linear scaling by \(factor)"
        case .llama3(let factor, _, _, _): ", Llama 3's scaling by \(factor)"
        }
    }

    private static func format(_ value: Double) -> String { String(format: "%.3f", value) }
}
