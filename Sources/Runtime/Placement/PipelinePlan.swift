/// What a model divided over nodes will take and give, from its outline and the nodes' speed: nothing is loaded.
public struct PipelinePlan: Sendable, Encodable {
    /// How two nodes are joined.
    public struct Link: Sendable, Encodable {
        public var bytesPerSecond: Double
        public var latencySeconds: Double
        /// Bytes of a number of a hidden state: 4 as fp32, 2 as fp16.
        public var bytesPerValue: Int

        public init(bytesPerSecond: Double, latencySeconds: Double, bytesPerValue: Int = 4) {
            self.bytesPerSecond = bytesPerSecond
            self.latencySeconds = latencySeconds
            self.bytesPerValue = bytesPerValue
        }
    }

    public struct Stage: Sendable, Encodable {
        public var stage: Int
        /// Of its node.
        public var speed: Double
        public var firstLayer, lastLayer: Int
        public var hasEmbedding, hasHead: Bool
        public var parameters: Int
        /// Weights as the runtime holds them.
        public var weightBytes: Int
        /// Keys and values of one request of the workload, in whole pages.
        public var cacheBytesPerRequest: Int
        /// Keys and values when the cache is full.
        public var cacheBytes: Int
        /// Of one process with this stage.
        public var memoryBytes: Int
        public var memoryLimitBytes: Int?
        /// Multiply-accumulates of a decoded token, attention aside.
        public var macsPerToken: Int
        /// A decoding step of one sequence, and of a full batch.
        public var stepSeconds, batchStepSeconds: Double
        /// Work for one request of the workload.
        public var requestSeconds: Double
        /// Of the work for a request over all stages.
        public var shareOfTime: Double
        /// Share of the time at work when all stages are kept busy; what is missing to 1 is the bubble.
        public var utilization: Double
        /// To the next stage; from the last one a token's number goes back.
        public var bytesSentPerToken: Int
        /// On the wire, for a step of one sequence and of a full batch.
        public var hopSeconds, batchHopSeconds: Double
    }

    public let model: String
    public let scheme: String
    /// False: from config.json alone, with all tensors in the type that it states.
    public let hasHeaders: Bool
    public let parameters: Int
    public let kernelSet: String
    public let speed: MachineSpeed
    public let link: Link
    public let workload: Workload
    /// Requests at work at once, and sequences in each batch.
    public let sequences, sequencesPerBatch: Int
    /// Requests of the workload that the cache holds at once.
    public let requestsInCache: Int
    public let stages: [Stage]
    /// Written by one sequence alone.
    public let tokensPerSecond: Double
    /// Written by all sequences together, when nothing is read.
    public let batchTokensPerSecond: Double
    public let promptTokensPerSecond: Double
    public let requestsPerSecond: Double
    /// Share of the nodes' time without work when all stages are kept busy.
    public let bubble: Double

    /// - Parameters:
    ///   - speed: what a node of speed 1 does at its peak, as `MachineSpeed` measures it.
    ///   - kernels: whose order the weights are held in.
    /// - Throws: as `Partition`.
    public init(
        _ outline: ModelOutline, options: EngineOptions, speed: MachineSpeed, link: Link, kernels: KernelSet
    ) throws {
        let partition = try Partition(outline, options: options)
        let costs = try ModelCosts(
            outline, precision: options.precision, cachePrecision: options.cachePrecision, kernels: kernels)
        let model = outline.configuration
        let count = options.stages
        let work = options.workload
        let times = StageTimes(costs, speed.sustained)
        let nodes = options.nodes.isEmpty ? Array(repeating: PipelineNode(), count: count) : options.nodes
        let page = KVCache.pagePositions
        let positions = (work.tokens + page - 1) / page * page
        let batch = (options.concurrency + count - 1) / count
        let hidden = model.hidden * link.bytesPerValue
        func hop(_ bytes: Int, _ rows: Int) -> Double {
            count == 1 ? 0 : link.latencySeconds + Double(bytes * rows) / link.bytesPerSecond
        }
        let middle = Double(work.promptTokens + work.outputTokens / 2)
        var stages = zip(partition.ranges, nodes).enumerated().map { index, pair in
            let (range, node) = pair
            let part = costs.part(range)
            let memory = StageMemory(costs, range, options)
            let isLast = index == count - 1
            // The token goes back as a 32-bit number.
            let sent = count == 1 ? 0 : isLast ? 4 : hidden
            let request =
                times.request(range, work, sequences: options.concurrency, stages: count)
                + (index == 0 && options.stagesAreNodes ? StageTimes.handling : 0)
            func step(_ rows: Int) -> Double {
                times.step(range, rows: Double(rows), positions: middle, headRows: Double(rows)) / node.speed
            }
            return Stage(
                stage: index, speed: node.speed, firstLayer: range.lowerBound, lastLayer: range.upperBound - 1,
                hasEmbedding: index == 0, hasHead: isLast, parameters: part.parameters, weightBytes: part.weightBytes,
                cacheBytesPerRequest: positions * range.count * costs.cacheBytesPerPosition,
                cacheBytes: memory.cacheBytes, memoryBytes: memory.bytes, memoryLimitBytes: node.memoryBytes,
                macsPerToken: part.macs, stepSeconds: step(1), batchStepSeconds: step(batch),
                requestSeconds: request / node.speed,
                shareOfTime: 0, utilization: 0, bytesSentPerToken: sent, hopSeconds: hop(sent, 1),
                batchHopSeconds: hop(sent, batch))
        }
        let all = stages.reduce(0) { $0 + $1.requestSeconds }
        let slowest = stages.map(\.requestSeconds).max()!
        for index in stages.indices {
            stages[index].shareOfTime = stages[index].requestSeconds / all
            stages[index].utilization = stages[index].requestSeconds / slowest
        }
        self.model = outline.name
        scheme = outline.label
        hasHeaders = outline.tensors != nil
        parameters = costs.parameters
        kernelSet = kernels.name
        self.speed = speed
        self.link = link
        workload = work
        sequences = options.concurrency
        sequencesPerBatch = batch
        requestsInCache =
            options.cacheBytes / KVCache.bytesPerPage(model, options.cachePrecision) / max(1, positions / page)
        self.stages = stages
        tokensPerSecond = 1 / stages.reduce(0) { $0 + $1.stepSeconds + $1.hopSeconds }
        // Hops and work overlap: a batch leaves each time that the slower of the two is done.
        batchTokensPerSecond =
            Double(batch) / stages.map { max($0.batchStepSeconds, $0.batchHopSeconds) }.max()!
        let chunk = PageTable.chunk
        promptTokensPerSecond =
            Double(chunk)
            / zip(partition.ranges, zip(nodes, stages)).map { range, pair in
                let seconds = times.step(
                    range, rows: Double(chunk), positions: Double(work.promptTokens) / 2, headRows: 0)
                return max(seconds / pair.0.speed, pair.1.hasHead ? 0 : hop(hidden, chunk))
            }.max()!
        requestsPerSecond = 1 / max(slowest, count == 1 ? 0 : Double(work.tokens * hidden) / link.bytesPerSecond)
        bubble = 1 - all / slowest / Double(count)
    }
}
