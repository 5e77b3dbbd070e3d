import QDashboard
import Reporting
import Science

/// Forecasts that stand among the requests' facts, against what came.
package enum ForecastScoring {
    /// The present value that the naive forecast keeps.
    private static func present(_ name: String) -> String? {
        if name.hasPrefix("forecastTick") { return "tick" }
        if name.hasPrefix("forecastQuality") { return "epochTickQualityPercent" }
        return name.hasPrefix("forecastPrice") ? "priceUSD" : nil
    }

    package static func forecasts(
        _ requests: [(id: String, facts: Facts)], _ labels: TaskLabels
    ) -> [TaskQuality.Forecast] {
        struct Sample {
            var actual, forecast, naive: Double
            var interval: Science.Forecast.Interval?
        }
        var samples: [String: [Sample]] = [:]
        for (id, facts) in requests {
            for (name, change) in labels.byID[id]?.changes ?? [:] {
                guard let forecast = facts.number(name), let naive = present(name).flatMap(facts.number) else {
                    continue
                }
                var interval: Science.Forecast.Interval?
                if let low = facts.number(name + "Low80"), let high = facts.number(name + "High80") {
                    interval = .init(low: low, high: high)
                }
                samples[name, default: []].append(
                    Sample(actual: naive + change, forecast: forecast, naive: naive, interval: interval))
            }
        }
        return samples.keys.sorted().map { name in
            let all = samples[name]!
            let bounded = all.filter { $0.interval != nil }
            return TaskQuality.Forecast(
                name: name, count: all.count,
                mase: TaskScoring.figure(all.count) { picked in
                    let naive = picked.reduce(0) { $0 + abs(all[$1].actual - all[$1].naive) }
                    let error = picked.reduce(0) { $0 + abs(all[$1].actual - all[$1].forecast) }
                    return naive > 0 ? error / naive : nil
                },
                coverage: TaskScoring.figure(bounded.count) { picked in
                    ForecastScore.coverage(
                        actual: picked.map { bounded[$0].actual }, intervals: picked.map { bounded[$0].interval! })
                })
        }
    }
}
