/// An evenly spaced series of one quantity of one epoch, from polls: the last sound value at or before each instant.
public enum Series {
    /// - Parameter step: seconds.
    public static func resample(
        _ observations: [Observation], epoch: Int, step: Double = 300, _ value: (Observation) -> Double?
    ) -> [Double] {
        var series: [Double] = []
        var next: Double?
        var last: Double?
        var previous: [Observation.Source: Observation] = [:]
        for seen in observations where seen.epoch == epoch && seen.violations(after: previous[seen.source]).isEmpty {
            previous[seen.source] = seen
            guard let number = value(seen) else { continue }
            if next == nil { next = seen.time }
            while let instant = next, seen.time > instant {
                if let last { series.append(last) }
                next = instant + step
            }
            last = number
        }
        return series
    }
}
