import Foundation
import Runtime

/// A dated incident of the network (Datasets/incidents.jsonl). Epoch, tick and pace are real; the minutes around a stuck
/// tick were never recorded.
public struct RealIncident: Decodable, Sendable {
    public var kind: IncidentKind
    public var epoch: Int
    public var tick: Int?
    /// How long it took; nil where that is not known.
    public var seconds: Double?
    public var note: String?

    /// Taken for the length where it is not known.
    public static let assumedSeconds = 600.0

    /// Throws `ScienceError.anchors` where a line is none.
    public static func read(_ file: URL) throws -> [RealIncident] {
        guard let data = try? Data(contentsOf: file), let text = String(validating: data, as: UTF8.self) else {
            throw ScienceError.anchors(file: file.path, line: 0, problem: "cannot be read as UTF-8")
        }
        return try text.split(separator: "\n").enumerated().map { index, line in
            guard let incident = try? JSONDecoder().decode(RealIncident.self, from: Data(line.utf8)) else {
                throw ScienceError.anchors(file: file.path, line: index + 1, problem: "is no incident")
            }
            return incident
        }
    }

    /// Of a stall or a stale source: polls laid evenly at the epoch's real pace, three hours before it to an hour after.
    /// Nil of the other kinds, of which only whole weeks are known.
    public func polls(_ anchors: [EpochAnchor]) -> (onset: Double, length: Double, observations: [Observation])? {
        guard kind == .stall || kind == .staleSource, anchors.count > 1 else { return nil }
        let anchor = anchors.first { $0.epoch == epoch } ?? anchors[anchors.count - 2]
        let pace = anchor.secondsPerTick ?? 0.5
        let stuck = tick ?? 83_500_000
        let initial = tick == nil ? stuck - 600_000 : anchor.initialTick
        let begin = EpochCalendar.start(of: epoch)
        // Evenly through the week; the stall begins when the tick's turn has come.
        let onset = begin + Double(stuck - initial) * pace
        let length = seconds ?? Self.assumedSeconds
        let isStale = kind == .staleSource
        let observations = stride(from: max(begin, onset - 3 * 3600), to: onset + length + 3600, by: 60).flatMap {
            time -> [Observation] in
            func tick(_ stands: Bool) -> Int {
                let ran = stands ? min(time, onset) + max(0, time - onset - length) : time
                let caughtUp = isStale && stands && time > onset + length ? length : 0
                return initial + Int((ran + caughtUp - begin) / pace)
            }
            var live = Observation(source: .live, time: time)
            (live.tick, live.epoch, live.initialTick) = (tick(true), epoch, initial)
            live.sinceLastTick = onset < time && time < onset + length ? min(65_535, Int(time - onset)) : 0
            var archive = Observation(source: .statistics, time: time + 0.4)
            (archive.tick, archive.epoch, archive.reportedAt) = (tick(!isStale), epoch, time.rounded(.down))
            return [live, archive]
        }
        return (onset, length, observations)
    }
}
