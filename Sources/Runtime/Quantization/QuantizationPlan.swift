/// Which module is quantized how. Modules without a scheme stay as they are.
public struct QuantizationPlan: Sendable, Equatable {
    public private(set) var schemes: [String: QuantizationScheme] = [:]
    /// All modules that could be quantized, in the order of their use.
    public let modules: [LinearLayer]
    private let fused: [[String]]
    private let isTied: Bool

    /// Nothing quantized.
    public init(_ model: ModelConfiguration) {
        isTied = model.tiedEmbeddings
        modules = [model.embedding] + model.decoderLinearLayers + [model.head]
        fused = (0..<model.layers).flatMap(model.fusedSets)
    }

    /// The decoder's linear layers by one scheme, and embedding and head by theirs.
    public init(
        _ model: ModelConfiguration, scheme: QuantizationScheme, embedding: QuantizationScheme? = nil,
        head: QuantizationScheme? = nil
    ) {
        self.init(model)
        for layer in model.decoderLinearLayers { schemes[layer.module] = scheme }
        schemes["model.embed_tokens"] = embedding
        schemes["lm_head"] = head
    }

    public subscript(module: String) -> QuantizationScheme? {
        get { schemes[module] }
        set { schemes[module] = newValue }
    }

    /// The modules that are quantized, in the order of their use.
    public var quantized: [LinearLayer] { modules.filter { schemes[$0.module] != nil } }

    /// Gives all modules that a regular expression finds in their names another scheme. A tied head goes with its
    /// embedding, unless it has a scheme of its own already or the expression finds none but the two.
    /// - Parameter text: `REGEX=int8:g32`, `REGEX=int4:channel:asymmetric`, `REGEX=keep`.
    /// - Throws: `QuantizationError.override` where it is malformed or finds nothing, `.pattern`.
    public mutating func override(_ text: String) throws {
        for (module, scheme) in try matches(text) { schemes[module] = scheme }
    }

    /// Several overrides, of which the last that finds a module has its say.
    /// - Returns: what the modules that are found get; nil keeps a module as it is.
    /// - Throws: as for one, and `QuantizationError.override` for one of which those behind it leave nothing.
    @discardableResult
    public mutating func override(_ texts: [String]) throws -> [String: QuantizationScheme?] {
        var result: [String: QuantizationScheme?] = [:]
        var found: [[String]] = []
        // Of each module, the override that it follows.
        var winners: [String: Int] = [:]
        for (index, text) in texts.enumerated() {
            let changes = try matches(text)
            for (module, scheme) in changes {
                schemes[module] = scheme
                result[module] = .some(scheme)
                winners[module] = index
            }
            found.append(changes.map(\.0))
        }
        for (index, text) in texts.enumerated() where !winners.values.contains(index) {
            let later = Set(found[index].compactMap { winners[$0] }).sorted().map { "--override \(texts[$0])" }
            throw QuantizationError.override(
                text: text, problem: "it has no effect: all that it finds is found by others behind it",
                expected: "narrow overrides behind broad ones", got: later.joined(separator: " ") + " behind it")
        }
        return result
    }

    private func matches(_ text: String) throws -> [(String, QuantizationScheme?)] {
        guard let cut = text.lastIndex(of: "="), cut > text.startIndex else {
            throw QuantizationError.override(
                text: text, problem: "it has no scheme", expected: "REGEX=int8:g32", got: nil)
        }
        let name = String(text[text.index(after: cut)...])
        let scheme = name == "keep" ? nil : QuantizationScheme(name: name)
        guard name == "keep" || scheme != nil else {
            throw QuantizationError.override(
                text: text, problem: "the scheme is unknown",
                expected: "int4 or int8, then :g32, :g64, :g128 or :channel, then maybe :asymmetric; or keep", got: name
            )
        }
        // Found anywhere in the name, as people write them.
        let pattern = ModulePattern(text: "re:.*?(?:\(text[..<cut]))")
        let found = try modules.filter { try pattern.matches(name: $0.module, place: "--override \(text)") }
        guard !found.isEmpty else {
            throw QuantizationError.override(
                text: text, problem: "it matches no module", expected: "a name such as \(modules[1].module)", got: nil)
        }
        // A head of its own is one more matrix of the embedding's size: only who names it wants that.
        let separates = !isTied || scheme == nil || schemes["lm_head"] != nil || found.allSatisfy(\.isEnd)
        return found.filter { separates || $0.module != "lm_head" }.map { ($0.module, scheme) }
    }

    /// Checks that layers which engines compute together have one scheme.
    /// - Throws: `QuantizationError.override` naming those that do not.
    public func validate() throws {
        for set in fused where Set(set.map { schemes[$0] }).count > 1 {
            throw QuantizationError.override(
                text: "", problem: "layers that are computed together differ in their schemes",
                expected: "one scheme for \(set.joined(separator: ", "))",
                got: set.map { schemes[$0]?.label ?? "keep" }.joined(separator: ", "))
        }
    }

    /// `config_groups`: one group of all where a single scheme has the decoder's layers, else a group for each scheme
    /// with its modules by name.
    /// - Parameter embedding: how a quantized embedding is rounded.
    func configuration(_ method: any RoundingMethod, embedding: any RoundingMethod) -> QuantizationConfiguration {
        let decoder = modules.dropFirst().dropLast()
        let head = schemes["lm_head"]
        func ordered(_ method: any RoundingMethod, _ scheme: QuantizationScheme) -> Bool {
            // compressed-tensors refuses an order for whole rows.
            method.activationOrder && scheme.groupSize != nil
        }
        let isUniform = Set(decoder.map { schemes[$0.module] }).count == 1 && schemes["model.embed_tokens"] == nil
        if isUniform, let scheme = schemes[decoder.first!.module], head == nil || head == scheme {
            let group = QuantizationConfiguration.Group(
                name: "group_0", targets: ["Linear"], scheme: scheme, observer: method.observer,
                activationOrder: ordered(method, scheme))
            return QuantizationConfiguration(groups: [group], ignore: head == nil ? ["lm_head"] : [])
        }
        struct Key: Hashable {
            let scheme: QuantizationScheme
            let isEmbedding: Bool
        }
        var names: [Key: [String]] = [:]
        var order: [Key] = []
        for layer in modules {
            guard let scheme = schemes[layer.module] else { continue }
            let key = Key(scheme: scheme, isEmbedding: layer.module == "model.embed_tokens")
            if names[key] == nil { order.append(key) }
            names[key, default: []].append(layer.module)
        }
        let groups = order.enumerated().map { index, key in
            let used = key.isEmbedding ? embedding : method
            return QuantizationConfiguration.Group(
                name: "group_\(index)", targets: names[key]!, scheme: key.scheme, observer: used.observer,
                activationOrder: ordered(used, key.scheme))
        }
        return QuantizationConfiguration(groups: groups, ignore: head == nil ? ["lm_head"] : [])
    }
}

extension QuantizationScheme {
    /// `int8:g32`, `int4:channel`, `int4:g64:asymmetric`; nil for anything else.
    public init?(name: String) {
        let parts = name.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2 || (parts.count == 3 && parts[2] == "asymmetric"),
            let bits = ["int4": 4, "int8": 8][parts[0]],
            let size: Int? = ["g32": 32, "g64": 64, "g128": 128, "channel": nil][parts[1]]
        else { return nil }
        self.init(bits: bits, symmetric: parts.count == 2, groupSize: size)
    }

    /// What `init(name:)` reads.
    public var name: String {
        "int\(bits):\(groupSize.map { "g\($0)" } ?? "channel")" + (symmetric ? "" : ":asymmetric")
    }
}

extension LinearLayer {
    /// Whether it is embedding or head, and not of the decoder's layers.
    var isEnd: Bool { module == "model.embed_tokens" || module == "lm_head" }
}

extension ModelConfiguration {
    /// The embedding, seen as W [vocabulary, hidden].
    public var embedding: LinearLayer { LinearLayer(module: "model.embed_tokens", rows: vocabulary, columns: hidden) }

    /// Modules of a layer that read the same input: query, key and value; gate and up; and the two others alone.
    func fusedSets(_ layer: Int) -> [[String]] {
        let names = linearLayers(layer).map(\.module)
        return [Array(names[0..<3]), [names[3]], Array(names[4..<6]), [names[6]]]
    }
}
