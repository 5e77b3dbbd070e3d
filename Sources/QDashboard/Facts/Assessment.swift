import Foundation

/// Health of the network and of what is seen of it, 0–100 each, computed from facts: of a timeline, or of one snapshot.
extension FactDefinition {
    static let assessment: [FactDefinition] = [
        .init(
            "healthPace", "0–100", "10 min",
            "100 at a paceRatio up to 1.2, 0 from 4, logarithmic between; 0 where no tick came in 10 min"
        ) { _ in nil },
        .init(
            "healthQuality", "0–100", "20 min",
            "100 up to 5 % of emptyTickRecentPercent (else of 100 − epochTickQualityPercent), 0 from 50 %"
        ) { _ in nil },
        .init(
            "healthFreshness", "0–100", "all",
            "100 up to 30 s of secondsSinceLastTick or sourceBehindSeconds, the larger one; 0 from 600 s, logarithmic"
        ) { _ in nil },
        .init(
            "healthData", "0–100", "1 h",
            "100 − 10 · badRecordsRecent − failedPollsPercent / 2, and − 50 with recentJumpSeconds; 0 for a source that "
                + "failed"
        ) { _ in nil },
        .init("healthScore", "0–100", "1 h", "half the least and half the mean of those that are known, rounded") { _ in
            nil
        },
    ]
}

extension Facts {
    /// A fact as a number, where it is one.
    public func number(_ name: String) -> Double? {
        switch self[name] {
        case .integer(let value): Double(value)
        case .decimal(let value): value
        default: nil
        }
    }

    /// With the health that the facts themselves make; one that is given stays.
    var assessed: Facts {
        guard self["healthScore"] == nil else { return self }
        /// 100 at `good`, 0 at `bad`, by the logarithm between.
        func logarithmic(_ value: Double, _ good: Double, _ bad: Double) -> Double {
            100 * min(1, max(0, 1 - log(max(value, good) / good) / log(bad / good)))
        }
        var facts = self
        if let ratio = number("paceRatio"), ratio > 0 {
            facts["healthPace"] = .decimal(logarithmic(ratio, 1.2, 4))
        } else if number("tickRatePerSecond") == 0 {
            facts["healthPace"] = .decimal(0)
        }
        if let empty = number("emptyTickRecentPercent") ?? number("epochTickQualityPercent").map({ 100 - $0 }) {
            facts["healthQuality"] = .decimal(100 * min(1, max(0, 1 - (empty - 5) / 45)))
        }
        let ages = [number("secondsSinceLastTick"), number("sourceBehindSeconds")].compactMap { $0 }
        if let age = ages.max() { facts["healthFreshness"] = .decimal(logarithmic(age, 30, 600)) }
        if self["failureKind"] != nil {
            facts["healthData"] = .decimal(0)
        } else if let bad = number("badRecordsRecent") {
            let jump = (number("recentJumpSeconds") ?? 0) > 0 ? 50.0 : 0
            facts["healthData"] = .decimal(
                min(100, max(0, 100 - 10 * bad - (number("failedPollsPercent") ?? 0) / 2 - jump)))
        }
        let parts = FactDefinition.healthComponents.compactMap { facts.number($0) }
        if let least = parts.min() {
            let mean = parts.reduce(0, +) / Double(parts.count)
            facts["healthScore"] = .integer(Int((least / 2 + mean / 2).rounded()))
        }
        return facts
    }
}

extension FactDefinition {
    public static let healthComponents = ["healthPace", "healthQuality", "healthFreshness", "healthData"]
}
