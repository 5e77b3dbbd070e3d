/// Which layers each stage computes.
public struct Partition: Sendable, Equatable {
    /// Consecutive ranges that cover all layers, none empty.
    public let ranges: [Range<Int>]
    /// Each stage's cost: multiply-accumulates per decoded token.
    public let costs: [Int]

    /// Splits the layers so that the most expensive stage is as cheap as can be; of equal splits, the one that loads
    /// later stages less. The head counts on the last stage; the embedding is a look-up and counts a row's copy.
    /// - Throws: `EngineError.tooManyStages`, or `.invalidOption` for fewer than one.
    public init(_ model: ModelConfiguration, stages: Int) throws {
        guard stages >= 1 else {
            throw EngineError.invalidOption(name: "--stages", expected: "at least 1", got: "\(stages)")
        }
        guard stages <= model.layers else { throw EngineError.tooManyStages(stages: stages, layers: model.layers) }
        let queryWidth = model.heads * model.headDim
        let keyWidth = model.kvHeads * model.headDim
        let layer = model.hidden * (2 * queryWidth + 2 * keyWidth + 3 * model.intermediate)
        let embedding = model.hidden
        let head = model.hidden * model.vocabulary
        func cost(_ range: Range<Int>) -> Int {
            range.count * layer + (range.lowerBound == 0 ? embedding : 0)
                + (range.upperBound == model.layers ? head : 0)
        }
        // best[s][n]: the smallest possible maximum with s stages over the first n layers, and the last cut.
        var best = [[(cost: Int, cut: Int)]](
            repeating: Array(repeating: (Int.max, 0), count: model.layers + 1), count: stages + 1)
        best[0][0] = (0, 0)
        for stage in 1...stages {
            for end in stage...model.layers {
                for cut in (stage - 1)..<end where best[stage - 1][cut].cost != Int.max {
                    let candidate = max(best[stage - 1][cut].cost, cost(cut..<end))
                    if candidate < best[stage][end].cost { best[stage][end] = (candidate, cut) }
                }
            }
        }
        var ranges: [Range<Int>] = []
        var end = model.layers
        for stage in (1...stages).reversed() {
            ranges.insert(best[stage][end].cut..<end, at: 0)
            end = best[stage][end].cut
        }
        self.ranges = ranges
        costs = ranges.map(cost)
    }
}
