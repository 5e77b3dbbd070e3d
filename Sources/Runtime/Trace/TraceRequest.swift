import Foundation

/// One request's group while it is being written. The writer's lock guards it.
struct TraceRequest: Sendable {
    let id: String
    let group: H5Group
    private let axes: TraceAxes
    private let model: TraceModel
    private let storage: TraceStorage
    private let position: H5Dataset
    private var logitsPosition: H5Dataset?
    private var layersGroup: H5Group?
    private var layerGroups: [Int: H5Group] = [:]
    private var series: [String: Series] = [:]
    private let tokens: H5Dataset
    private var tokenCount = 0
    private var saturated = 0

    /// A dataset, and the position that its next row may have at the least.
    private struct Series: Sendable {
        let dataset: H5Dataset
        var rows = 0
        var nextPosition = 0
    }

    init(
        id: String, index: Int, in parent: H5Group, axes: TraceAxes, model: TraceModel, storage: TraceStorage,
        prompt: [Int32], attributes: [String: String]
    ) throws {
        self.id = id
        self.axes = axes
        self.model = model
        self.storage = storage
        group = try parent.makeGroup(TraceLayout.groupName(id))
        try group.set("id", id)
        try group.set("index", index)
        try group.set("prompt_tokens", prompt.count)
        try group.set("status", "running")
        for (name, value) in attributes.sorted(by: { $0.key < $1.key }) { try group.set(name, value) }
        position = try group.makeDataset("position", .int32, shape: [0], extendable: [true], chunk: [1024])
        try position.set("long_name", "position of the token")
        try position.set("units", "token")
        try position.makeScale("position")
        tokens = try group.makeDataset("tokens", .int32, shape: [0], extendable: [true], chunk: [1024])
        try tokens.set("long_name", "token id")
        try tokens.attach(scale: position, dimension: 0)
        try append(tokens: prompt)
    }

    mutating func append(tokens new: [Int32]) throws {
        guard !new.isEmpty else { return }
        let positions = (tokenCount..<tokenCount + new.count).map { Int32($0) }
        for (dataset, values) in [(tokens, new), (position, positions)] {
            try dataset.extend(to: [tokenCount + new.count])
            try dataset.write(values, .int32, offset: [tokenCount], count: [new.count])
        }
        tokenCount += new.count
    }

    // MARK: Points

    mutating func append(
        _ point: TracePoint, startPosition: Int, rows: Int, width: Int, values: UnsafeBufferPointer<Float>
    ) throws {
        let path = point.path(layers: model.layers)
        let place = "\(group.place)/\(path)"
        let expected = point.width(model)
        guard width == expected, rows >= 0, startPosition >= 0,
            rows.multipliedReportingOverflow(by: width) == (values.count, false)
        else {
            throw TraceError.rows(
                place: place, problem: "rows of another shape", expected: "rows of \(expected) values",
                got: "\(rows) × \(width) in \(values.count) values at position \(startPosition)")
        }
        if case .layer(let layer, _) = point { try check(layer: layer) }
        guard rows > 0 else { return }
        let isLogits = point == .logits
        let next = series[path]?.nextPosition ?? 0
        guard isLogits ? startPosition >= next : startPosition == next else {
            throw TraceError.rows(
                place: place, problem: "rows out of order",
                expected: (isLogits ? "position ≥ " : "position ") + "\(next)", got: "\(startPosition)")
        }
        var entry = try series[path] ?? Series(dataset: make(point, path))
        if isLogits, let logitsPosition {
            try logitsPosition.extend(to: [entry.rows + rows])
            let positions = (startPosition..<startPosition + rows).map { Int32(clamping: $0) }
            try logitsPosition.write(positions, .int32, offset: [entry.rows], count: [rows])
        }
        try entry.dataset.extend(to: [entry.rows + rows, width])
        try write(values, to: entry.dataset, offset: [entry.rows, 0], count: [rows, width])
        entry.rows += rows
        entry.nextPosition = startPosition + rows
        series[path] = entry
    }

    /// `values` [heads, rows, keys] into [heads, T, T]; keys after startPosition + rows are 0 for all of the rows.
    mutating func appendPattern(
        layer: Int, startPosition: Int, rows: Int, heads: Int, keys: Int, values: UnsafeBufferPointer<Float>
    ) throws {
        try check(layer: layer)
        let path = "\(TraceLayout.layerPath(layer, of: model.layers))/\(TraceLayout.pattern)"
        let place = "\(group.place)/\(path)"
        let end = startPosition + rows
        guard heads == model.heads, rows >= 0, startPosition >= 0, keys == end,
            heads.multipliedReportingOverflow(by: rows).partialValue.multipliedReportingOverflow(by: keys)
                == (values.count, false)
        else {
            throw TraceError.rows(
                place: place, problem: "a pattern of another shape", expected: "[\(model.heads), rows, \(end)]",
                got: "[\(heads), \(rows), \(keys)] in \(values.count) values at position \(startPosition)")
        }
        guard rows > 0 else { return }
        let next = series[path]?.nextPosition ?? 0
        guard startPosition == next else {
            throw TraceError.rows(
                place: place, problem: "rows out of order", expected: "position \(next)", got: "\(startPosition)")
        }
        var entry = try series[path] ?? Series(dataset: makePattern(layer))
        try entry.dataset.extend(to: [heads, end, end])
        try write(values, to: entry.dataset, offset: [0, startPosition, 0], count: [heads, rows, keys])
        entry.nextPosition = end
        series[path] = entry
    }

    private func check(layer: Int) throws {
        guard (0..<model.layers).contains(layer) else {
            throw TraceError.rows(
                place: group.place, problem: "no such layer", expected: "0..<\(model.layers)", got: "\(layer)")
        }
    }

    private mutating func write(
        _ values: UnsafeBufferPointer<Float>, to dataset: H5Dataset, offset: [Int], count: [Int]
    ) throws {
        guard let base = values.baseAddress else { return }
        switch storage {
        case .float32: try dataset.write(base, .float32, offset: offset, count: count)
        case .float16:
            let limit = Float(Float16.greatestFiniteMagnitude)
            var beyond = 0
            let halves = values.map { value -> Float16 in
                guard value.isFinite, abs(value) > limit else { return Float16(value) }
                beyond += 1
                return Float16(value < 0 ? -limit : limit)
            }
            saturated += beyond
            try dataset.write(halves, .float16, offset: offset, count: count)
        }
    }

    // MARK: Datasets

    private var numberType: H5NumberType { storage == .float32 ? .float32 : .float16 }

    private mutating func make(_ point: TracePoint, _ path: String) throws -> H5Dataset {
        let width = point.width(model)
        let parent: H5Group
        if case .layer(let layer, _) = point { parent = try layerGroup(layer) } else { parent = group }
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let dataset = try parent.makeDataset(
            name, numberType, shape: [0, width], extendable: [true, false], chunk: TraceLayout.rowChunk(width: width),
            cacheBytes: TraceLayout.cacheBytes(width: width))
        try dataset.set("interpretation", "image")
        switch point {
        case .logits:
            try dataset.set("long_name", "logits")
            try dataset.set("units", "nat")
            let rows = try group.makeDataset("logits_position", .int32, shape: [0], extendable: [true], chunk: [1024])
            try rows.set("long_name", "position of the token whose successor is predicted")
            try rows.set("units", "token")
            try rows.makeScale("logits_position")
            try group.hardLink("vocabulary", to: axes.vocabulary)
            try dataset.attach(scale: rows, dimension: 0)
            try dataset.attach(scale: axes.vocabulary, dimension: 1)
            logitsPosition = rows
        case .layer(let layer, let residual):
            try dataset.set("long_name", "\(residual.rawValue) of layer \(layer)")
            try attachRowScales(dataset)
        case .embed, .finalNorm:
            try dataset.set("long_name", name)
            try attachRowScales(dataset)
        }
        return dataset
    }

    private func attachRowScales(_ dataset: H5Dataset) throws {
        try dataset.set("units", "1")
        try dataset.attach(scale: position, dimension: 0)
        try dataset.attach(scale: axes.hidden, dimension: 1)
    }

    private mutating func makePattern(_ layer: Int) throws -> H5Dataset {
        let dataset = try layerGroup(layer).makeDataset(
            TraceLayout.pattern, numberType, shape: [model.heads, 0, 0], extendable: [false, true, true],
            chunk: TraceLayout.patternChunk, cacheBytes: TraceLayout.patternCacheBytes)
        try dataset.set("interpretation", "image")
        try dataset.set("long_name", "attention pattern of layer \(layer): head, query, key")
        try dataset.set("units", "1")
        try dataset.attach(scale: axes.head, dimension: 0)
        try dataset.attach(scale: position, dimension: 1)
        try dataset.attach(scale: position, dimension: 2)
        return dataset
    }

    private mutating func layerGroup(_ layer: Int) throws -> H5Group {
        if let made = layerGroups[layer] { return made }
        if layersGroup == nil {
            layersGroup = try group.makeGroup("layers")
            try layersGroup?.set("NX_class", "NXcollection")
            try group.hardLink("hidden", to: axes.hidden)
        }
        let made = try group.makeGroup(TraceLayout.layerPath(layer, of: model.layers))
        // Axes must be direct children of the group that plots with them.
        try made.hardLink("position", to: position)
        try made.hardLink("hidden", to: axes.hidden)
        layerGroups[layer] = made
        return made
    }

    // MARK: End

    /// Writes what is known only now, and closes the group with all that is in it.
    mutating func end(status: String, timings: [String: Double]) throws {
        try group.set("status", status)
        try group.set("generated_tokens", tokenCount - (try group.integer("prompt_tokens") ?? 0))
        if storage == .float16 { try group.set("saturated_values", saturated) }
        for (name, value) in timings.sorted(by: { $0.key < $1.key }) { try group.set("timing_\(name)", value) }
        try plot()
        for entry in series.values { try entry.dataset.close() }
        try logitsPosition?.close()
        try tokens.close()
        try position.close()
    }

    /// NeXus: what H5Web shows when the group is opened. Named at the end, when it is known what is there.
    private func plot() throws {
        for (layer, layerGroup) in layerGroups {
            let base = TraceLayout.layerPath(layer, of: model.layers)
            let there = TracePoint.Residual.allCases.reversed().map(\.rawValue).filter {
                series["\(base)/\($0)"] != nil
            }
            guard let signal = there.first else { continue }
            try plot(layerGroup, signal, axes: ["position", "hidden"], others: Array(there.dropFirst()))
            try layerGroup.set("title", "\(id), layer \(layer)")
        }
        if series["logits"] != nil {
            try plot(group, "logits", axes: ["logits_position", "vocabulary"], others: [])
        } else if let point = ["final_norm", "embed"].first(where: { series[$0] != nil }), layersGroup != nil {
            try plot(group, point, axes: ["position", "hidden"], others: [])
        } else {
            try plot(group, "tokens", axes: ["position"], others: [])
        }
        try group.set("title", id)
        if let first = layerGroups.keys.min() {
            try layersGroup?.set(
                "default", String(TraceLayout.layerPath(first, of: model.layers).dropFirst("layers/".count)))
        }
    }

    private func plot(_ group: H5Group, _ signal: String, axes: [String], others: [String]) throws {
        try group.set("NX_class", "NXdata")
        try group.set("signal", signal)
        try group.set("axes", axes)
        if !others.isEmpty { try group.set("auxiliary_signals", others) }
        if axes.count == 2 { try group.set("interpretation", "image") }
    }
}

/// The axes that all requests share: 0..<n.
struct TraceAxes: Sendable {
    let hidden, vocabulary, head: H5Dataset

    init(in file: H5File, model: TraceModel) throws {
        let group = try file.makeGroup("axes")
        try group.set("NX_class", "NXcollection")
        func axis(_ name: String, _ count: Int, _ longName: String) throws -> H5Dataset {
            let dataset = try group.makeDataset(
                name, .int32, shape: [count], extendable: [false], chunk: [max(1, min(count, 16384))])
            try dataset.write((0..<Int32(count)).map { $0 }, .int32, offset: [0], count: [count])
            try dataset.set("long_name", longName)
            try dataset.makeScale(name)
            return dataset
        }
        hidden = try axis("hidden", model.hidden, "hidden channel")
        vocabulary = try axis("vocabulary", model.vocabulary, "token id")
        head = try axis("head", model.heads, "attention head")
    }

    func close() throws {
        try hidden.close()
        try vocabulary.close()
        try head.close()
    }
}
