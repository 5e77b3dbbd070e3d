import Synchronization

/// How far ahead a run's predictions look, beside the forecasts that are facts.
public final class Horizons: Sendable {
    /// Seconds: the nearest horizon, of which all are multiples.
    public static let step = 300.0
    /// Seconds.
    public static let furthest = 604_800.0

    /// The nearest first.
    public let seconds: [Double]
    private let without = Mutex(0)
    /// Predictions so far that had no recording to look ahead from.
    public var predictionsWithout: Int { without.withLock { $0 } }

    /// Nil unless they are horizons, at least one, and each once.
    public init?(_ seconds: [Double]) {
        guard !seconds.isEmpty, seconds.allSatisfy(Horizons.isHorizon), Set(seconds).count == seconds.count else {
            return nil
        }
        self.seconds = seconds.sorted()
    }

    /// Whether it is a multiple of five minutes, up to seven days.
    public static func isHorizon(_ seconds: Double) -> Bool {
        (step...furthest).contains(seconds) && seconds.truncatingRemainder(dividingBy: step) == 0
    }

    /// As a run's configuration names them.
    var text: String { seconds.map { "\(Int($0)) s" }.joined(separator: ", ") }

    func addPredictionWithout() { without.withLock { $0 += 1 } }
}
