import Foundation

/// What a target is about. Its formula is printed in every report.
public enum KPIMetric: String, Codable, Sendable, CaseIterable {
    case latency
    case timeToFirstToken = "ttft"
    case timePerOutputToken = "tpot"
    case throughput
    case tokenThroughput = "token-throughput"
    /// A `QualityMeasure`; the target names which.
    case quality
    case success
    case availability
    case concurrent
    case utilization
    case traceCompleteness = "trace-completeness"
    case memoryPerNode = "memory-per-node"
    case queriesPerDay = "queries-per-day"

    public var dimension: Dimension {
        switch self {
        case .latency, .timeToFirstToken, .timePerOutputToken: .time
        case .throughput: .requestRate
        case .tokenThroughput: .tokenRate
        case .queriesPerDay: .dailyRate
        case .quality, .success, .availability, .utilization, .traceCompleteness: .share
        case .concurrent: .count
        case .memoryPerNode: .memory
        }
    }

    /// Whether it has samples, so that a percentile must be named.
    public var hasPercentiles: Bool { dimension == .time }

    public var formula: String {
        switch self {
        case .latency: "E2E: arrival to last token, succeeded requests, queueing included"
        case .timeToFirstToken: "TTFT: arrival to first token"
        case .timePerOutputToken: "TPOT: (last token − first token) / (tokens − 1)"
        case .throughput: "succeeded requests / wall seconds, first arrival to last answer"
        case .tokenThroughput: "output tokens of succeeded requests / wall seconds"
        case .quality: "matching items / all items"
        case .success: "succeeded requests / all requests"
        case .availability: "share of the run in which the service answered"
        case .concurrent: "most requests that had arrived and were not yet answered, at one moment"
        case .utilization: "share of the run in which a stage computed, mean over the stages"
        case .traceCompleteness: "spans recorded / spans expected"
        case .memoryPerNode: "peak memory of the largest stage"
        case .queriesPerDay: "succeeded requests / wall seconds · 86 400, extrapolated"
        }
    }
}

/// What a number counts, and the units that kpi.yaml may give it in.
public enum Dimension: String, Codable, Sendable {
    /// Milliseconds.
    case time
    /// Requests per second.
    case requestRate
    /// Tokens per second.
    case tokenRate
    /// Queries per day.
    case dailyRate
    /// 0…1.
    case share
    case count
    /// Bytes.
    case memory

    /// Unit → its size in base units, as a fraction: 95 % must be 95/100, since 95·0.01 is not 0.95.
    public var units: [String: (times: Double, over: Double)] {
        switch self {
        case .time: ["ms": (1, 1), "s": (1000, 1), "min": (60_000, 1)]
        case .requestRate: ["requests/s": (1, 1), "requests/min": (1, 60)]
        case .tokenRate: ["tokens/s": (1, 1)]
        case .dailyRate: ["queries/day": (1, 1)]
        case .share: ["%": (1, 100)]
        case .count: ["requests": (1, 1)]
        case .memory: ["MB": (1e6, 1), "GB": (1e9, 1), "MiB": (1_048_576, 1), "GiB": (1_073_741_824, 1)]
        }
    }
}

/// One line of kpi.yaml.
public struct KPITarget: Codable, Sendable, Equatable {
    public enum Comparison: String, Codable, Sendable, CaseIterable {
        case below, above
        case atMost = "at-most"
        case atLeast = "at-least"

        public var symbol: String {
            switch self {
            case .below: "<"
            case .above: ">"
            case .atMost: "≤"
            case .atLeast: "≥"
            }
        }

        /// Whether less is better.
        public var limitsAbove: Bool { self == .below || self == .atMost }

        public func holds(_ measured: Double, _ target: Double) -> Bool {
            switch self {
            case .below: measured < target
            case .above: measured > target
            case .atMost: measured <= target
            case .atLeast: measured >= target
            }
        }
    }

    public var id: String
    public var title: String
    public var metric: KPIMetric
    /// For metrics with samples: `p99`.
    public var percentile: String?
    /// Percentiles to judge by where the samples are too few for `percentile`, best first. The report says which one it was.
    public var fallback: [String]?
    /// For `quality`: the measure's name.
    public var measure: String?
    public var comparison: Comparison
    /// In the metric's base unit: ms, requests/s, share of 1, bytes.
    public var value: Double
    /// A remark for the reader.
    public var note: String?

    public init(
        id: String, title: String, metric: KPIMetric, comparison: Comparison, value: Double,
        percentile: String? = nil, fallback: [String]? = nil, measure: String? = nil, note: String? = nil
    ) {
        self.id = id
        self.title = title
        self.metric = metric
        self.comparison = comparison
        self.value = value
        self.percentile = percentile
        self.fallback = fallback
        self.measure = measure
        self.note = note
    }
}
