/// Chooses a scheme for every set of layers so that the sum of divergences is least within a number of bytes.
public struct Budget: Sendable {
    public enum Limit: Sendable, Equatable {
        /// Bits of all tensors for each parameter.
        case bitsPerWeight(Double)
        /// Of all tensors.
        case bytes(Int)
    }

    /// What a checkpoint's files say of a choice.
    public struct Record: Sendable, Equatable {
        public let limit: Limit
        /// `Sensitivities.digest`.
        public let sensitivities: String
        /// Digest of the calibration on which they were measured.
        public let calibration: String
        /// Tokens of it over which KL was measured.
        public let tokens: Int

        public init(limit: Limit, sensitivities: Sensitivities) {
            self.limit = limit
            self.sensitivities = sensitivities.digest
            calibration = sensitivities.calibrationDigest
            tokens = sensitivities.tokens
        }
    }

    /// Starts with the smallest choice everywhere, then buys the improvement with the most divergence saved for a byte,
    /// along each set's lower convex hull (that choice is the best for every budget that it ends on), until no step fits.
    ///
    /// - Parameter fixed: modules whose scheme is given already, by an override; nil in it keeps a module as it is.
    /// - Throws: `QuantizationError.budget` where not even the smallest choices fit.
    public static func plan(
        _ checkpoint: Checkpoint, _ sensitivities: Sensitivities, limit: Limit,
        fixed: [String: QuantizationScheme?] = [:]
    ) throws -> (plan: QuantizationPlan, divergence: Double) {
        let model = checkpoint.configuration
        var plan = QuantizationPlan(model)
        let layers = Dictionary(uniqueKeysWithValues: plan.modules.map { ($0.module, $0) })
        for (module, scheme) in fixed { plan[module] = scheme }
        let parameters = checkpoint.tensors.values.reduce(0) { $0 + $1.count }
        let allowed: Int
        switch limit {
        case .bytes(let bytes): allowed = bytes
        case .bitsPerWeight(let bits): allowed = Int(bits * Double(parameters) / 8)
        }

        func bytes(_ module: String, _ scheme: QuantizationScheme?) -> Int {
            // A tied head has no tensor; one of its own is made from the embedding.
            let isTiedHead = module == "lm_head" && model.tiedEmbeddings
            guard let layer = layers[module],
                let info = checkpoint.tensors[isTiedHead ? model.embedding.weight : layer.weight]
            else { return 0 }
            guard let scheme else { return isTiedHead ? 0 : info.byteCount }
            return layer.tensors(scheme: scheme).filter { $0.name != layer.module + ".bias" }.reduce(0) { sum, tensor in
                let size = tensor.dtypes.count == 1 ? tensor.dtypes[0].size : info.dtype.size
                return sum + tensor.shape.reduce(1, *) * size
            }
        }
        struct Step {
            let scheme: QuantizationScheme?
            let bytes: Int
            let divergence: Double
        }
        var sets: [(modules: [String], hull: [Step], at: Int)] = []
        for entry in sensitivities.entries where !entry.modules.contains(where: { fixed.keys.contains($0) }) {
            var steps = entry.choices.map { choice in
                Step(
                    scheme: choice.scheme, bytes: entry.modules.reduce(0) { $0 + bytes($1, choice.scheme) },
                    divergence: choice.divergence)
            }
            steps.append(
                Step(scheme: nil, bytes: entry.modules.reduce(0) { $0 + bytes($1, nil) }, divergence: 0))
            steps.sort { ($0.bytes, $0.divergence) < ($1.bytes, $1.divergence) }
            var hull: [Step] = []
            for step in steps {
                if let last = hull.last, step.divergence >= last.divergence { continue }
                while hull.count >= 2,
                    slope(hull[hull.count - 1], step) >= slope(hull[hull.count - 2], hull[hull.count - 1])
                {
                    hull.removeLast()
                }
                hull.append(step)
            }
            sets.append((entry.modules, hull, 0))
        }
        func slope(_ a: Step, _ b: Step) -> Double { (a.divergence - b.divergence) / Double(max(1, b.bytes - a.bytes)) }

        let chosen = Set(sets.flatMap(\.modules))
        var total = checkpoint.tensors.values.reduce(0) { sum, info in
            if model.tiedEmbeddings, info.name == "lm_head.weight" { return sum }
            let module = info.name.hasSuffix(".weight") ? String(info.name.dropLast(7)) : ""
            if chosen.contains(module) { return sum }
            return sum + (plan[module].map { bytes(module, $0) } ?? info.byteCount)
        }
        if model.tiedEmbeddings, !chosen.contains("lm_head") { total += bytes("lm_head", plan["lm_head"]) }
        total += sets.reduce(0) { $0 + $1.hull[0].bytes }
        guard total <= allowed else {
            func shown(_ bytes: Int) -> String {
                switch limit {
                case .bytes: "\(bytes) bytes"
                case .bitsPerWeight:
                    "\((Double(bytes) * 8 / Double(parameters) * 1000).rounded(.up) / 1000) bits per weight"
                }
            }
            throw QuantizationError.budget(
                place: checkpoint.directory.path, wanted: shown(allowed), least: shown(total))
        }
        while true {
            var best: (set: Int, slope: Double)?
            for (index, set) in sets.enumerated() where set.at + 1 < set.hull.count {
                let (now, next) = (set.hull[set.at], set.hull[set.at + 1])
                guard total + next.bytes - now.bytes <= allowed else { continue }
                let gain = slope(now, next)
                if best.map({ gain > $0.slope }) ?? true { best = (index, gain) }
            }
            guard let best else { break }
            let set = sets[best.set]
            total += set.hull[set.at + 1].bytes - set.hull[set.at].bytes
            sets[best.set].at += 1
        }
        var divergence = 0.0
        for set in sets {
            let step = set.hull[set.at]
            divergence += step.divergence
            for module in set.modules { plan[module] = step.scheme }
        }
        return (plan, divergence)
    }
}
