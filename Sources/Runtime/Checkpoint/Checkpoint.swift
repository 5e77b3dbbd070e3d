import Foundation

/// A model's directory in Hugging Face's layout: config.json beside model.safetensors, or beside shards and their index.
///
/// Opening it checks the configuration and every header and maps the files; nothing is read of the weights until they
/// are asked for. Whether the tensors are those of the model is `validate`'s question, which whoever computes with them
/// asks first: the engine, the quantizer, a comparison.
public final class Checkpoint: Sendable {
    public let directory: URL
    public let configuration: ModelConfiguration
    /// config.json as it is written.
    public let configurationJSON: JSONObject
    /// The safetensors files, in the order of their names.
    public let files: [SafetensorsFile]
    private let places: [String: (file: SafetensorsFile, entry: SafetensorsFile.Entry)]

    /// Every tensor, by name.
    public let tensors: [String: TensorInfo]

    /// Throws `CheckpointError` or `JSONError` that names the file and what is wrong with it.
    public init(directory: URL) throws {
        self.directory = directory
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: directory.path, isDirectory: &isDirectory) else {
            throw CheckpointError.file(
                path: directory.path, reason: "there is no such directory", advice: "give the directory of a model")
        }
        guard isDirectory.boolValue else {
            throw CheckpointError.file(
                path: directory.path, reason: "is a file, where a model's directory is expected",
                advice: directory.pathExtension.lowercased() == "gguf"
                    ? "make one with: qquant import \(directory.lastPathComponent) --output DIR"
                    : "give the directory that holds config.json")
        }
        let configURL = directory.appending(path: "config.json")
        let config = try Settings(
            JSONValue(parsing: try readFile(configURL), place: configURL.path), place: configURL.path)
        let generationURL = directory.appending(path: "generation_config.json")
        let generation: Settings? =
            try FileManager.default.fileExists(atPath: generationURL.path)
            ? Settings(
                JSONValue(parsing: try readFile(generationURL), place: generationURL.path), place: generationURL.path)
            : nil
        configuration = try ModelConfiguration(config, generation: generation)
        configurationJSON = config.object

        let shards = try WeightFiles(directory: directory)
        files = try shards.names.map { try SafetensorsFile(url: directory.appending(path: $0)) }
        places = try shards.places(in: files)
        tensors = places.mapValues(\.entry.info)
    }

    /// Throws `CheckpointError.missingTensor`.
    public func info(_ name: String) throws -> TensorInfo { try place(name).entry.info }

    private func place(_ name: String) throws -> (file: SafetensorsFile, entry: SafetensorsFile.Entry) {
        guard let place = places[name] else {
            throw CheckpointError.missingTensor(path: directory.path, name: printable(name))
        }
        return place
    }

    /// Lends the tensor's bytes as they are in the file: little-endian, row-major, and maybe not aligned.
    public func withBytes<R>(_ name: String, _ body: (UnsafeRawBufferPointer) throws -> R) throws -> R {
        let (file, entry) = try place(name)
        return try file.file.withBytes(entry.range, body)
    }

    /// The tensor as fp32, which must have this shape, be F32, F16 or BF16, and hold finite numbers only.
    public func float32(_ name: String, shape: [Int]) throws -> [Float] {
        let (file, entry) = try checked(name, shape: shape)
        return try [Float](unsafeUninitializedCapacity: entry.info.count) { buffer, initialized in
            let target = UnsafeMutableBufferPointer(rebasing: buffer[..<entry.info.count])
            try convert(file, entry, into: target)
            initialized = entry.info.count
        }
    }

    /// As `float32(_:shape:)`, into memory that holds exactly the tensor's elements.
    public func copyFloat32(_ name: String, shape: [Int], into target: UnsafeMutableBufferPointer<Float>) throws {
        let (file, entry) = try checked(name, shape: shape)
        precondition(
            target.count == entry.info.count, "\(name): room for \(target.count) of \(entry.info.count) elements")
        try convert(file, entry, into: target)
    }

    /// Copies a tensor of finite numbers as it stands, some of it at a time, so that memory stays small whatever its size.
    func copyFinite(_ name: String, to writer: SafetensorsWriter) throws {
        let (file, entry) = try checked(name, shape: try info(name).shape)
        let size = entry.info.dtype.size
        let scratch = UnsafeMutableBufferPointer<Float>.allocate(capacity: min(entry.info.count, 1 << 20))
        defer { scratch.deallocate() }
        for begin in stride(from: 0, to: entry.info.count, by: 1 << 20) {
            let count = min(1 << 20, entry.info.count - begin)
            let first = entry.range.lowerBound + begin * size
            let range = first..<first + count * size
            try file.file.withBytes(range) { bytes in
                let values = UnsafeMutableBufferPointer(rebasing: scratch[..<count])
                if let bad = FloatConversion.convert(bytes, entry.info.dtype, into: values) {
                    throw Self.notFinite(file, entry, begin + bad, values[bad])
                }
                try writer.write(name, bytes, at: begin * size)
            }
            file.file.release(range)
        }
    }

    private static func notFinite(
        _ file: SafetensorsFile, _ entry: SafetensorsFile.Entry, _ index: Int, _ value: Float
    ) -> CheckpointError {
        .notFinite(path: file.file.path, name: entry.info.name, index: index, value: value.isNaN ? "NaN" : "\(value)")
    }

    private func checked(_ name: String, shape: [Int]) throws -> (file: SafetensorsFile, entry: SafetensorsFile.Entry) {
        let (file, entry) = try place(name)
        guard entry.info.shape == shape else {
            throw CheckpointError.tensor(
                path: file.file.path, name: name, problem: "the shape is not the model's", expected: "\(shape)",
                got: "\(entry.info.shape)")
        }
        guard entry.info.dtype.isSupportedFloat else {
            throw CheckpointError.tensor(
                path: file.file.path, name: name, problem: "is not stored as a supported type",
                expected: "F32, F16 or BF16", got: entry.info.dtype.rawValue)
        }
        return (file, entry)
    }

    private func convert(
        _ file: SafetensorsFile, _ entry: SafetensorsFile.Entry, into target: UnsafeMutableBufferPointer<Float>
    ) throws {
        let bad = file.file.withBytes(entry.range) { FloatConversion.convert($0, entry.info.dtype, into: target) }
        if let bad { throw Self.notFinite(file, entry, bad, target[bad]) }
    }

    /// The tensor's pages need not stay in memory: it has been read, or copied.
    public func release(_ name: String) {
        guard let (file, entry) = places[name] else { return }
        file.file.release(entry.range)
    }
}
