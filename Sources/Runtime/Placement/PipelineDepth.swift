/// How many batches are on their way at once over a pipeline of processes.
///
/// With B batches of n/B sequences each, all n sequences are a step further after max(B·t, S·t + S·h): t is what the
/// slowest of S stages takes for a batch, h what a hop takes. More batches hide the hops, smaller ones read the weights
/// more often: the former counts with small models, the latter with large ones.
package enum PipelineDepth {
    /// Seconds of a hop: waking the threads on its way where nothing else went on, or a network's way.
    static let hop = 0.3e-3

    /// Between one a stage and two; the fewest of equals.
    package static func batches(_ costs: ModelCosts, _ ranges: [Range<Int>], options: EngineOptions) -> Int {
        let stages = ranges.count
        guard stages > 1 else { return 1 }
        let times = StageTimes(costs, MachineSpeed.reference.sustained)
        let positions = Double(options.workload.promptTokens + options.workload.outputTokens / 2)
        func step(_ batches: Int) -> Double {
            let rows = max(1, Double(options.concurrency) / Double(batches))
            let slowest = ranges.map { times.step($0, rows: rows, positions: positions, headRows: rows) }.max()!
            return max(Double(batches) * slowest, Double(stages) * (slowest + hop))
        }
        // What is not shorter by a hundredth is no gain.
        return (stages...2 * stages).reduce(stages) { step($1) < 0.99 * step($0) ? $1 : $0 }
    }
}
