import Foundation

/// Reads a trace that `TraceWriter` wrote. Values are read in bands, so that a large vocabulary needs no large memory.
public final class TraceFile: Sendable {
    public let level: TraceLevel
    public let storage: TraceStorage
    public let model: TraceModel
    /// The root's texts that are the writer's caller's: versions, digests.
    public let attributes: [String: String]
    /// Ids, in the order in which the requests began.
    public let requests: [String]

    private let file: H5File
    private let groups: [String: H5Group]
    private static let own: Set<String> = ["NX_class", "default", "format", "format_version", "level", "storage"]

    /// - Throws: `TraceError.file` where nothing can be read, `.foreign` where it is no trace, `.hdf5`.
    public init(url: URL) throws {
        let path = url.path
        try Self.checkSignature(path)
        let name = url.lastPathComponent
        let file = try H5File(reading: path, name: name)
        guard try file.text("format") == TraceLayout.format else {
            throw TraceError.foreign(
                place: name, problem: "an HDF5 file, but no trace",
                expected: "the attribute format = \(TraceLayout.format)",
                got: try file.text("format"))
        }
        guard let version = try file.integer("format_version"), version == TraceLayout.version else {
            throw TraceError.foreign(
                place: name, problem: "a trace of another version", expected: "\(TraceLayout.version)",
                got: try file.integer("format_version").map(String.init))
        }
        func damaged(_ name: String, _ got: String?) -> TraceError {
            .foreign(place: url.lastPathComponent, problem: "the attribute \(name) is damaged", expected: nil, got: got)
        }
        func size(_ name: String) throws -> Int {
            // A trace of a million layers is no trace; more could only be made to exhaust us.
            guard let value = try file.integer(name), (0...(name == "layers" ? 1_000_000 : 1 << 31)).contains(value)
            else {
                throw damaged(name, try file.integer(name).map(String.init))
            }
            return value
        }
        let levelName = try file.text("level")
        guard let level = levelName.flatMap(TraceLevel.init(name:)) else { throw damaged("level", levelName) }
        let storageName = try file.text("storage")
        guard let storage = storageName.flatMap(TraceStorage.init(rawValue:)) else {
            throw damaged("storage", storageName)
        }
        self.level = level
        self.storage = storage
        model = TraceModel(
            layers: try size("layers"), hidden: try size("hidden"), heads: try size("heads"),
            vocabulary: try size("vocabulary"))
        var attributes: [String: String] = [:]
        for name in try file.attributeNames() where !Self.own.contains(name) { attributes[name] = try file.text(name) }
        self.attributes = attributes

        let parent = try file.group("requests")
        var found: [(index: Int, id: String, group: H5Group)] = []
        for child in try parent.childNames() {
            let group = try parent.group(child)
            found.append((try group.integer("index") ?? Int.max, try group.text("id") ?? child, group))
        }
        found.sort { ($0.index, $0.id) < ($1.index, $1.id) }
        requests = found.map(\.id)
        groups = Dictionary(found.map { ($0.id, $0.group) }, uniquingKeysWith: { first, _ in first })
        self.file = file
    }

    /// Clearer words than HDF5's for the common mistakes: nothing there, a directory, an empty file, another format.
    private static func checkSignature(_ path: String) throws {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw TraceError.file(path: path, problem: "cannot be read", reason: "no such file")
        }
        if isDirectory.boolValue {
            throw TraceError.file(path: path, problem: "cannot be read", reason: "it is a directory")
        }
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw TraceError.file(path: path, problem: "cannot be read", reason: String(cString: strerror(errno)))
        }
        defer { try? handle.close() }
        let head = (try? handle.read(upToCount: 8)) ?? Data()
        guard head == Data([0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]) else {
            throw TraceError.foreign(
                place: (path as NSString).lastPathComponent, problem: "not an HDF5 file", expected: nil,
                got: head.isEmpty ? "an empty file" : "another signature")
        }
    }

    private func group(_ id: String) throws -> H5Group {
        guard let group = groups[id] else {
            throw TraceError.request(id: id, problem: "not in this trace", advice: nil)
        }
        return group
    }

    /// The token at each traced position.
    public func tokens(request id: String) throws -> [Int32] {
        try integers(try group(id), "tokens")
    }

    /// The position of each row of `logits`.
    public func logitsPositions(request id: String) throws -> [Int32] {
        let group = try group(id)
        return try group.has("logits_position") ? try integers(group, "logits_position") : []
    }

    private func integers(_ group: H5Group, _ name: String) throws -> [Int32] {
        let dataset = try group.dataset(name)
        let shape = try dataset.shape()
        guard shape.count == 1, shape[0] <= 1 << 28 else {
            throw TraceError.foreign(place: dataset.place, problem: "not a list", expected: nil, got: "\(shape)")
        }
        var values = [Int32](repeating: 0, count: shape[0])
        try values.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            try dataset.read(into: base, .int32, offset: [0], count: shape)
        }
        return values
    }

    /// A scalar attribute of a request: status, id.
    func text(_ name: String, request id: String) throws -> String? { try group(id).text(name) }
    func integer(_ name: String, request id: String) throws -> Int? { try group(id).integer(name) }

    /// `timing_<name>` attributes, by name.
    func timings(request id: String) throws -> [String: Double] {
        let group = try group(id)
        var timings: [String: Double] = [:]
        for name in try group.attributeNames() where name.hasPrefix("timing_") {
            timings[String(name.dropFirst("timing_".count))] = try group.number(name)
        }
        return timings
    }

    /// The shape of a point's dataset; nil if it is absent.
    public func shape(request id: String, point: TracePoint) throws -> [Int]? {
        try dataset(id, point.path(layers: model.layers))?.shape()
    }

    /// All of a point's rows, [rows, width].
    public func values(request id: String, point: TracePoint) throws -> (shape: [Int], values: [Float]) {
        try all(id, point.path(layers: model.layers))
    }

    /// A layer's attention pattern, [heads, T, T].
    public func pattern(request id: String, layer: Int) throws -> (shape: [Int], values: [Float]) {
        try all(id, patternPath(layer))
    }

    func patternPath(_ layer: Int) -> String {
        "\(TraceLayout.layerPath(layer, of: model.layers))/\(TraceLayout.pattern)"
    }

    private func all(_ id: String, _ path: String) throws -> (shape: [Int], values: [Float]) {
        guard let dataset = try dataset(id, path) else {
            throw TraceError.request(id: id, problem: "holds no \(path)", advice: "trace at a higher level")
        }
        var values: [Float] = []
        try bands(dataset) { values += $0 }
        return (try dataset.shape(), values)
    }

    /// The dataset at a path below a request; nil where any part of the path is missing.
    func dataset(_ id: String, _ path: String) throws -> H5Dataset? {
        var container = try group(id)
        var parts = path.split(separator: "/").map(String.init)
        let last = parts.removeLast()
        for part in parts {
            guard try container.has(part) else { return nil }
            container = try container.group(part)
        }
        return try container.has(last) ? try container.dataset(last) : nil
    }

    /// Reads a dataset of any rank in C order, in bands of at most about a million values; a band is whole rows of
    /// the first two dimensions where those are small enough, else a part of one.
    func bands(_ dataset: H5Dataset, _ body: (UnsafeBufferPointer<Float>) throws -> Void) throws {
        let shape = try dataset.shape()
        guard !shape.contains(0) else { return }
        let limit = 1 << 20
        // The first dimension that is cut: all before it go one by one, all behind it whole.
        var cut = shape.count - 1
        var inner = 1
        while cut > 0, inner * shape[cut] <= limit {
            inner *= shape[cut]
            cut -= 1
        }
        let step = max(1, min(shape[cut], limit / inner))
        var buffer = [Float](repeating: 0, count: step * inner)
        var offset = [Int](repeating: 0, count: shape.count)
        while true {
            var count = [Int](repeating: 1, count: cut) + shape[cut...]
            count[cut] = min(step, shape[cut] - offset[cut])
            try buffer.withUnsafeMutableBytes {
                try dataset.read(into: $0.baseAddress!, .float32, offset: offset, count: count)
            }
            try buffer.withUnsafeBufferPointer {
                try body(UnsafeBufferPointer(rebasing: $0.prefix(count[cut] * inner)))
            }
            offset[cut] += count[cut]
            var dimension = cut
            while offset[dimension] >= shape[dimension] {
                if dimension == 0 { return }
                offset[dimension] = 0
                dimension -= 1
                offset[dimension] += 1
            }
        }
    }
}
