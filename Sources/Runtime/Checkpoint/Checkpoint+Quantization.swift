import Foundation

extension Checkpoint {
    /// How the checkpoint's linear layers are quantized; nil where they are not.
    /// - Throws: `QuantizationError` for what this runtime does not read, by name.
    public var quantization: QuantizationConfiguration? {
        get throws {
            try configuration.quantizationJSON.map {
                try QuantizationConfiguration(
                    json: $0, place: directory.appendingPathComponent("config.json").path)
            }
        }
    }

    /// Checks that exactly the tensors are there that config.json asks for, quantized ones included.
    /// - Throws: `CheckpointError.tensors` naming each that is missing, extra or mis-shaped.
    public func validate() throws {
        let quantization = try quantization
        try validateTensors { try quantization?.scheme(for: $0) }
    }
}

extension Checkpoint {
    /// Copies tokenizer, templates, licence, calibration, and the folder of the model's prompts: all of the directory but
    /// weights, config.json, what is hidden, and other directories.
    func copyOtherFiles(to target: URL) throws {
        let manager = FileManager.default
        for name in try manager.contentsOfDirectory(atPath: directory.path).sorted() {
            let isWeights = name.hasSuffix(".safetensors") || name.hasSuffix(".safetensors.index.json")
            guard !isWeights, name != "config.json", !name.hasPrefix(".") else { continue }
            let source = directory.appending(path: name)
            guard (try? source.resourceValues(forKeys: [.isDirectoryKey]))?.isDirectory != true || name == "prompts"
            else { continue }
            try manager.copyItem(at: source.resolvingSymlinksInPath(), to: target.appending(path: name))
        }
    }
}
