/// How long a stage takes, by the roofline: each product waits for its weights to be read or for its sums, whichever
/// takes longer (Williams et al. 2009).
struct StageTimes: Sendable {
    /// What a request takes the first node beside its layers, in seconds: reading and encoding it, scheduling, checking and
    /// writing the answer. With three million parameters that is a sixth of all, with a billion nothing.
    static let handling = 1.5e-3

    let costs: ModelCosts
    /// Of a node of speed 1.
    let speed: MachineSpeed

    init(_ costs: ModelCosts, _ speed: MachineSpeed) {
        self.costs = costs
        self.speed = speed
    }

    /// Seconds of one step over `rows` rows, each of which sees `positions` positions; the head runs for `headRows`.
    func step(_ range: Range<Int>, rows: Double, positions: Double, headRows: Double) -> Double {
        var seconds = costs.layers[range].reduce(0) { $0 + product($1, rows) }
        seconds += Double(range.count) * attention(rows: rows, positions: positions)
        if range.upperBound == costs.layers.count, headRows > 0 { seconds += product(costs.head, headRows) }
        return seconds
    }

    /// Seconds of one request among `sequences` that are at work in `stages` batches.
    func request(_ range: Range<Int>, _ work: Workload, sequences: Int, stages: Int) -> Double {
        let (layer, head) = perRequest(work, sequences: sequences, stages: stages)
        return range.reduce(0) { $0 + layer[$1] } + (range.upperBound == layer.count ? head : 0)
    }

    /// Seconds of one request in each layer, and in the head.
    func perRequest(_ work: Workload, sequences: Int, stages: Int) -> (layers: [Double], head: Double) {
        let prompt = Double(work.promptTokens)
        let output = Double(work.outputTokens)
        let chunk = Double(PageTable.chunk)
        let rows = Double(max(1, (sequences + stages - 1) / stages))
        let attending =
            prompt * attention(rows: 1, positions: prompt / 2)
            + output * attention(rows: 1, positions: prompt + output / 2)
        let layers = costs.layers.map {
            prompt / chunk * product($0, chunk) + output / rows * product($0, rows) + attending
        }
        return (layers, output / rows * product(costs.head, rows))
    }

    private func product(_ part: ModelCosts.Part, _ rows: Double) -> Double {
        max(
            Double(part.readBytes) / speed.readBytesPerSecond, rows * Double(part.products) / speed.productsPerSecond)
    }

    private func attention(rows: Double, positions: Double) -> Double {
        rows * positions
            * max(
                Double(costs.cacheBytesPerPosition) / speed.readBytesPerSecond,
                Double(costs.attentionProducts) / speed.productsPerSecond)
    }
}

extension MachineSpeed {
    /// What the engine gets out of a machine's peak on models of a billion parameters: Reports/peers.md has 65–69 % of
    /// the products and 84–92 % of the reading.
    public static let sustainedProducts = 0.65
    public static let sustainedReading = 0.88

    /// The speed that products and reading of a whole model reach.
    var sustained: MachineSpeed {
        MachineSpeed(
            productsPerSecond: productsPerSecond * Self.sustainedProducts,
            readBytesPerSecond: readBytesPerSecond * Self.sustainedReading)
    }

    /// For the partition, where only the ratio of the two matters: about that of small AVX2 machines. A constant, so
    /// that all ranks of a run divide the layers alike, whatever each of them is.
    static let reference = MachineSpeed(productsPerSecond: 200e9, readBytesPerSecond: 25e9)
}
