extension QuantizationConfiguration {
    /// Reads the value of `quantization_config`.
    /// - Parameter place: the file, for messages.
    /// - Throws: QuantizationError, which names the key and its value, for everything but int4 and int8 weights in
    ///   the format `pack-quantized`.
    public init(json: JSONValue, place: String) throws {
        let root = try Reader(json, place: place, path: "quantization_config")
        try root.require("quant_method", "compressed-tensors")
        try root.require("format", "pack-quantized")
        try root.require("quantization_status", "compressed", mayBeAbsent: true)
        for key in ["kv_cache_scheme", "sparsity_config", "transform_config", "moe_sparsity_config"] {
            try root.requireNothing(key)
        }
        let ignore = try root.strings("ignore", mayBeAbsent: true)
        guard let members = root.object["config_groups"]?.object else {
            throw root.malformed("config_groups", "an object with a group")
        }
        guard members.count > 0 else { throw root.malformed("config_groups", "at least one group") }
        let groups = try members.members.map { name, value in
            try Self.group(name, Reader(value, place: place, path: "config_groups.\(name)"))
        }
        self.init(groups: groups, ignore: ignore, place: place)
    }

    private static func group(_ name: String, _ reader: Reader) throws -> Group {
        try reader.allow(["targets", "weights", "input_activations", "output_activations", "format"])
        try reader.requireNothing("input_activations")
        try reader.requireNothing("output_activations")
        try reader.require("format", "pack-quantized", mayBeAbsent: true)
        let targets = try reader.strings("targets", mayBeAbsent: false)
        guard let json = reader.object["weights"], !json.isNull else {
            return Group(name: name, targets: targets, scheme: nil)
        }
        let weights = try Reader(json, place: reader.place, path: "\(reader.path).weights")
        try weights.allow([
            "num_bits", "type", "symmetric", "strategy", "group_size", "dynamic", "actorder", "block_structure",
            "observer", "observer_kwargs", "scale_dtype", "zp_dtype",
        ])
        try weights.require("type", "int", mayBeAbsent: true)
        try weights.requireNothing("block_structure")
        guard try weights.flag("dynamic", default: false) == false else {
            throw weights.unsupported("dynamic", "false")
        }
        for key in ["scale_dtype", "zp_dtype"] {
            let value = weights.object[key] ?? .null
            let names = ["torch.float16", "torch.bfloat16", "torch.float32", "torch.int8"]
            if !value.isNull, value.string.map(names.contains) != true {
                throw weights.unsupported(key, "null, a 16-bit or 32-bit float, or int8")
            }
        }
        let order = weights.object["actorder"] ?? .null
        let activationOrder = ["weight", "static"].contains(order.string?.lowercased())
        guard activationOrder || order.isNull || order == .bool(false) else {
            throw weights.unsupported("actorder", #"null or "weight""#)
        }
        let bits = try weights.integer("num_bits") ?? 8
        guard bits == 4 || bits == 8 else { throw weights.unsupported("num_bits", "4 or 8") }
        let scheme = QuantizationScheme(
            bits: bits, symmetric: try weights.flag("symmetric", default: true), groupSize: try groupSize(weights))
        return Group(
            name: name, targets: targets, scheme: scheme, observer: weights.object["observer"]?.string,
            activationOrder: activationOrder)
    }

    /// The columns of a group; nil for the strategy "channel".
    private static func groupSize(_ weights: Reader) throws -> Int? {
        let size = try weights.integer("group_size")
        // The strategy may be left out, and follows from the group size then.
        let strategy = weights.object["strategy"] ?? .null
        let name =
            strategy.isNull ? size.map { $0 == -1 ? "channel" : "group" } ?? "tensor" : strategy.string?.lowercased()
        switch name {
        case "channel":
            guard size == nil || size == -1 else { throw weights.malformed("group_size", "null, per channel") }
            return nil
        case "group":
            guard let size, size > 0, size <= 1 << 20 else {
                throw weights.malformed("group_size", "the columns of a group")
            }
            guard size % 32 == 0 else { throw weights.unsupported("group_size", "a multiple of 32") }
            return size
        default:
            throw weights.unsupported("strategy", #""group" or "channel""#)
        }
    }
}

/// One object of the configuration, with its path for messages.
private struct Reader {
    let object: JSONObject
    let place, path: String

    init(_ json: JSONValue, place: String, path: String) throws {
        guard let object = json.object else {
            throw QuantizationError.malformed(place: place, key: path, expected: "an object", got: json.kind)
        }
        self.object = object
        self.place = place
        self.path = path
    }

    func malformed(_ key: String, _ expected: String) -> QuantizationError {
        .malformed(place: place, key: "\(path).\(key)", expected: expected, got: shown(key))
    }

    func unsupported(_ key: String, _ supported: String) -> QuantizationError {
        .unsupported(place: place, key: "\(path).\(key)", value: shown(key), supported: supported)
    }

    private func shown(_ key: String) -> String {
        guard let value = object[key] else { return "nothing" }
        let text = String(decoding: value.serialized(indent: nil), as: UTF8.self)
        return text.count > 80 ? text.prefix(80) + "…" : text
    }

    func allow(_ keys: [String]) throws {
        for key in object.keys where !keys.contains(key) {
            throw unsupported(key, "only " + keys.joined(separator: ", "))
        }
    }

    func require(_ key: String, _ value: String, mayBeAbsent: Bool = false) throws {
        let got = object[key] ?? .null
        if mayBeAbsent, got.isNull { return }
        guard got.string == value else { throw unsupported(key, "\"\(value)\"") }
    }

    /// null, {}, or a dense sparsity configuration.
    func requireNothing(_ key: String) throws {
        switch object[key] ?? .null {
        case .null: return
        case .object(let members) where members.count == 0: return
        case .object(let members) where key == "sparsity_config" && members["format"]?.string == "dense": return
        default: throw unsupported(key, "null")
        }
    }

    func strings(_ key: String, mayBeAbsent: Bool) throws -> [String] {
        let value = object[key] ?? .null
        if mayBeAbsent, value.isNull { return [] }
        guard let strings = value.array?.map(\.string), !strings.contains(nil) else {
            throw malformed(key, "a list of strings")
        }
        return strings.compactMap { $0 }
    }

    func flag(_ key: String, default value: Bool) throws -> Bool {
        guard let got = object[key], !got.isNull else { return value }
        guard let flag = got.bool else { throw malformed(key, "true or false") }
        return flag
    }

    func integer(_ key: String) throws -> Int? {
        guard let got = object[key], !got.isNull else { return nil }
        guard let integer = got.int else { throw malformed(key, "an integer") }
        return integer
    }
}
