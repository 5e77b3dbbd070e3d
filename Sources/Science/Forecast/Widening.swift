import Foundation

/// What the half widths of a forecast's intervals are multiplied by, so that they hold as many values as they say.
public struct Widening: Sendable, Equatable {
    public var level80: Double
    public var level95: Double

    public init(_ level80: Double, _ level95: Double) { (self.level80, self.level95) = (level80, level95) }

    /// Leaves the intervals as they are.
    public static let one = Widening(1, 1)

    /// The horizons that were fitted: 1, 6 and 24 hours, in steps of five minutes.
    public static let fittedSteps = [12, 72, 288]

    /// At those horizons: quantiles of the error over the half width, on the epochs of the synthetic set's calibration
    /// split, drawn with the seeds 1 to 4 (split conformal prediction). `HorizonForecastTests` of
    /// Tests/ScienceTests/ForecastTests.swift prints them, and holds these to them.
    private static let fitted: [HorizonQuantity: [Widening]] = [
        .tick: [Widening(1.321, 2.879), Widening(2.125, 7.438), Widening(3.111, 5.835)],
        .ticksInEpoch: [Widening(1.319, 2.077), Widening(1.675, 3.230), Widening(1.490, 2.195)],
        .quality: [Widening(0.817, 1.164), Widening(0.947, 0.890), Widening(1.147, 0.497)],
        .price: [Widening(1.068, 1.189), Widening(1.674, 7.283), Widening(6.037, 6.367)],
    ]

    /// By the horizon's logarithm between those that were fitted; below the first and above the last it stays, since
    /// nothing shorter or longer was held against what came.
    /// - Parameter steps: of five minutes, at least 1.
    public static func of(_ quantity: HorizonQuantity, steps: Int) -> Widening {
        precondition(steps > 0)
        let known = fitted[quantity]!
        guard let next = fittedSteps.firstIndex(where: { steps < $0 }) else { return known[known.count - 1] }
        guard next > 0 else { return known[0] }
        let (near, far) = (Double(fittedSteps[next - 1]), Double(fittedSteps[next]))
        let share = log(Double(steps) / near) / log(far / near)
        func between(_ level: KeyPath<Widening, Double>) -> Double {
            known[next - 1][keyPath: level] + share * (known[next][keyPath: level] - known[next - 1][keyPath: level])
        }
        return Widening(between(\.level80), between(\.level95))
    }
}
