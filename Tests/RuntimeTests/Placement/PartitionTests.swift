import Foundation
import Runtime
import Testing

/// The division of layers over nodes, against all divisions there are.
@Suite struct PartitionTests {
    /// All ways to cut `count` things into `parts` consecutive ranges.
    static func divisions(_ count: Int, _ parts: Int, from start: Int = 0) -> [[Range<Int>]] {
        if parts == 1 { return start < count ? [[start..<count]] : [] }
        return (start + 1..<max(start + 1, count)).flatMap { cut in
            divisions(count, parts - 1, from: cut).map { [start..<cut] + $0 }
        }
    }

    @Test func divideFindsTheOptimum() {
        var random = SplitMix64(seed: 4)
        var refused = 0
        for round in 0..<400 {
            let count = Int.random(in: 1...9, using: &random)
            let parts = Int.random(in: 1...count, using: &random)
            // Whole numbers, so that sums are exact and ties are many.
            let things = (0..<count).map { _ in Int.random(in: 0...6, using: &random) }
            let speeds = (0..<parts).map { _ in Double([1, 2, 4].randomElement(using: &random)!) }
            let limits = (0..<parts).map { _ in round.isMultiple(of: 2) ? 99 : Int.random(in: 2...16, using: &random) }
            func cost(_ part: Int, _ range: Range<Int>) -> Double? {
                let sum = things[range].reduce(0, +)
                return sum <= limits[part] ? Double(sum) / speeds[part] : nil
            }
            let all = Self.divisions(count, parts).compactMap { ranges -> (most: Double, squares: Double)? in
                let costs = ranges.enumerated().map { cost($0, $1) }
                guard !costs.contains(nil) else { return nil }
                return (costs.map { $0! }.max()!, costs.reduce(0) { $0 + $1! * $1! })
            }
            let place = "round \(round): \(things) at \(speeds) within \(limits)"
            guard let got = Partition.divide(count, parts, cost: cost) else {
                refused += 1
                #expect(all.isEmpty, "\(place): refused, but there is a division")
                continue
            }
            #expect(got.count == parts && !got.contains { $0.isEmpty }, "\(place): \(got)")
            #expect(got.flatMap { Array($0) } == Array(0..<count), "\(place): \(got)")
            let costs = got.enumerated().compactMap { cost($0, $1) }
            guard costs.count == parts, let most = all.map(\.most).min() else {
                Issue.record("\(place): \(got) is not allowed")
                continue
            }
            #expect(costs.max() == most, "\(place): \(got)")
            let squares = all.filter { $0.most == most }.map(\.squares).min()!
            let own = costs.reduce(0) { $0 + $1 * $1 }
            #expect(own == squares, "\(place): \(got)")
        }
        #expect(refused > 10, "too few instances without a division")
    }

    /// The cost is the roofline's: for each part of the model the longer of reading and computing, by hand here.
    @Test(arguments: [nil, 8, 4])
    func slowestStageIsAsQuickAsCanBe(bits: Int?) throws {
        var random = SplitMix64(seed: 9)
        for round in 0..<60 {
            let layers = Int.random(in: 3...10, using: &random)
            let stages = Int.random(in: 1...min(4, layers), using: &random)
            var outline = try ModelOutline(
                config: PlanFixtures.config(
                    layers: layers, hidden: 256, heads: 4, kvHeads: 2, intermediate: 768,
                    vocabulary: [512, 8192, 60_000].randomElement(using: &random)!, tied: round.isMultiple(of: 3)))
            if let bits { outline = try outline.quantized(by: QuantizationScheme(bits: bits, groupSize: 64)) }
            var options = EngineOptions()
            options.stages = stages
            options.stagesAreNodes = true
            options.concurrency = [1, 8, 128].randomElement(using: &random)!
            options.nodes = (0..<stages).map { _ in
                PipelineNode(speed: [0.5, 1, 1.7].randomElement(using: &random)!)
            }
            options.workload = Workload(
                promptTokens: Int.random(in: 1...400, using: &random),
                outputTokens: Int.random(in: 1...200, using: &random))
            let costs = try ModelCosts(outline, kernels: KernelSet.select("generic"))
            let seconds = Self.seconds(costs, options)
            let partition = try Partition(outline, options: options)
            let best = Self.divisions(layers, stages).map { ranges in
                zip(ranges, options.nodes).map { seconds($0) / $1.speed }.max()!
            }.min()!
            let got = zip(partition.ranges, options.nodes).map { seconds($0) / $1.speed }.max()!
            #expect(got <= best * (1 + 1e-9), "round \(round): \(partition.ranges) takes \(got), best \(best)")
            #expect(abs(partition.costs.max()! / got - 1) < 1e-9, "round \(round)")
        }
    }

    private static func seconds(_ costs: ModelCosts, _ options: EngineOptions) -> (Range<Int>) -> Double {
        let (rate, bandwidth) = (200e9 * 0.65, 25e9 * 0.88)
        func time(_ bytes: Int, _ products: Double) -> Double { max(Double(bytes) / bandwidth, products / rate) }
        let (prompt, output) = (Double(options.workload.promptTokens), Double(options.workload.outputTokens))
        let rows = Double((options.concurrency + options.stages - 1) / options.stages)
        // 256 wide: 2 · 256 fp32 products a position, four 8-bit ones each; keys and values 2 · 128 · 4 bytes.
        let attention = time(1024, 2048)
        return { range in
            // What the first node does beside its layers.
            var sum = range.lowerBound == 0 ? 1.5e-3 : 0
            for layer in costs.layers[range] {
                sum += prompt / 128 * time(layer.readBytes, 128 * Double(layer.products))
                sum += output / rows * time(layer.readBytes, rows * Double(layer.products))
                let seen: Double = prompt * prompt / 2 + output * (prompt + output / 2)
                sum += seen * attention
            }
            if range.upperBound == costs.layers.count {
                sum += output / rows * time(costs.head.readBytes, rows * Double(costs.head.products))
            }
            return sum
        }
    }

    @Test func refusesWhatDoesNotFitWithTheFigures() throws {
        let outline = try ModelOutline(config: PlanFixtures.deepSeek)
        var options = EngineOptions()
        options.nodes = [2, 2, 2].map { PipelineNode(memoryBytes: $0 * 1_000_000_000) }
        let text = try #require(wording { _ = try Partition(outline, options: options) })
        #expect(text.hasPrefix("--node-memory: the model does not fit, however its layers are divided; expected room"))
        for part in ["stage 1 (layers 0–", "weights", "got 2.00 GB, 2.00 GB"] {
            #expect(text.contains(part), "\(text)")
        }
        // Memory decides where speed would decide otherwise.
        options.nodes = [6, 6, 1.5].map { PipelineNode(speed: $0 == 1.5 ? 4 : 1, memoryBytes: Int($0 * 1e9)) }
        let eight = try outline.quantized(by: QuantizationScheme(bits: 8, groupSize: 64))
        let tight = try Partition(eight, options: options).ranges
        options.nodes[2].memoryBytes = nil
        let free = try Partition(eight, options: options).ranges
        #expect(tight[2].count < free[2].count, "\(tight) within limits, \(free) without")
        options.nodes[2].memoryBytes = 1_500_000_000
        let memory = try StageMemory(ModelCosts(eight, kernels: KernelSet.select("generic")), tight[2], options)
        #expect(memory.bytes <= 1_500_000_000)
    }

    @Test func refusesWhatIsNoPlacement() throws {
        let outline = try ModelOutline(config: PlanFixtures.deepSeek)
        var options = EngineOptions()
        options.stages = 29
        #expect(throws: EngineError.tooManyStages(stages: 29, layers: 28)) {
            try Partition(outline, options: options)
        }
        options.stages = 3
        options.nodes = [PipelineNode(), PipelineNode()]
        #expect(throws: PlacementError.nodes(flag: "--node-speed", expected: 3, got: 2)) {
            try Partition(outline, options: options)
        }
        for speed in [0, -1, .infinity, .nan] {
            options.nodes = [PipelineNode(), PipelineNode(), PipelineNode(speed: speed)]
            #expect(throws: EngineError.self) { try Partition(outline, options: options) }
        }
    }

    /// Sizes that no machine holds, as a hostile config.json states them, are refused and do not overflow.
    @Test func enormousModels() throws {
        var config = PlanFixtures.deepSeek
        config["hidden_size"] = 2_147_483_640
        config["intermediate_size"] = 2_147_483_647
        config["num_hidden_layers"] = 9999
        let text = wording { _ = try ModelOutline(config: config) }
        #expect(text?.contains("at most 2^48 parameters") == true, "\(text ?? "taken")")
    }
}

enum PlanFixtures {
    /// DeepSeek-R1-Distill-Qwen-1.5B's config.json, as far as its shape goes.
    static var deepSeek: [String: Any] {
        config(layers: 28, hidden: 1536, heads: 12, kvHeads: 2, intermediate: 8960, vocabulary: 151_936, tied: false)
            .merging(["model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]]) { $1 }
    }

    static func config(
        layers: Int, hidden: Int, heads: Int, kvHeads: Int, intermediate: Int, vocabulary: Int, tied: Bool
    ) -> [String: Any] {
        [
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden,
            "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kvHeads,
            "intermediate_size": intermediate, "vocab_size": vocabulary, "max_position_embeddings": 131_072,
            "rms_norm_eps": 1e-6, "rope_theta": 10_000.0, "hidden_act": "silu", "tie_word_embeddings": tied,
            "use_sliding_window": false, "torch_dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 2,
        ]
    }
}

extension ModelOutline {
    /// Of a folder that holds this config.json alone.
    init(config: [String: Any]) throws {
        let outline = try temporaryDirectory { folder in
            try JSONSerialization.data(withJSONObject: config).write(to: folder.appending(path: "config.json"))
            return try ModelOutline(folder)
        }
        self = outline
    }
}
