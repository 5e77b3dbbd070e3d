/// Which layers each stage computes.
public struct Partition: Sendable, Equatable {
    /// Consecutive ranges that cover all layers, none empty.
    public let ranges: [Range<Int>]
    /// Each stage's cost: seconds for one request, on the reference machine and its node's speed.
    public let costs: [Double]

    /// Divides a model over the nodes that `options` names, or over equal ones, so that the slowest stage is as quick as
    /// can be and each fits its node's memory. The same on every machine, whatever kernels it has.
    /// - Throws: `EngineError.tooManyStages`, `.invalidOption`, `PlacementError`.
    public init(_ outline: ModelOutline, options: EngineOptions) throws {
        let costs = try ModelCosts(
            outline, precision: options.precision, cachePrecision: options.cachePrecision,
            kernels: KernelSet.select("generic"))
        try self.init(costs, options: options)
    }

    init(_ costs: ModelCosts, options: EngineOptions) throws {
        let stages = options.stages
        let layers = costs.layers.count
        guard stages >= 1 else {
            throw EngineError.invalidOption(name: "--stages", expected: "at least 1", got: "\(stages)")
        }
        guard stages <= layers else { throw EngineError.tooManyStages(stages: stages, layers: layers) }
        let nodes = options.nodes.isEmpty ? Array(repeating: PipelineNode(), count: stages) : options.nodes
        guard nodes.count == stages else {
            throw PlacementError.nodes(flag: "--node-speed", expected: stages, got: nodes.count)
        }
        guard nodes.allSatisfy({ $0.speed > 0 && $0.speed.isFinite }) else {
            throw EngineError.invalidOption(
                name: "--node-speed", expected: "numbers above 0",
                got: nodes.map { "\($0.speed)" }.joined(separator: ","))
        }
        let (perLayer, head) = StageTimes(costs, MachineSpeed.reference.sustained)
            .perRequest(options.workload, sequences: options.concurrency, stages: stages)
        let sums = perLayer.reduce(into: [0.0]) { $0.append($0.last! + $1) }
        func seconds(_ stage: Int, _ range: Range<Int>) -> Double {
            let layers = sums[range.upperBound] - sums[range.lowerBound]
            let handling = stage == 0 && options.stagesAreNodes ? StageTimes.handling : 0
            let ends = handling + (range.upperBound == perLayer.count ? head : 0)
            return (layers + ends) / nodes[stage].speed
        }
        func fits(_ stage: Int, _ range: Range<Int>) -> Bool {
            nodes[stage].memoryBytes.map { StageMemory(costs, range, options).bytes <= $0 } ?? true
        }
        let best = Self.divide(layers, stages) { stage, range in
            fits(stage, range) ? seconds(stage, range) : nil
        }
        guard let best else {
            // The division whose fullest node is the least overfull.
            let nearest = Self.divide(layers, stages) { stage, range in
                nodes[stage].memoryBytes.map {
                    Double(StageMemory(costs, range, options).bytes) / Double(max($0, 1))
                } ?? 0
            }
            throw PlacementError.doesNotFit(
                zip(nearest ?? [], nodes).map {
                    .init(layers: $0, memory: StageMemory(costs, $0, options), limit: $1.memoryBytes)
                })
        }
        ranges = best
        self.costs = best.enumerated().map { seconds($0, $1) }
    }

    /// Cuts `count` things into `parts` consecutive ranges, none empty, so that the largest cost is the smallest
    /// possible; of all such divisions it takes one with the smallest sum of squares. Exact, by dynamic programming: for
    /// each number of ranges and each end, the best last cut.
    /// - Parameter cost: of a range at a place, not negative and never less for a longer range; nil where it is not
    ///   allowed, as is then no longer one.
    /// - Returns: nil where no division is allowed.
    package static func divide(_ count: Int, _ parts: Int, cost: (Int, Range<Int>) -> Double?) -> [Range<Int>]? {
        let largest = cuts(count, parts, cost) { max($0, $1) }
        guard let bound = largest?.value else { return nil }
        func bounded(_ part: Int, _ range: Range<Int>) -> Double? {
            cost(part, range).flatMap { $0 <= bound ? $0 : nil }
        }
        return cuts(count, parts, bounded) { $0 + $1 * $1 }?.ranges
    }

    /// The division with the smallest value, which `join` makes of the ranges before the last and the last one's cost.
    private static func cuts(
        _ count: Int, _ parts: Int, _ cost: (Int, Range<Int>) -> Double?, join: (Double, Double) -> Double
    ) -> (value: Double, ranges: [Range<Int>])? {
        // best[p][n]: the smallest value of p ranges over the first n things, and where the last of them begins.
        var best = [[(value: Double, cut: Int)?]](repeating: Array(repeating: nil, count: count + 1), count: parts + 1)
        best[0][0] = (0, 0)
        for part in 1...parts {
            for end in part...max(part, count - (parts - part)) {
                // From the shortest last range to longer ones, until it is forbidden.
                for cut in stride(from: end - 1, through: part - 1, by: -1) {
                    guard let last = cost(part - 1, cut..<end) else { break }
                    guard let before = best[part - 1][cut]?.value else { continue }
                    let value = join(before, last)
                    if value < best[part][end]?.value ?? .infinity { best[part][end] = (value, cut) }
                }
            }
        }
        guard let value = best[parts][count]?.value else { return nil }
        var ranges: [Range<Int>] = []
        var end = count
        for part in (1...parts).reversed() {
            let cut = best[part][end]!.cut
            ranges.insert(cut..<end, at: 0)
            end = cut
        }
        return (value, ranges)
    }
}
