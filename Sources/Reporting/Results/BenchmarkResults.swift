import Foundation

/// Everything that one benchmark run measured: raw samples and where they come from. Summaries and verdicts are derived
/// from it (`BenchmarkSummary`, `KPIEvaluation`), never stored as the truth. Absent is nil, never 0.
///
/// All times are milliseconds of a monotonic clock unless the name says otherwise.
public struct BenchmarkResults: Codable, Sendable, Equatable {
    /// What `schema.name` says in the file.
    public static let schemaName = "qubic-benchmark-results"
    public static let schemaVersion = 1

    public struct Schema: Codable, Sendable, Equatable {
        public var name: String
        public var version: Int
    }

    public var schema: Schema
    public var tool: Tool
    /// When the run began, ISO 8601 in UTC.
    public var startedAt: String
    /// From the first arrival to the last answer, in seconds.
    public var wallSeconds: Double
    public var machine: Machine
    public var model: Model
    public var configuration: RunConfiguration
    /// In order of arrival.
    public var requests: [RequestSample]
    /// In order of the pipeline.
    public var stages: [StageUsage]
    /// Accuracy and agreement.
    public var quality: [QualityMeasure]
    /// Against labels, task by task; nil where the dataset has none.
    public var tasks: TaskQuality?
    /// What else the runner measured; see `Observation.Name`.
    public var observations: [Observation]
    /// The targets that the run was held against.
    public var targets: [KPITarget]
    /// Remarks for the reader, such as a warning that the machine was busy.
    public var notes: [String]

    public init(
        tool: Tool, startedAt: Date, wallSeconds: Double, machine: Machine, model: Model,
        configuration: RunConfiguration, requests: [RequestSample], stages: [StageUsage] = [],
        quality: [QualityMeasure] = [], tasks: TaskQuality? = nil, observations: [Observation] = [],
        targets: [KPITarget] = [],
        notes: [String] = []
    ) {
        schema = Schema(name: Self.schemaName, version: Self.schemaVersion)
        self.tool = tool
        self.startedAt = startedAt.formatted(.iso8601)
        self.wallSeconds = wallSeconds
        self.machine = machine
        self.model = model
        self.configuration = configuration
        self.requests = requests
        self.stages = stages
        self.quality = quality
        self.tasks = tasks
        self.observations = observations
        self.targets = targets
        self.notes = notes
    }

    /// The observation of that name, where the runner made it.
    public func observation(_ name: Observation.Name) -> Observation? {
        observations.first { $0.name == name.rawValue }
    }
}

public struct Tool: Codable, Sendable, Equatable {
    public var name: String
    public var version: String
    /// The commit that it was built from.
    public var commit: String?

    public init(name: String = "qbench", version: String = ReportingRelease.toolVersion, commit: String? = nil) {
        self.name = name
        self.version = version
        self.commit = commit
    }
}

public struct Model: Codable, Sendable, Equatable {
    public var name: String
    /// SHA-256 over its configuration and weights, in hexadecimal.
    public var digest: String?
    /// How its weights are stored: "fp32", "int8 group 128 symmetric", …
    public var scheme: String
    public var parameters: Int?
    public var bytes: Int?

    public init(name: String, digest: String?, scheme: String, parameters: Int? = nil, bytes: Int? = nil) {
        self.name = name
        self.digest = digest
        self.scheme = scheme
        self.parameters = parameters
        self.bytes = bytes
    }
}

/// MLPerf's scenarios.
public enum Scenario: String, Codable, Sendable, CaseIterable {
    /// One request at a time; p90 latency counts.
    case singleStream = "single-stream"
    /// Eight a query; p99 latency counts.
    case multiStream = "multi-stream"
    /// Poisson arrivals; the highest rate within the latency bound counts.
    case server
    /// All at once; throughput counts.
    case offline
}

public struct RunConfiguration: Codable, Sendable, Equatable {
    public var stages: Int
    public var threadsPerStage: Int
    public var batch: Int
    public var scenario: Scenario
    public var transport: String?
    public var seed: UInt64?
    public var maxTokens: Int?
    /// The server scenario's arrival rate.
    public var requestsPerSecond: Double?
    /// Requests in the system at once, at most; nil without such a limit.
    public var maxConcurrency: Int?
    public var warmupRequests: Int?
    public var dataset: Dataset

    public struct Dataset: Codable, Sendable, Equatable {
        public var path: String
        /// SHA-256 of the inputs, in hexadecimal.
        public var digest: String?
        public var items: Int?

        public init(path: String, digest: String?, items: Int? = nil) {
            self.path = path
            self.digest = digest
            self.items = items
        }
    }

    public init(
        stages: Int, threadsPerStage: Int, batch: Int, scenario: Scenario, dataset: Dataset,
        transport: String? = nil, seed: UInt64? = nil, maxTokens: Int? = nil, requestsPerSecond: Double? = nil,
        maxConcurrency: Int? = nil, warmupRequests: Int? = nil
    ) {
        self.stages = stages
        self.threadsPerStage = threadsPerStage
        self.batch = batch
        self.scenario = scenario
        self.dataset = dataset
        self.transport = transport
        self.seed = seed
        self.maxTokens = maxTokens
        self.requestsPerSecond = requestsPerSecond
        self.maxConcurrency = maxConcurrency
        self.warmupRequests = warmupRequests
    }
}

/// One request, from arrival to last token.
public struct RequestSample: Codable, Sendable, Equatable {
    public enum Status: String, Codable, Sendable {
        case succeeded, failed, rejected
        case timedOut = "timed-out"
    }

    public var id: String
    public var status: Status
    /// When it arrived, from the start of the run.
    public var arrivalMs: Double?
    /// From arrival to the start of its prefill.
    public var queueMs: Double?
    public var prefillMs: Double?
    /// From first to last token.
    public var decodeMs: Double?
    /// E2E: from arrival to last token.
    public var totalMs: Double?
    /// Arrival to first token.
    public var ttftMs: Double?
    /// (last token − first token)/(tokens − 1); nil for fewer than two tokens.
    public var tpotMs: Double?
    public var promptTokens: Int?
    public var outputTokens: Int?
    /// Why it did not succeed.
    public var error: String?

    /// `tpotMs` is derived from the others where it is not given.
    public init(
        id: String, status: Status, arrivalMs: Double? = nil, queueMs: Double? = nil, prefillMs: Double? = nil,
        decodeMs: Double? = nil, totalMs: Double? = nil, ttftMs: Double? = nil, tpotMs: Double? = nil,
        promptTokens: Int? = nil, outputTokens: Int? = nil, error: String? = nil
    ) {
        self.id = id
        self.status = status
        self.arrivalMs = arrivalMs
        self.queueMs = queueMs
        self.prefillMs = prefillMs
        self.decodeMs = decodeMs
        self.totalMs = totalMs
        self.ttftMs = ttftMs
        self.promptTokens = promptTokens
        self.outputTokens = outputTokens
        self.error = error
        self.tpotMs = tpotMs
        if tpotMs == nil, let totalMs, let ttftMs, let outputTokens, outputTokens > 1 {
            self.tpotMs = (totalMs - ttftMs) / Double(outputTokens - 1)
        }
    }
}

/// What one stage of the pipeline used.
public struct StageUsage: Codable, Sendable, Equatable {
    /// From 0.
    public var index: Int
    /// Its layers, e.g. "embedding, 0–9".
    public var layers: String?
    public var threads: Int?
    /// The share of the run in which it computed, 0…1.
    public var utilization: Double?
    public var cpuSeconds: Double?
    /// Memory that it holds when idle: weights and buffers.
    public var residentBytes: Int?
    public var peakBytes: Int?
    /// Hidden states handed to the next stage.
    public var handedOverBytes: Int?
    public var batches: Int?
    /// Without work, between the first batch's arrival and the last one's end.
    public var bubbleSeconds: Double?
    /// Mean time from the hand of the one before to the beginning of work on a batch.
    public var hopMs: Double?
    /// The most batches that waited before it.
    public var longestQueue: Int?

    public init(
        index: Int, layers: String? = nil, threads: Int? = nil, utilization: Double? = nil, cpuSeconds: Double? = nil,
        residentBytes: Int? = nil, peakBytes: Int? = nil, handedOverBytes: Int? = nil, batches: Int? = nil,
        bubbleSeconds: Double? = nil, hopMs: Double? = nil, longestQueue: Int? = nil
    ) {
        self.index = index
        self.layers = layers
        self.threads = threads
        self.utilization = utilization
        self.cpuSeconds = cpuSeconds
        self.residentBytes = residentBytes
        self.peakBytes = peakBytes
        self.handedOverBytes = handedOverBytes
        self.batches = batches
        self.bubbleSeconds = bubbleSeconds
        self.hopMs = hopMs
        self.longestQueue = longestQueue
    }
}

/// A share of items judged right: against labels (accuracy) or against another model (agreement).
public struct QualityMeasure: Codable, Sendable, Equatable {
    public enum Kind: String, Codable, Sendable {
        /// Against labels.
        case accuracy
        /// Against another model's answers: no claim that those are right.
        case agreement
    }

    /// As kpi.yaml names it, e.g. `sentiment-agreement`.
    public var name: String
    /// As a person reads it.
    public var title: String
    public var kind: Kind
    /// 0…1.
    public var value: Double
    /// The items that it was measured on.
    public var count: Int?
    public var interval: Interval?
    /// What it is and what it is not.
    public var note: String?

    public init(
        name: String, title: String, kind: Kind, value: Double, count: Int? = nil, interval: Interval? = nil,
        note: String? = nil
    ) {
        self.name = name
        self.title = title
        self.kind = kind
        self.value = value
        self.count = count
        self.interval = interval
        self.note = note
    }

    /// From counts, with Wilson's 95 % interval. Nil for no items.
    public init?(name: String, title: String, kind: Kind, matches: Int, of count: Int, note: String? = nil) {
        guard count > 0, (0...count).contains(matches) else { return nil }
        self.init(
            name: name, title: title, kind: kind, value: Double(matches) / Double(count), count: count,
            interval: Proportion.interval(successes: matches, trials: count), note: note)
    }
}

/// A single figure that the runner measured.
public struct Observation: Codable, Sendable, Equatable {
    public enum Name: String, Sendable, CaseIterable {
        /// 0…1: the share of the run in which the service answered.
        case availability
        /// 0…1: spans recorded / spans expected.
        case traceCompleteness = "trace-completeness"
        /// Requests that were worked on at the same time, at most.
        case concurrent
        /// 0…1: the machine's relative noise: MAD/median of a fixed piece of work repeated during the run.
        case machineNoise = "machine-noise"
    }

    public var name: String
    public var value: Double
    public var note: String?

    public init(_ name: Name, _ value: Double, note: String? = nil) {
        self.name = name.rawValue
        self.value = value
        self.note = note
    }
}
