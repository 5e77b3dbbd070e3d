import Foundation
import Runtime

/// The real numbers of one epoch that a synthetic one is hung on (Datasets/recorded/epochs_104_231.jsonl).
public struct EpochAnchor: Sendable, Equatable {
    public var epoch: Int
    public var initialTick: Int
    public var lastTick: Int
    public var ticks: Int
    /// Runs of tick numbers without a jump.
    public var intervals: Int
    /// The first tick follows the previous epoch's last one without a jump.
    public var seamless: Bool
    /// Mean seconds per tick, downtime included; nil for an epoch that had not ended.
    public var secondsPerTick: Double?
    /// USD.
    public var priceOpen: Double?
    /// USD.
    public var priceClose: Double?

    /// Reads `epoch_summary` records. Throws `ScienceError.anchors` where a line is none.
    public static func read(_ file: URL) throws -> [EpochAnchor] {
        guard let data = try? Data(contentsOf: file), let text = String(validating: data, as: UTF8.self) else {
            throw ScienceError.anchors(file: file.path, line: 0, problem: "cannot be read as UTF-8")
        }
        var anchors: [EpochAnchor] = []
        for (index, line) in text.split(separator: "\n").enumerated() {
            guard let value = try? JSONDecoder().decode(Line.self, from: Data(line.utf8)) else {
                throw ScienceError.anchors(file: file.path, line: index + 1, problem: "is no epoch_summary record")
            }
            let data = value.data
            guard data.ticksInEpoch > 0, data.tick > data.initialTick,
                anchors.last.map({ $0.epoch + 1 == data.epoch }) ?? true
            else {
                throw ScienceError.anchors(file: file.path, line: index + 1, problem: "epochs must follow each other")
            }
            anchors.append(
                EpochAnchor(
                    epoch: data.epoch, initialTick: data.initialTick, lastTick: data.tick, ticks: data.ticksInEpoch,
                    intervals: data.intervals ?? 1, seamless: data.transition == "seamless",
                    secondsPerTick: data.meanSecondsPerTick, priceOpen: data.priceOpen, priceClose: data.priceClose))
        }
        guard anchors.count > 1 else {
            throw ScienceError.anchors(file: file.path, line: 0, problem: "holds fewer than two epochs")
        }
        return anchors
    }

    private struct Line: Decodable {
        struct Body: Decodable {
            var epoch, initialTick, tick, ticksInEpoch: Int
            var intervals: Int?
            var transition: String?
            var meanSecondsPerTick, priceOpen, priceClose: Double?
        }
        var data: Body
    }
}

/// What stops the generator and the measures.
public enum ScienceError: WordedError, Equatable {
    /// `line` from 1; 0 for the file as a whole.
    case anchors(file: String, line: Int, problem: String)

    public var wording: Wording {
        switch self {
        case .anchors(let file, let line, let problem):
            Wording(
                line == 0 ? file : "\(file), line \(line)", problem,
                expected: "epoch_summary records as in Datasets/recorded/epochs_104_231.jsonl")
        }
    }
}
