import ArgumentParser
import Runtime

/// A number with a unit, as a person writes it: 6GB, 512MiB, 35e9, 120G.
public struct Quantity: ExpressibleByArgument, Sendable {
    public let value: Double
    private let text: String

    private static let units: [(suffix: String, size: Double)] = [
        ("KiB", 0x1p10), ("MiB", 0x1p20), ("GiB", 0x1p30), ("TiB", 0x1p40),
        ("k", 1e3), ("K", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12), ("", 1),
    ]

    /// Nil where it is no number above 0, or of another unit.
    public init?(argument: String) {
        var text = Substring(argument.filter { $0 != " " })
        if text.hasSuffix("/s") { text = text.dropLast(2) }
        let isBinary = text.hasSuffix("iB")
        if text.hasSuffix("B"), !isBinary { text = text.dropLast() }
        guard let unit = Self.units.first(where: { text.hasSuffix($0.suffix) }),
            let number = Double(text.dropLast(unit.suffix.count)), number > 0, number * unit.size < 0x1p62
        else { return nil }
        value = number * unit.size
        self.text = argument
    }

    public var defaultValueDescription: String { text }
}

/// The machines that stages are placed on.
public struct NodeFlags: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "How fast each stage's node is compared with the others, one value a stage. (default: all alike)",
            valueName: "1,1,0.5"))
    public var nodeSpeed: String?

    @Option(
        help: ArgumentHelp(
            "Memory that each stage may take, one value a stage or one for all; a model that does not fit is refused.",
            valueName: "6GB,6GB,4GB"))
    public var nodeMemory: String?

    public init() {}

    public func validate() throws {
        _ = try speeds()
        _ = try memory()
    }

    private func speeds() throws -> [Double] {
        try Self.list(nodeSpeed, "--node-speed", "numbers above 0 such as 1,1,0.5") {
            Double($0).flatMap { $0 > 0 && $0.isFinite ? $0 : nil }
        }
    }

    private func memory() throws -> [Int] {
        try Self.list(nodeMemory, "--node-memory", "sizes such as 6GB,6GB,4GB or 6GiB") {
            Quantity(argument: $0).map { Int($0.value) }
        }
    }

    private static func list<Value>(
        _ text: String?, _ flag: String, _ expected: String, _ parse: (String) -> Value?
    ) throws -> [Value] {
        guard let text else { return [] }
        return try text.split(separator: ",", omittingEmptySubsequences: false).map {
            guard let value = parse(String($0)) else {
                throw ValidationError("\(flag): expected \(expected), got \(text)")
            }
            return value
        }
    }

    /// A node a stage; empty where neither flag is given.
    /// - Parameter memory: the limit where --node-memory is not given.
    /// - Throws: `PlacementError.nodes` where the numbers do not fit the stages.
    public func nodes(stages: Int, memory fallback: Int? = nil) throws -> [PipelineNode] {
        let (speeds, limits) = (try speeds(), try memory())
        if speeds.isEmpty && limits.isEmpty && fallback == nil { return [] }
        for (flag, count) in [("--node-speed", speeds.count), ("--node-memory", limits.count)]
        where count > 1 && count != stages { throw PlacementError.nodes(flag: flag, expected: stages, got: count) }
        return (0..<stages).map { stage in
            PipelineNode(
                speed: speeds.isEmpty ? 1 : speeds[speeds.count == 1 ? 0 : stage],
                memoryBytes: limits.isEmpty ? fallback : limits[limits.count == 1 ? 0 : stage])
        }
    }
}
