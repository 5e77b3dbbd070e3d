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
