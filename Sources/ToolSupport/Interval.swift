import ArgumentParser

/// A length of time as a person writes it: `30s`, `10m`, `1h`, `2d`.
public struct Interval: Sendable, Equatable, ExpressibleByArgument {
    public let seconds: Double

    public init?(argument: String) {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let last = argument.last, let unit = units[last], let count = Double(argument.dropLast()),
            count > 0, count.isFinite
        else { return nil }
        seconds = count * unit
    }
}
