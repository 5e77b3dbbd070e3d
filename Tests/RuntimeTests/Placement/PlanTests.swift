import Foundation
import Runtime
import Testing

/// What a plan says, against what loading the model gives.
@Suite struct PlanTests {
    private func plan(
        _ outline: ModelOutline, _ options: EngineOptions, kernels: String? = nil,
        link: PipelinePlan.Link = .init(bytesPerSecond: 125e6, latencySeconds: 1e-4)
    ) throws -> PipelinePlan {
        try PipelinePlan(
            outline, options: options, speed: MachineSpeed(productsPerSecond: 300e9, readBytesPerSecond: 30e9),
            link: link, kernels: KernelSet.select(kernels))
    }

    /// To the byte, for every family, with and without quantization, and for every kernel set that runs here.
    @Test(arguments: ModelParityTests.models)
    func weightsAreThoseThatAreLoaded(_ name: String) throws {
        try temporaryDirectory { folder in
            let plain = try Checkpoint(directory: Golden.directory(name))
            var checkpoints = [plain]
            for scheme in [
                QuantizationScheme(bits: 8, groupSize: 32), QuantizationScheme(bits: 4, groupSize: 32),
                QuantizationScheme(bits: 4, symmetric: false, groupSize: 32), QuantizationScheme(bits: 8),
            ] where plain.configuration.decoderLinearLayers.allSatisfy({ scheme.divides(columns: $0.columns) }) {
                let target = folder.appending(path: scheme.label)
                _ = try ModelQuantizer(plain, scheme: scheme).write(to: target, overwrite: false)
                checkpoints.append(try Checkpoint(directory: target))
            }
            for checkpoint in checkpoints {
                for kernels in KernelSet.all.filter(\.supported).map(\.name) {
                    for precision in ComputePrecision.allCases {
                        var options = EngineOptions()
                        (options.stages, options.cacheBytes) = (2, 8 << 20)
                        (options.precision, options.kernels) = (precision, kernels)
                        let engine = try Engine(checkpoint, tokenizer: nil, options: options)
                        let usage = engine.usage
                        engine.stop()
                        let stages = try plan(ModelOutline(checkpoint), options, kernels: kernels).stages
                        let place = "\(name) \(checkpoint.directory.lastPathComponent) \(kernels) \(precision)"
                        #expect(stages.map(\.weightBytes) == usage.map(\.weightBytes), "\(place)")
                        #expect(stages.map { $0.firstLayer...$0.lastLayer } == usage.map { ClosedRange($0.layers) })
                    }
                }
            }
            // What would come of quantizing is what comes of it.
            let predicted = try ModelOutline(plain).quantized(by: QuantizationScheme(bits: 8))
            let costs = try ModelCosts(predicted, kernels: KernelSet.select())
            let made = try ModelCosts(ModelOutline(checkpoints.last!), kernels: KernelSet.select())
            #expect(costs.embedding == made.embedding && costs.layers == made.layers && costs.head == made.head)
        }
    }

    /// DeepSeek-R1-Distill-Qwen-1.5B from its config.json alone: 1 777 088 000 parameters, as its model card's files
    /// have; and three nodes of at most 6 GB each, whether quantized or in fp32.
    @Test(arguments: [nil, 8, 4])
    func deepSeekTakesAtMostSixGigabytesANode(bits: Int?) throws {
        var outline = try ModelOutline(config: PlanFixtures.deepSeek)
        if let bits { outline = try outline.quantized(by: QuantizationScheme(bits: bits, groupSize: 64)) }
        var options = EngineOptions()
        options.nodes = Array(repeating: PipelineNode(memoryBytes: 6_000_000_000), count: 3)
        let plan = try plan(outline, options)
        #expect(plan.parameters == 1_777_088_000)
        let parameters = plan.stages.reduce(0) { $0 + $1.parameters }
        #expect(parameters == plan.parameters)
        #expect(plan.stages.count == 3)
        for stage in plan.stages { #expect(stage.memoryBytes <= 6_000_000_000, "\(stage)") }
        // 28 layers of 2 KV heads of 128 numbers, keys and values, 4 bytes, 256 positions.
        let cache = plan.stages.reduce(0) { $0 + $1.cacheBytesPerRequest }
        #expect(cache == 28 * 2 * 2 * 128 * 4 * 256)
        // A hidden state of 1536 numbers in fp32; the last stage sends a token back.
        #expect(plan.stages.map(\.bytesSentPerToken) == [6144, 6144, 4])
        let weights = plan.stages.reduce(0) { $0 + $1.weightBytes }
        // Embedding in bfloat16; the rest in fp32, or about 8.25 and 4.25 bits (a bfloat16 scale for 64) and a head of 8.5.
        let table = 151_936 * 1536
        let linear = Double(plan.parameters - 2 * table)
        let ends: Double = Double(table) * (bits == nil ? 6 : 2 + 8.5 / 8)
        let bytesEach: Double = bits.map { (Double($0) + 0.25) / 8 } ?? 4
        let expected = linear * bytesEach + ends
        #expect(abs(Double(weights) / expected - 1) < 0.002, "\(weights) bytes, \(expected) by hand")
    }

    @Test func speedsFollowFromTheRoofs() throws {
        let outline = try ModelOutline(config: PlanFixtures.deepSeek)
            .quantized(by: QuantizationScheme(bits: 8, groupSize: 64))
        var options = EngineOptions()
        options.stages = 1
        options.concurrency = 1
        let one = try plan(outline, options)
        // One sequence reads all weights but the embedding for each token, at 88 % of 30 GB/s.
        let read = Double(one.stages[0].weightBytes - 2 * 151_936 * 1536)
        let reading = one.tokensPerSecond * read / (30e9 * 0.88)
        #expect(abs(reading - 1) < 0.02, "\(reading)")
        #expect(one.bubble == 0 && one.stages[0].bytesSentPerToken == 0)
        // Three nodes: no quicker for one sequence, nearly three times for many.
        options.concurrency = 96
        let many = try plan(outline, options)
        options.stages = 3
        let three = try plan(outline, options)
        #expect(three.tokensPerSecond < one.tokensPerSecond)
        #expect((2...3).contains(three.requestsPerSecond / many.requestsPerSecond))
        #expect(three.bubble >= 0 && three.bubble < 0.2)
        let shares = three.stages.reduce(0) { $0 + $1.shareOfTime }
        #expect(abs(shares - 1) < 1e-9)
        #expect(three.stages.map(\.utilization).max() == 1)
        // A slow wire holds up what a quick one does not.
        let slow = try plan(outline, options, link: .init(bytesPerSecond: 1e5, latencySeconds: 0.01))
        #expect(slow.batchTokensPerSecond < three.batchTokensPerSecond / 10)
        #expect(slow.requestsPerSecond < three.requestsPerSecond)
        // A node of half the speed has about half the work.
        options.nodes = [PipelineNode(), PipelineNode(), PipelineNode(speed: 0.5)]
        let uneven = try plan(outline, options)
        #expect(uneven.stages[2].lastLayer - uneven.stages[2].firstLayer < 7)
        #expect(uneven.bubble < 0.2)
    }
}
