import Runtime
import Testing

/// As many batches on their way as pays.
@Suite struct PipelineDepthTests {
    private func batches(_ outline: ModelOutline, stages: Int, sequences: Int) throws -> Int {
        var options = EngineOptions()
        (options.stages, options.concurrency) = (stages, sequences)
        let costs = try ModelCosts(outline, kernels: KernelSet.select("generic"))
        return PipelineDepth.batches(costs, try Partition(outline, options: options).ranges, options: options)
    }

    @Test func smallModelsHideTheirHops() throws {
        let scheme = QuantizationScheme(bits: 8, groupSize: 64)
        let small = try ModelOutline(
            config: PlanFixtures.config(
                layers: 12, hidden: 128, heads: 4, kvHeads: 2, intermediate: 512, vocabulary: 4096, tied: true)
        ).quantized(by: scheme)
        let deep = try batches(small, stages: 3, sequences: 64)
        #expect(deep > 3 && deep <= 6, "\(deep)")
        #expect(try batches(small, stages: 1, sequences: 64) == 1)
        let large = try ModelOutline(config: PlanFixtures.deepSeek).quantized(by: scheme)
        for sequences in [1, 16, 128] {
            #expect(try batches(large, stages: 3, sequences: sequences) == 3, "\(sequences)")
        }
    }
}
