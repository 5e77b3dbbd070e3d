import Foundation

public enum KPIVerdict: String, Codable, Sendable {
    case pass, fail
    case notMeasured = "not measured"
}

/// One target held against a run.
public struct KPIResult: Codable, Sendable, Equatable {
    public var target: KPITarget
    public var verdict: KPIVerdict
    /// In the metric's base unit; nil where it was not measured.
    public var measured: Double?
    /// The percentile that was judged, where there is one.
    public var percentile: String?
    /// The 95 % interval of a share.
    public var interval: Interval?
    /// Positive is room to spare. For shares the difference in points (0.05 is 5 points), otherwise relative to the target.
    public var margin: Double?
    /// True where the figure is agreement with another model: that is no accuracy, and the name says so.
    public var isAgreement: Bool?
    /// Why it was not measured, or what the reader must know of the figure.
    public var remark: String?

    public var name: String {
        if isAgreement == true { return "\(target.title) (agreement)" }
        return percentile.map { "\(target.title), \($0)" } ?? target.title
    }
    public var measuredText: String? { measured.map { Format.value($0, target.metric.dimension) } }
    public var targetText: String {
        "\(target.comparison.symbol) \(Format.value(target.value, target.metric.dimension))"
    }
    public var marginText: String? {
        margin.map { target.metric.dimension == .share ? Format.points($0) : Format.signedPercent($0) }
    }
}

/// All targets held against a run. What was not measured never passes.
public struct KPIEvaluation: Sendable, Equatable {
    public var results: [KPIResult]

    /// By the targets that the run carries.
    public init(_ results: BenchmarkResults) { self.init(results, targets: results.targets) }

    public init(_ results: BenchmarkResults, targets: [KPITarget]) {
        let summary = BenchmarkSummary(results)
        self.results = targets.map { Self.evaluate($0, results, summary) }
    }

    public var failed: Int { results.count { $0.verdict == .fail } }
    public var passed: Int { results.count { $0.verdict == .pass } }
    public var notMeasured: Int { results.count { $0.verdict == .notMeasured } }

    /// Fail where any fails, else not measured where any was not, else pass.
    public var verdict: KPIVerdict {
        if failed > 0 { return .fail }
        return notMeasured > 0 || results.isEmpty ? .notMeasured : .pass
    }

    /// "7 passed, 1 failed, 2 not measured".
    public var headline: String { "\(passed) passed, \(failed) failed, \(notMeasured) not measured" }

    private struct Measurement {
        var value: Double?
        var percentile: String?
        var interval: Interval?
        var remark: String?
        var isAgreement = false
    }

    private static func evaluate(
        _ target: KPITarget, _ results: BenchmarkResults, _ summary: BenchmarkSummary
    ) -> KPIResult {
        let found = measure(target, results, summary)
        var remarks = [found.remark].compactMap { $0 }
        guard let value = found.value else {
            return KPIResult(
                target: target, verdict: .notMeasured, remark: remarks.first ?? "the run did not record it")
        }
        if let interval = found.interval, interval.low < target.value, target.value < interval.high {
            remarks.append("the 95 % interval holds the target: more samples would tell")
        }
        if let note = target.note { remarks.append(note) }
        let difference = target.comparison.limitsAbove ? target.value - value : value - target.value
        let margin: Double? =
            target.metric.dimension == .share ? difference : target.value > 0 ? difference / target.value : nil
        return KPIResult(
            target: target, verdict: target.comparison.holds(value, target.value) ? .pass : .fail, measured: value,
            percentile: found.percentile, interval: found.interval, margin: margin,
            isAgreement: found.isAgreement ? true : nil,
            remark: remarks.isEmpty ? nil : remarks.joined(separator: "; "))
    }

    private static func measure(
        _ target: KPITarget, _ results: BenchmarkResults, _ summary: BenchmarkSummary
    ) -> Measurement {
        let good = results.requests.filter { $0.status == .succeeded }
        switch target.metric {
        case .latency: return percentile(target, good.compactMap(\.totalMs))
        case .timeToFirstToken: return percentile(target, good.compactMap(\.ttftMs))
        case .timePerOutputToken: return percentile(target, good.compactMap(\.tpotMs))
        case .throughput: return rate(summary.requestsPerSecond, results)
        case .tokenThroughput: return rate(summary.outputTokensPerSecond, results)
        case .queriesPerDay:
            var found = rate(summary.queriesPerDay, results)
            if found.value != nil { found.remark = "extrapolated from \(Format.duration(results.wallSeconds * 1000))" }
            return found
        case .success:
            guard let share = summary.successRate else { return Measurement(remark: "no requests") }
            return Measurement(
                value: share, interval: summary.successInterval, remark: "\(summary.succeeded) of \(summary.requests)")
        case .quality:
            let name = target.measure ?? ""
            guard let measure = results.quality.first(where: { $0.name == name }) else {
                return Measurement(remark: "the run did not measure \(name)")
            }
            let kind =
                measure.kind == .agreement ? "agreement with the reference model, not accuracy against labels" : nil
            let count = measure.count.map { "\($0) items" }
            return Measurement(
                value: measure.value, interval: measure.interval,
                remark: [count, kind].compactMap { $0 }.joined(separator: ", "), isAgreement: measure.kind == .agreement
            )
        case .availability: return observed(.availability, results)
        case .traceCompleteness: return observed(.traceCompleteness, results)
        case .concurrent:
            if results.observation(.concurrent) != nil { return observed(.concurrent, results) }
            if results.configuration.scenario == .offline {
                return Measurement(remark: "offline hands everything over at once; the server scenario measures it")
            }
            return Measurement(
                value: summary.peakInSystem.map(Double.init),
                remark: summary.peakInSystem == nil ? "no arrival times" : nil)
        case .utilization:
            return Measurement(
                value: summary.utilization, remark: perStage(summary.utilization, results, "utilization"))
        case .memoryPerNode:
            let bytes = summary.memoryPerNodeBytes
            return Measurement(
                value: bytes.map(Double.init), remark: perStage(bytes.map(Double.init), results, "memory"))
        }
    }

    private static func perStage(_ value: Double?, _ results: BenchmarkResults, _ what: String) -> String? {
        guard value == nil else { return nil }
        return results.stages.isEmpty ? "the run recorded no stages" : "not every stage recorded its \(what)"
    }

    private static func rate(_ value: Double?, _ results: BenchmarkResults) -> Measurement {
        if let value { return Measurement(value: value) }
        if results.requests.isEmpty { return Measurement(remark: "no requests") }
        return Measurement(remark: results.wallSeconds > 0 ? "the run did not record it" : "the run took no time")
    }

    private static func observed(_ name: Observation.Name, _ results: BenchmarkResults) -> Measurement {
        guard let observation = results.observation(name) else { return Measurement() }
        return Measurement(value: observation.value, remark: observation.note)
    }

    private static func percentile(_ target: KPITarget, _ samples: [Double]) -> Measurement {
        let names = [target.percentile].compactMap { $0 } + (target.fallback ?? [])
        guard !samples.isEmpty else { return Measurement(remark: "no samples") }
        let sorted = samples.sorted()
        for name in names {
            guard let percentile = Percentile(name), sorted.count >= percentile.requiredSamples() else { continue }
            var remark = "\(sorted.count) samples"
            if name != names.first, let wanted = Percentile(names[0]) {
                remark += "; \(name) is judged, since \(wanted) needs \(wanted.requiredSamples())"
            }
            if let bound = percentile.upperBound(ofSorted: sorted) {
                remark += "; with 99 % confidence at most \(Format.duration(bound))"
            }
            return Measurement(
                value: percentile.value(ofSorted: sorted), percentile: percentile.description, remark: remark)
        }
        let needs = names.compactMap { Percentile($0) }.map { "\($0) needs \($0.requiredSamples())" }
        return Measurement(remark: "\(sorted.count) samples are too few: " + needs.joined(separator: ", "))
    }
}
