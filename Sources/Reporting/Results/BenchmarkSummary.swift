import Foundation

/// What follows from a run's raw samples. Every figure is nil where the samples do not give it.
///
/// Times are those of the requests that succeeded; the others count in the success rate only.
public struct BenchmarkSummary: Codable, Sendable, Equatable {
    public var requests: Int
    public var succeeded: Int
    /// succeeded / requests.
    public var successRate: Double?
    /// Wilson, 95 %.
    public var successInterval: Interval?
    /// Succeeded requests per second of wall time.
    public var requestsPerSecond: Double?
    /// `requestsPerSecond` · 86 400: what a day at this rate would give.
    public var queriesPerDay: Double?
    public var outputTokensPerSecond: Double?
    public var promptTokensPerSecond: Double?
    /// The most requests that had arrived and were not yet answered, at any one moment.
    public var peakInSystem: Int?
    /// The mean over the stages.
    public var utilization: Double?
    /// The largest peak among the stages, or the largest resident size where no peak is known for any.
    public var memoryPerNodeBytes: Int?
    public var total: Distribution?
    public var ttft: Distribution?
    public var tpot: Distribution?
    public var queue: Distribution?
    public var prefill: Distribution?
    public var decode: Distribution?

    public init(_ results: BenchmarkResults) {
        let all = results.requests
        let good = all.filter { $0.status == .succeeded }
        requests = all.count
        succeeded = good.count
        successRate = all.isEmpty ? nil : Double(good.count) / Double(all.count)
        successInterval = Proportion.interval(successes: good.count, trials: all.count)
        let wall = results.wallSeconds
        if wall > 0, !all.isEmpty {
            requestsPerSecond = Double(good.count) / wall
            queriesPerDay = Double(good.count) / wall * 86_400
            outputTokensPerSecond = Self.sum(good, \.outputTokens).map { Double($0) / wall }
            promptTokensPerSecond = Self.sum(good, \.promptTokens).map { Double($0) / wall }
        }
        peakInSystem = Self.peak(all)
        let utilizations = results.stages.compactMap(\.utilization)
        utilization = utilizations.count == results.stages.count ? Statistics.mean(utilizations) : nil
        let peaks = results.stages.compactMap(\.peakBytes)
        let residents = results.stages.compactMap(\.residentBytes)
        if peaks.count == results.stages.count {
            memoryPerNodeBytes = peaks.max()
        } else if peaks.isEmpty, residents.count == results.stages.count {
            memoryPerNodeBytes = residents.max()
        }
        total = Distribution(good.compactMap(\.totalMs))
        ttft = Distribution(good.compactMap(\.ttftMs))
        tpot = Distribution(good.compactMap(\.tpotMs))
        queue = Distribution(good.compactMap(\.queueMs))
        prefill = Distribution(good.compactMap(\.prefillMs))
        decode = Distribution(good.compactMap(\.decodeMs))
    }

    /// Nil where one of them does not say: a part is not the whole.
    private static func sum(_ samples: [RequestSample], _ key: KeyPath<RequestSample, Int?>) -> Int? {
        let values = samples.compactMap { $0[keyPath: key] }
        return values.count == samples.count && !values.isEmpty ? values.reduce(0, +) : nil
    }

    private static func peak(_ samples: [RequestSample]) -> Int? {
        var changes: [(time: Double, step: Int)] = []
        for sample in samples {
            guard let arrival = sample.arrivalMs, let total = sample.totalMs else { continue }
            changes.append((arrival, 1))
            changes.append((arrival + total, -1))
        }
        guard !changes.isEmpty else { return nil }
        // At the same moment one leaves before the next arrives.
        changes.sort { $0.time != $1.time ? $0.time < $1.time : $0.step < $1.step }
        var now = 0
        var most = 0
        for change in changes {
            now += change.step
            most = max(most, now)
        }
        return most
    }
}
