import Foundation

/// What a model's directory, or a single file of one, holds: for people, and for scripts.
public struct ModelInspection: Sendable {
    public struct Tensor: Sendable, Equatable {
        public let name: String
        /// As the file calls it: F16, I32, Q4_1.
        public let dtype: String
        public let shape: [Int]
        public let bytes: Int

        package init(name: String, dtype: String, shape: [Int], bytes: Int) {
            self.name = name
            self.dtype = dtype
            self.shape = shape
            self.bytes = bytes
        }
    }

    public let path: String
    /// "safetensors", "GGUF v3".
    public let format: String
    public let files: Int
    /// Of the weight files.
    public let fileBytes: Int
    /// By name, with numbers in them counted as numbers.
    public let tensors: [Tensor]
    public let model: ModelConfiguration?
    /// The label of each scheme in use, and how many layers it has.
    public let schemes: [(label: String, layers: Int)]
    /// Elements of weights; of a packed one as many as it stands for.
    public let parameters: Int
    /// Bits of the quantized layers' tensors for each weight of theirs, scales and zero points included.
    public let quantizedBitsPerWeight: Double?
    /// What the first file says of its making.
    public let metadata: [String: String]
    /// `Checkpoint.digest`.
    public let digest: String?
    /// Why the tensors are not those of config.json, where they are not.
    public let problem: String?
    /// What a person should know besides, and is no problem.
    public let note: String?

    public var tensorBytes: Int { tensors.reduce(0) { $0 + $1.bytes } }
    /// Bits of all tensors for each parameter.
    public var bitsPerWeight: Double { parameters == 0 ? 0 : Double(tensorBytes * 8) / Double(parameters) }

    /// - Parameter url: a Hugging Face directory, a .gguf file, or one .safetensors file.
    /// - Throws: `CheckpointError`, `JSONError`, `QuantizationError` for what cannot be read.
    public init(_ url: URL) throws {
        var isDirectory: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory)
        if !exists || isDirectory.boolValue {
            try self.init(checkpoint: Checkpoint(directory: url))
        } else if try Self.begins(url, with: "GGUF") {
            try self.init(gguf: url)
        } else {
            try self.init(safetensors: url)
        }
    }

    private init(checkpoint: Checkpoint) throws {
        path = checkpoint.directory.path
        format = "safetensors"
        metadata = checkpoint.files.first?.metadata ?? [:]
        files = checkpoint.files.count
        fileBytes = checkpoint.files.reduce(0) { $0 + $1.file.count }
        tensors = Self.sorted(checkpoint.tensors.values)
        let model = checkpoint.configuration
        self.model = model
        var problem: String?
        do { try checkpoint.validate() } catch { problem = "\(error)" }
        self.problem = problem
        note = nil
        digest = try checkpoint.digest()

        var layers: [String: Int] = [:]
        var quantized = (weights: 0, bytes: 0)
        var parameters = checkpoint.tensors.values.reduce(0) { $0 + $1.count }
        if let quantization = try checkpoint.quantization {
            for layer in [model.embedding] + model.decoderLinearLayers + [model.head] {
                guard checkpoint.tensors[layer.module + ".weight_packed"] != nil,
                    let scheme = try quantization.scheme(for: layer.module)
                else { continue }
                layers[scheme.label, default: 0] += 1
                quantized.weights += layer.rows * layer.columns
                parameters += layer.rows * layer.columns
                for tensor in layer.tensors(scheme: scheme) where tensor.name != layer.module + ".bias" {
                    guard let info = checkpoint.tensors[tensor.name] else { continue }
                    quantized.bytes += info.byteCount
                    parameters -= info.count
                }
            }
        }
        schemes = layers.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        quantizedBitsPerWeight =
            quantized.weights == 0 ? nil : Double(quantized.bytes * 8) / Double(quantized.weights)
        self.parameters = parameters
    }

    private init(gguf url: URL) throws {
        let file = try GGUFFile(url: url)
        path = url.path
        format = "GGUF v\(file.version)"
        files = 1
        fileBytes = file.file.count
        tensors = Self.sorted(
            file.tensors.map { Tensor(name: $0.name, dtype: $0.type.name, shape: $0.shape, bytes: $0.range.count) })
        parameters = file.tensors.reduce(0) { $0 + $1.rows * $1.columns }
        var model: ModelConfiguration?
        var problem: String?
        do {
            model =
                try file.isWithoutVocabulary
                ? GGUFImport.configuration(ofFileWithoutVocabulary: file) : GGUFImport(url: url).configuration
        } catch {
            problem = "\(error)"
        }
        self.model = model
        self.problem = problem
        note =
            file.isWithoutVocabulary
            ? "there is no vocabulary in the file: it can be compared with its reference, but not be imported" : nil
        let blocks = Dictionary(grouping: file.tensors.filter { $0.type.blockSize > 1 }, by: \.type)
        schemes = blocks.map { ($0.key.name, $0.value.count) }.sorted { $0.0 < $1.0 }
        let quantized = blocks.values.joined()
        let weights = quantized.reduce(0) { $0 + $1.rows * $1.columns }
        quantizedBitsPerWeight =
            weights == 0 ? nil : Double(quantized.reduce(0) { $0 + $1.range.count } * 8) / Double(weights)
        digest = nil
        metadata = [:]
    }

    private init(safetensors url: URL) throws {
        let file = try SafetensorsFile(url: url)
        path = url.path
        format = "safetensors"
        files = 1
        fileBytes = file.file.count
        tensors = Self.sorted(file.entries.values.map(\.info))
        parameters = file.entries.values.reduce(0) { $0 + $1.info.count }
        (model, schemes, quantizedBitsPerWeight, digest, problem, note) = (nil, [], nil, nil, nil, nil)
        metadata = file.metadata
    }

    private static func begins(_ url: URL, with letters: String) throws -> Bool {
        let file = try MappedFile(url: url)
        return file.count >= 4 && file.withBytes(0..<4) { $0.elementsEqual(letters.utf8) }
    }

    private static func sorted(_ infos: some Sequence<TensorInfo>) -> [Tensor] {
        sorted(infos.map { Tensor(name: $0.name, dtype: $0.dtype.rawValue, shape: $0.shape, bytes: $0.byteCount) })
    }

    private static func sorted(_ tensors: [Tensor]) -> [Tensor] {
        // layers.2 before layers.10
        tensors.sorted { $0.name.compare($1.name, options: [.numeric, .literal]) == .orderedAscending }
    }
}
