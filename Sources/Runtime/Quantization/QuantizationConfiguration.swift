/// `quantization_config` of config.json: which modules are quantized, and how. compressed-tensors, format
/// `pack-quantized`, weights only, int4 or int8.
public struct QuantizationConfiguration: Sendable, Equatable {
    /// One entry of `config_groups`. Without a scheme its targets stay as they are.
    public struct Group: Sendable, Equatable {
        public let name: String
        public let targets: [String]
        public let scheme: QuantizationScheme?
        /// What `weights.observer` says.
        public let observer: String?
        /// Whether a method quantized the columns in another order ("actorder": "weight"); the layout is the same.
        public let activationOrder: Bool

        public init(
            name: String, targets: [String], scheme: QuantizationScheme?, observer: String? = nil,
            activationOrder: Bool = false
        ) {
            self.name = name
            self.targets = targets
            self.scheme = scheme
            self.observer = observer
            self.activationOrder = activationOrder
        }
    }

    public let groups: [Group]
    public let ignore: [String]
    /// The file it was read from, for messages.
    public let place: String

    public init(groups: [Group], ignore: [String], place: String = "quantization_config") {
        self.groups = groups
        self.ignore = ignore
        self.place = place
    }

    /// All linear layers by one scheme, except the ignored ones.
    public init(_ scheme: QuantizationScheme, observer: String = "minmax", ignore: [String]) {
        self.init(
            groups: [Group(name: "group_0", targets: ["Linear"], scheme: scheme, observer: observer)], ignore: ignore)
    }

    public static func == (a: Self, b: Self) -> Bool { a.groups == b.groups && a.ignore == b.ignore }

    /// How a linear layer, or the embedding, is quantized; nil where it is left as it is.
    ///
    /// As the reference decides it: a module that an entry of `ignore` matches is left; otherwise exact names go before
    /// expressions and those before class names, and among equals the alphabet decides.
    /// - Parameter module: `model.layers.0.self_attn.q_proj`, `lm_head`, `model.embed_tokens`.
    /// - Throws: QuantizationError, for a pattern that cannot be used.
    public func scheme(for module: String) throws -> QuantizationScheme? {
        let classes = [module.hasSuffix("embed_tokens") ? "Embedding" : "Linear", "Module"]
        for pattern in ignore.map(ModulePattern.init) {
            if try pattern.matches(class: classes) || pattern.matches(name: module, place: place) { return nil }
        }
        // A target that occurs twice has the last group's scheme.
        var schemes: [String: QuantizationScheme?] = [:]
        for group in groups { for target in group.targets { schemes[target] = .some(group.scheme) } }
        let patterns = schemes.keys.map(ModulePattern.init)
            .sorted { ($0.isExpression ? 1 : 0, $0.text) < ($1.isExpression ? 1 : 0, $1.text) }
        let match =
            try patterns.first { try $0.matches(name: module, place: place) }
            ?? patterns.first { $0.matches(class: classes) }
        return match.flatMap { schemes[$0.text] ?? nil }
    }

    /// The object for config.json, with exactly the keys that the readers allow.
    public var json: JSONValue {
        var configGroups = JSONObject()
        for group in groups {
            var weights: JSONValue = .null
            if let scheme = group.scheme {
                weights = [
                    "num_bits": .integer(scheme.bits), "type": "int", "symmetric": .bool(scheme.symmetric),
                    "strategy": scheme.groupSize == nil ? "channel" : "group",
                    "group_size": scheme.groupSize.map { .integer($0) } ?? .null, "dynamic": false,
                    "actorder": group.activationOrder ? "weight" : .null, "block_structure": .null,
                    "observer": group.observer.map { .string($0) } ?? .null, "observer_kwargs": [:],
                ]
            }
            configGroups[group.name] = [
                "targets": .array(group.targets.map { .string($0) }), "weights": weights, "input_activations": .null,
                "output_activations": .null,
            ]
        }
        return [
            "quant_method": "compressed-tensors", "format": "pack-quantized", "quantization_status": "compressed",
            "global_compression_ratio": .null, "kv_cache_scheme": .null,
            "ignore": .array(ignore.map { .string($0) }), "config_groups": .object(configGroups),
        ]
    }
}
