import Foundation
import Reporting
import Runtime

/// What `qbench engine` measured.
public struct EngineFigures: Codable, Sendable {
    /// One measurement: medians of its repetitions.
    public struct Row: Codable, Sendable {
        public var name: String
        public var tokens: Int
        /// Of each repetition.
        public var seconds: [Double]
        public var tokensPerSecond: Double
        /// MAD/median of the repetitions.
        public var spread: Double
        /// Multiply-adds a second, attention and head counted.
        public var productsPerSecond: Double
        /// Of the machine's 8-bit products on registers.
        public var shareOfPeak: Double
        /// Weights read a second: once for each step, and for each chunk of a prompt.
        public var bytesPerSecond: Double
        /// Of the machine's read bandwidth; above 1 where the caches hold the weights.
        public var shareOfBandwidth: Double
    }

    public struct Set: Codable, Sendable {
        public var name: String
        public var supported: Bool
    }

    public var model: String
    public var machine: Machine
    public var stages: Int
    public var threadsPerStage: Int
    public var loadSeconds: Double
    public var weightBytes: Int
    public var peakMemoryBytes: Int?
    /// The dispatch table, the preferred first.
    public var kernelSets: [Set]
    public var speed: MachineSpeed
    public var rows: [Row]

    public func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// A table for a person.
    public func text() -> String {
        func number(_ value: Double, _ digits: Int, _ width: Int) -> String {
            let text = String(format: "%.\(digits)f", value)
            return String(repeating: " ", count: max(0, width - text.count)) + text
        }
        var lines = [
            "\(model), \(stages) × \(threadsPerStage) threads, \(machine.kernelSet ?? "?") of "
                + kernelSets.map { $0.supported ? $0.name : "(\($0.name))" }.joined(separator: " "),
            "machine: \(number(speed.productsPerSecond / 1e9, 0, 0)) GMAC/s int8, reads "
                + "\(number(speed.readBytesPerSecond / 1e9, 1, 0)) GB/s · loaded in \(number(loadSeconds, 2, 0)) s · "
                + "weights \(number(Double(weightBytes) / 1e6, 0, 0)) MB"
                + (peakMemoryBytes.map { ", peak memory \(number(Double($0) / 1e6, 0, 0)) MB" } ?? ""),
            "", "                 tokens/s      ±   GMAC/s  of peak     GB/s  of read",
        ]
        for row in rows {
            var line = row.name.padding(toLength: 14, withPad: " ", startingAt: 0)
            line += number(row.tokensPerSecond, 1, 11) + number(row.spread * 100, 0, 5) + " %"
            line += number(row.productsPerSecond / 1e9, 1, 9) + number(row.shareOfPeak * 100, 0, 7) + " %"
            line += number(row.bytesPerSecond / 1e9, 1, 9) + number(row.shareOfBandwidth * 100, 0, 7) + " %"
            lines.append(line)
        }
        return lines.joined(separator: "\n")
    }
}
