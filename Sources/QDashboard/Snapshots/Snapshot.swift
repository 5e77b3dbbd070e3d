import Foundation

/// What one record says about the network at one moment. What a record does not say is nil, never 0.
///
/// Numbers stand in one unit each, whatever spelling they came in; nothing is derived or repaired here.
public struct Snapshot: Sendable, Equatable {
    /// Which body it was read from.
    public enum Kind: String, Sendable, CaseIterable {
        /// An analysis request, `{"data_type":"network_stats","data":{…}}`.
        case networkStats = "network_stats"
        /// An analysis request about a whole epoch, `{"data_type":"epoch_summary","data":{…}}`.
        case epochSummary = "epoch_summary"
        /// `GET /v1/latest-stats`
        case latestStats = "latest-stats"
        /// `GET /v1/tick-info`
        case tickInfo = "tick-info"
        /// `GET /v1/status`
        case status
        /// `GET /v1/latestTick`
        case latestTick
        /// QDashboard's `GET /api/tick`
        case dashboardTick = "api/tick"
        /// QDashboard's `GET /api/stats`
        case dashboardStats = "api/stats"
        /// An error body that names no endpoint.
        case failure
    }

    public var kind: Kind
    /// When the recorder saw it.
    public var observedAt: Date?
    /// When the server says it made it (`timestamp`).
    public var reportedAt: Date?
    /// The address that answered, as recorded.
    public var endpoint: String?

    /// The newest tick, a running number.
    public var tick: Int?
    /// The newest epoch, a running number; one lasts a week.
    public var epoch: Int?
    /// The first tick of the epoch.
    public var initialTick: Int?
    /// Whole seconds since the last tick (`duration`): it grows during a stall, and is no mean.
    public var secondsSinceLastTick: Int?

    public var activeAddresses: Int?
    public var priceUSD: Double?
    public var marketCapUSD: Double?
    /// In qus, the unit of the currency.
    public var circulatingSupplyQus: Int?
    public var burnedQus: Int?

    public var ticksInEpoch: Int?
    public var emptyTicksInEpoch: Int?
    /// Share of the epoch's ticks so far that are not empty, 0–100.
    public var epochTickQualityPercent: Double?
    /// The quality was served as a fraction, which the tick counts prove; it stands here as percent.
    public var qualityWasFraction = false
    public var ticksInLast10000: Int?
    public var emptyTicksInLast10000: Int?
    /// The same share over the last 10 000 ticks, 0–100.
    public var last10000TickQualityPercent: Double?

    /// The dashboard's own verdicts.
    public var health: Health?
    /// Of a whole epoch that is known as a series only.
    public var summary: EpochSummary?
    /// The source answered with an error, or with nothing known: the body's numbers are then not taken.
    public var failure: SourceFailure?

    public init(kind: Kind) { self.kind = kind }

    /// The dashboard's verdicts in its own words (健康 一般 緩慢 異常 離線 停滯 錯誤 無法連接).
    public struct Health: Sendable, Equatable {
        public var overall: String?
        public var tick: String?
        public var epoch: String?
        public var duration: String?

        public init(overall: String? = nil, tick: String? = nil, epoch: String? = nil, duration: String? = nil) {
            (self.overall, self.tick, self.epoch, self.duration) = (overall, tick, epoch, duration)
        }
    }

    /// What is known of an epoch afterwards.
    public struct EpochSummary: Sendable, Equatable {
        /// How the epoch began: with the next tick number, or with a jump.
        public enum Transition: String, Sendable, CaseIterable {
            case seamless, cutover
        }

        public var startedAt: Date?
        /// Mean over the epoch, downtime included.
        public var meanSecondsPerTick: Double?
        /// Tick numbers from the previous epoch's last tick to this one's first; 1 is seamless.
        public var tickGapBefore: Int?
        public var transition: Transition?
        /// Runs of tick numbers without a jump; more than one means a jump in mid-epoch.
        public var intervals: Int?
        /// Over the epoch's week.
        public var priceOpenUSD: Double?
        public var priceHighUSD: Double?
        public var priceLowUSD: Double?
        public var priceCloseUSD: Double?
        public var priceMeanUSD: Double?

        public init() {}
    }
}

/// An answer of the source that carries no measurement.
public struct SourceFailure: Sendable, Equatable {
    public enum Kind: String, Sendable, CaseIterable {
        /// `{"code":13,"message":"…","details":[]}`
        case rpcError = "rpc_error"
        /// QDashboard's back end says that its own source failed, be it with HTTP 200.
        case dashboardError = "dashboard_error"
        /// The recorder got no answer at all.
        case noAnswer = "no_answer"
        /// All zeros: a node that has no list of computors yet.
        case noComputorList = "no_computor_list"
    }

    public var kind: Kind
    /// The source's own error number.
    public var code: Int?
    /// In the source's words: text from outside.
    public var message: String?

    public init(kind: Kind, code: Int? = nil, message: String? = nil) {
        (self.kind, self.code, self.message) = (kind, code, message)
    }
}
