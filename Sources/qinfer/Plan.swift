import ArgumentParser
import Foundation
import Runtime
import ToolSupport

struct Plan: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show how a model divides over nodes, and what to expect.",
        discussion: """
            Reads config.json and the tensors' headers; config.json alone will do.
            Speeds follow from this machine's, measured now for a second or two, or
            from --macs and --bandwidth. Status 1: it does not fit --node-memory.

            EXAMPLES
              qinfer plan models/SmolLM2-int8
              qinfer plan models/DeepSeek-R1-Distill-Qwen-1.5B --bits 4 \\
                --node-speed 1,1,0.5 --node-memory 6GB,6GB,4GB
            """)

    @Argument(help: "Directory of a Hugging Face checkpoint, or its config.json.")
    var model: String

    @Option(help: "Plan the model as qquant quantize makes it: 8 or 4.")
    var bits: Int?

    @Option(help: ArgumentHelp("With --bits: columns that share a scale. (default: 64)", valueName: "columns"))
    var groupSize: Int?

    @Option(help: ArgumentHelp("8-bit multiply-accumulates a second of a node at its peak.", valueName: "300G"))
    var macs: Quantity?

    @Option(help: ArgumentHelp("Bytes a second that a node reads from memory.", valueName: "35GB"))
    var bandwidth: Quantity?

    @Option(help: ArgumentHelp("Bits a second between two nodes.", valueName: "1G"))
    var linkRate = Quantity(argument: "1G")!

    @Option(help: ArgumentHelp("One way between two nodes.", valueName: "µs"))
    var linkLatency = 100.0

    @Option(help: "Hidden states travel as fp32 or fp16.")
    var wire = WireFormat.fp32

    @Option(help: ArgumentHelp("Tokens that a request reads, shared ones left out.", valueName: "count"))
    var promptTokens = Workload().promptTokens

    @Option(help: ArgumentHelp("Tokens that a request writes.", valueName: "count"))
    var outputTokens = Workload().outputTokens

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var engine: EngineFlags

    /// What the compute layer's plan allows a node.
    static let nodeMemory = 6_000_000_000

    func validate() throws {
        if let bits, bits != 8 && bits != 4 { throw ValidationError("--bits: expected 8 or 4, got \(bits)") }
        guard groupSize == nil || bits != nil else { throw ValidationError("--group-size needs --bits") }
        if let groupSize, ![32, 64, 128].contains(groupSize) {
            throw ValidationError("--group-size: expected 32, 64 or 128, got \(groupSize)")
        }
        guard (macs == nil) == (bandwidth == nil) else { throw ValidationError("give --macs and --bandwidth together") }
        for (name, value) in [("--prompt-tokens", promptTokens), ("--output-tokens", outputTokens)] {
            guard (1...1_000_000).contains(value) else {
                throw ValidationError("\(name): expected 1 to 1000000, got \(value)")
            }
        }
        guard linkLatency >= 0, linkLatency.isFinite else {
            throw ValidationError("--link-latency: expected 0 or more, got \(linkLatency)")
        }
    }

    func run() throws {
        let plan = try reportingErrors(make)
        print(json ? try reportingErrors(plan.json) : plan.table(speedIsGiven: macs != nil))
    }

    private func make() throws -> PipelinePlan {
        var outline = try ModelOutline(URL(fileURLWithPath: model))
        if let bits {
            outline = try outline.quantized(by: QuantizationScheme(bits: bits, groupSize: groupSize ?? 64))
        }
        var options = try engine.options(nodeMemory: Self.nodeMemory)
        options.stagesAreNodes = true
        options.workload = Workload(promptTokens: promptTokens, outputTokens: outputTokens)
        let kernels = try KernelSet.select()
        // Before the measurement: what does not fit is said at once.
        _ = try Partition(outline, options: options)
        let speed: MachineSpeed
        if let macs, let bandwidth {
            speed = MachineSpeed(productsPerSecond: macs.value, readBytesPerSecond: bandwidth.value)
        } else {
            speed = MachineSpeed.measure(kernels: kernels, threads: ProcessInfo.processInfo.activeProcessorCount)
        }
        return try PipelinePlan(
            outline, options: options, speed: speed,
            link: .init(
                bytesPerSecond: linkRate.value / 8, latencySeconds: linkLatency / 1e6, bytesPerValue: wire.bytes),
            kernels: kernels)
    }
}
