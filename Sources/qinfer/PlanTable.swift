import Foundation
import Reporting
import Runtime

extension PipelinePlan {
    /// The plan for programs: names as here in snake_case, bytes and seconds.
    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// The plan for a person.
    func table(speedIsGiven: Bool) -> String {
        let rows = stages.map(row)
        var lines = [
            "\(model): \(Format.grouped(Double(parameters))) parameters, \(scheme)"
                + (hasHeaders ? "" : " (from config.json alone)"),
            "node of speed 1: \(Format.significant(speed.productsPerSecond / 1e9)) GMAC/s int8, reads "
                + "\(Format.bytes(speed.readBytesPerSecond))/s (\(speedIsGiven ? "given" : "this machine, measured now")), "
                + "kernels \(kernelSet)",
            "",
        ]
        lines += Self.aligned([Self.head] + rows)
        lines += [
            "",
            "one sequence       \(Format.significant(tokensPerSecond)) tokens/s",
            "\(sequences) sequences".padding(toLength: 19, withPad: " ", startingAt: 0)
                + "\(Format.significant(batchTokensPerSecond)) tokens/s, \(sequencesPerBatch) in each of \(stages.count) "
                + (stages.count == 1 ? "batch" : "batches"),
            "prompts            \(Format.significant(promptTokensPerSecond)) tokens/s",
            "requests           \(Format.significant(requestsPerSecond)) a second of \(workload.promptTokens) tokens "
                + "read and \(workload.outputTokens) written; \(requestsInCache) fit the cache",
        ]
        guard stages.count > 1 else { return lines.joined(separator: "\n") }
        lines += [
            "bubble             \(Format.percent(bubble)) of the nodes' time, all kept busy",
            "on the wire        \(stages[0].bytesSentPerToken) bytes a token and hop"
                + (link.bytesPerValue == 4 ? " (half as fp16)" : "") + ": "
                + "\(Format.duration(stages[0].hopSeconds * 1e3)) for one sequence, "
                + "\(Format.duration(stages[0].batchHopSeconds * 1e3)) for a batch, at "
                + "\(Format.significant(link.bytesPerSecond * 8 / 1e9)) Gbit/s",
        ]
        return lines.joined(separator: "\n")
    }

    private static let head = [
        "stage", "layers", "parameters", "weights", "KV a request", "memory", "limit", "speed", "a token", "a batch",
        "share", "busy", "sends",
    ]

    private func row(_ stage: Stage) -> [String] {
        let ends = (stage.hasEmbedding ? "E " : "") + "\(stage.firstLayer)–\(stage.lastLayer)"
        return [
            "\(stage.stage + 1)", ends + (stage.hasHead ? " H" : ""), Format.grouped(Double(stage.parameters)),
            Format.bytes(Double(stage.weightBytes)), Format.bytes(Double(stage.cacheBytesPerRequest)),
            Format.bytes(Double(stage.memoryBytes)), stage.memoryLimitBytes.map { Format.bytes(Double($0)) } ?? "–",
            Format.significant(stage.speed), Format.duration(stage.stepSeconds * 1e3),
            Format.duration(stage.batchStepSeconds * 1e3), Format.percent(stage.shareOfTime),
            Format.percent(stage.utilization), "\(stage.bytesSentPerToken) B",
        ]
    }

    private static func aligned(_ rows: [[String]]) -> [String] {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max()! }
        return rows.map { row in
            zip(row, widths).map { String(repeating: " ", count: $1 - $0.count) + $0 }.joined(separator: "  ")
        }
    }
}
