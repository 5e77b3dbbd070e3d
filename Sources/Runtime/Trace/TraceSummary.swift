import Foundation

/// What `qinfer inspect` tells of a trace: what is there, what is missing, and whether the numbers are numbers.
public struct TraceSummary: Sendable, Codable, Equatable {
    public let level: String
    public let storage: TraceStorage
    public let model: TraceModel
    public let attributes: [String: String]
    public let requests: [Request]
    /// Datasets that are there with all their rows, in percent of those expected; nil without any request.
    public let completenessPercent: Double?
    /// Every request ended as done, every expected dataset present with a row for each position.
    public let isComplete: Bool

    public struct Request: Sendable, Codable, Equatable {
        public let id: String
        /// "done", or why the request ended early.
        public let status: String
        /// Traced positions, T; of these, the prompt's.
        public let tokens: Int
        public let promptTokens: Int?
        public let timings: [String: Double]
        public let expectedDatasets: Int
        public let completeDatasets: Int
        /// What keeps it from being complete, a dataset each.
        public let problems: [String]
        public let shapes: [String: [Int]]
        /// Mean over positions of the L2 norm of resid_post, by layer; nil where missing or not finite.
        public let residPostMeanL2: [Double?]
        public let notFinite: [NotFinite]
        /// Values that float16 could not hold; nil in float32.
        public let saturatedValues: Int?
        public var completenessPercent: Double { percent(completeDatasets, of: expectedDatasets) }
        public var isComplete: Bool { problems.isEmpty }

        enum CodingKeys: String, CodingKey {
            case id, status, tokens, timings, problems, shapes
            case promptTokens = "prompt_tokens"
            case expectedDatasets = "expected_datasets"
            case completeDatasets = "complete_datasets"
            case residPostMeanL2 = "resid_post_mean_l2"
            case notFinite = "not_finite"
            case saturatedValues = "saturated_values"
        }
    }

    /// A dataset with values that are no numbers.
    public struct NotFinite: Sendable, Codable, Equatable {
        public let dataset: String
        public let nan: Int
        public let infinite: Int
    }

    enum CodingKeys: String, CodingKey {
        case level, storage, model, attributes, requests
        case completenessPercent = "completeness_percent"
        case isComplete = "complete"
    }

    /// Reads the whole trace. One dataset that cannot be read is a problem of its request, not the end of it.
    public init(_ trace: TraceFile) throws {
        level = trace.level.name
        storage = trace.storage
        model = trace.model
        attributes = trace.attributes
        requests = try trace.requests.map { try Request(trace, $0) }
        let expected = requests.reduce(0) { $0 + $1.expectedDatasets }
        let complete = requests.reduce(0) { $0 + $1.completeDatasets }
        completenessPercent = requests.isEmpty ? nil : percent(complete, of: expected)
        isComplete = !requests.isEmpty && requests.allSatisfy(\.isComplete)
    }
}

private func percent(_ part: Int, of whole: Int) -> Double { whole == 0 ? 0 : 100 * Double(part) / Double(whole) }

extension TraceSummary.Request {
    init(_ trace: TraceFile, _ id: String) throws {
        self.id = id
        status = try trace.text("status", request: id) ?? "unknown"
        promptTokens = try trace.integer("prompt_tokens", request: id)
        saturatedValues = try trace.integer("saturated_values", request: id)
        timings = try trace.timings(request: id).filter { $0.value.isFinite }

        let model = trace.model
        var problems: [String] = status == "done" ? [] : ["the request's status is \"\(status)\""]
        var shapes: [String: [Int]] = [:]
        var norms = [Double?](repeating: nil, count: trace.level >= .residuals ? model.layers : 0)
        var notFinite: [TraceSummary.NotFinite] = []
        var complete = 0
        // The tokens count as one dataset more: without them nothing says how long the others are to be.
        var expected = 1
        var tokens = 0
        do {
            tokens = try trace.tokens(request: id).count
            complete += 1
        } catch let error as TraceError { problems.append(error.description) }
        let firstPredicted = max(0, (promptTokens ?? tokens) - 1)

        /// Reads one expected dataset; `shapeProblem` words what is wrong with its shape.
        func inspect(_ path: String, rowLength: Int, layer: Int? = nil, shapeProblem: ([Int]) throws -> String?) {
            expected += 1
            do {
                guard let dataset = try trace.dataset(id, path) else { return problems.append("\(path): missing") }
                let shape = try dataset.shape()
                shapes[path] = shape
                if let problem = try shapeProblem(shape) {
                    problems.append("\(path): \(problem)")
                } else {
                    complete += 1
                }
                var scan = Scan(rowLength: rowLength)
                try trace.bands(dataset) { scan.add($0) }
                if scan.nan + scan.infinite > 0 {
                    notFinite.append(.init(dataset: path, nan: scan.nan, infinite: scan.infinite))
                } else if let layer {
                    norms[layer] = scan.meanL2
                }
            } catch {
                problems.append("\(path): cannot be read: \(error)")
            }
        }

        for point in TracePoint.all(model, level: trace.level) where point != .logits {
            var layer: Int?
            if case .layer(let number, .residPost) = point { layer = number }
            inspect(point.path(layers: model.layers), rowLength: model.hidden, layer: layer) {
                Self.compare($0, [tokens, model.hidden])
            }
        }
        if trace.level >= .full {
            for layer in 0..<model.layers {
                inspect(trace.patternPath(layer), rowLength: tokens) {
                    Self.compare($0, [model.heads, tokens, tokens])
                }
            }
        }
        inspect("logits", rowLength: model.vocabulary) { shape in
            // Every position, or those from the prompt's last on: what a decoder without a tracer computes.
            let positions = try trace.logitsPositions(request: id)
            let start = Int32(clamping: shape.first == tokens ? 0 : firstPredicted)
            let wanted = start < tokens ? Array(start..<Int32(clamping: tokens)) : []
            if positions != wanted || wanted.isEmpty {
                return "expected the positions \(start)..<\(tokens), got \(positions.count) of them"
            }
            return Self.compare(shape, [positions.count, model.vocabulary])
        }
        self.tokens = tokens
        self.problems = problems
        self.shapes = shapes
        residPostMeanL2 = norms
        self.notFinite = notFinite
        expectedDatasets = expected
        completeDatasets = complete
    }

    private static func compare(_ got: [Int], _ expected: [Int]) -> String? {
        got == expected && !got.contains(0) ? nil : "expected \(expected), got \(got)"
    }
}

/// Counts what is no number, and sums the rows' L2 norms, over values that come in bands which may split a row.
private struct Scan {
    let rowLength: Int
    private(set) var nan = 0
    private(set) var infinite = 0
    private var sumOfSquares = 0.0
    private var column = 0
    private var rows = 0
    private var sumOfNorms = 0.0

    init(rowLength: Int) { self.rowLength = rowLength }

    mutating func add(_ values: UnsafeBufferPointer<Float>) {
        for value in values {
            if value.isNaN { nan += 1 } else if value.isInfinite { infinite += 1 }
            sumOfSquares += Double(value) * Double(value)
            column += 1
            if column == rowLength {
                sumOfNorms += sumOfSquares.squareRoot()
                rows += 1
                column = 0
                sumOfSquares = 0
            }
        }
    }

    var meanL2: Double? { rows == 0 ? nil : sumOfNorms / Double(rows) }
}
