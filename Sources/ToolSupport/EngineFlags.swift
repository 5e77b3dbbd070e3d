import ArgumentParser
import Foundation
import Runtime

extension ComputePrecision: ExpressibleByArgument {}
extension CachePrecision: ExpressibleByArgument {}

extension TraceLevel: ExpressibleByArgument {
    public init?(argument: String) { self.init(name: argument) }
    public var defaultValueDescription: String { name }
}

/// The flags of every command that runs a model.
public struct EngineFlags: ParsableArguments, Sendable {
    @Option(help: "Pipeline stages that the layers are divided over.")
    public var stages = 3

    @Option(help: ArgumentHelp("Threads of each stage. (default: cores divided by stages)", valueName: "count"))
    public var threads: Int?

    @Option(help: "auto: quantized layers in int8; fp32: everything dequantized, the reference.")
    public var compute = ComputePrecision.auto

    @Option(help: "How keys and values are kept: fp32 or fp16.")
    public var kvCache = CachePrecision.fp32

    @Option(help: ArgumentHelp("Memory for keys and values.", valueName: "MiB"))
    public var cacheMemory = 2048

    @Option(help: ArgumentHelp("Requests at work at once; more wait in a queue.", valueName: "count"))
    public var batch = 128

    @Option(help: ArgumentHelp("Longest sequence. (default: the model's own limit)", valueName: "tokens"))
    public var context: Int?

    @Option(
        help: ArgumentHelp(
            "Tokens to guess ahead from earlier text and check at once; 0 for none. Texts stay the same.",
            valueName: "count"))
    public var draft = 0

    @Option(
        help: "Chat template: chatml, llama3, llama3.1, deepseek-r1, mistral. (default: recognised from the checkpoint)"
    )
    public var chatTemplate: String?

    @OptionGroup public var nodes: NodeFlags

    public init() {}

    /// - Throws: `PlacementError` where the nodes do not fit the stages.
    public var options: EngineOptions {
        get throws { try options(nodeMemory: nil) }
    }

    /// - Parameter nodeMemory: each node's limit where none is given.
    public func options(nodeMemory: Int?) throws -> EngineOptions {
        var options = EngineOptions()
        options.stages = stages
        options.threadsPerStage = threads
        options.precision = compute
        options.cachePrecision = kvCache
        options.cacheBytes = cacheMemory << 20
        options.concurrency = batch
        options.context = context
        options.draftTokens = draft
        options.nodes = try nodes.nodes(stages: stages, memory: nodeMemory)
        return options
    }

    public func validate() throws {
        for (name, value) in [
            ("--stages", stages), ("--threads", threads ?? 1), ("--cache-memory", cacheMemory), ("--batch", batch),
            ("--context", context ?? 1),
        ] where value < 1 {
            throw ValidationError("\(name): expected at least 1, got \(value)")
        }
        do {
            _ = try nodes.nodes(stages: stages)
        } catch let error as PlacementError {
            throw ValidationError("\(error)")
        }
    }
}
