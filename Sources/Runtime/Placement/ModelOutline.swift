import Foundation

/// What can be known of a model before anything of it is loaded: its configuration, how its layers are quantized, and
/// the types of its tensors.
public struct ModelOutline: Sendable {
    public let name: String
    public let configuration: ModelConfiguration
    public let quantization: QuantizationConfiguration?
    /// By name; nil where there is config.json alone: tensors then have the type that it states.
    public let tensors: [String: TensorInfo]?

    /// Of an open checkpoint.
    /// - Throws: `QuantizationError` for what this runtime does not read.
    public init(_ checkpoint: Checkpoint) throws {
        name = checkpoint.directory.lastPathComponent
        configuration = checkpoint.configuration
        quantization = try checkpoint.quantization
        tensors = checkpoint.tensors
    }

    /// - Parameter url: a checkpoint's directory, where the headers are read and checked; one that holds config.json
    ///   alone; or that file.
    /// - Throws: `CheckpointError`, `JSONError`, `QuantizationError`.
    public init(_ url: URL) throws {
        let files = FileManager.default
        let isFile = url.lastPathComponent.hasSuffix(".json")
        let config = isFile ? url : url.appending(path: "config.json")
        let weights = [WeightFiles.single, WeightFiles.index].map { url.appending(path: $0).path }
        guard isFile || (files.fileExists(atPath: config.path) && !weights.contains(where: files.fileExists)) else {
            let checkpoint = try Checkpoint(directory: url)
            try checkpoint.validate()
            try self.init(checkpoint)
            return
        }
        let configuration = try ModelConfiguration(json: try readFile(config), place: config.path)
        try Self.checkSize(configuration, config.path)
        self.init(
            name: config.absoluteURL.deletingLastPathComponent().lastPathComponent, configuration: configuration,
            quantization: try configuration.quantizationJSON.map {
                try QuantizationConfiguration(json: $0, place: config.path)
            }, tensors: nil)
    }

    /// This model as `qquant quantize` would make it: all layers but the head by one scheme.
    /// - Throws: `QuantizationError.alreadyQuantized`, `.indivisible`.
    public func quantized(by scheme: QuantizationScheme) throws -> ModelOutline {
        if quantization != nil {
            throw QuantizationError.alreadyQuantized(place: name, method: "compressed-tensors")
        }
        let uneven = configuration.decoderLinearLayers.filter { !scheme.divides(columns: $0.columns) }
        guard uneven.isEmpty else {
            throw QuantizationError.indivisible(
                place: name, layers: uneven.map { .init(module: $0.module, columns: $0.columns) },
                groupSize: scheme.groupSize ?? 0,
                divisors: [128, 64, 32].filter { size in
                    configuration.decoderLinearLayers.allSatisfy { $0.columns % size == 0 }
                })
        }
        return ModelOutline(
            name: name, configuration: configuration,
            quantization: QuantizationConfiguration(scheme, ignore: ["lm_head"]), tensors: tensors)
    }

    private init(
        name: String, configuration: ModelConfiguration, quantization: QuantizationConfiguration?,
        tensors: [String: TensorInfo]?
    ) {
        self.name = name
        self.configuration = configuration
        self.quantization = quantization
        self.tensors = tensors
    }

    /// Sizes that no file bears out must not overflow what is reckoned from them.
    private static func checkSize(_ model: ModelConfiguration, _ path: String) throws {
        func product(_ factors: Int...) -> Double { factors.reduce(1) { $0 * Double($1) } }
        let widest = max(product(model.heads, model.headDim), Double(max(model.intermediate, model.vocabulary)))
        let parameters =
            product(model.layers, model.hidden) * (4 * widest + 3 * Double(model.intermediate))
            + 2 * product(model.hidden, model.vocabulary)
        guard widest <= 0x1p30, parameters <= 0x1p48 else {
            throw CheckpointError.malformed(
                path: path, problem: "the sizes are no model's", expected: "at most 2^48 parameters",
                got: "about \(Int64(min(parameters, 0x1p62)))")
        }
    }

    func dtype(_ tensor: String) -> DType { tensors?[tensor]?.dtype ?? configuration.dtype }

    /// For tables: "int8 g64", or the type where nothing is quantized.
    public var label: String {
        let schemes = quantization?.groups.compactMap(\.scheme?.label) ?? []
        return schemes.isEmpty ? configuration.dtype.rawValue : schemes.joined(separator: ", ")
    }
}
