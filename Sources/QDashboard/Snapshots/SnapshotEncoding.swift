import Foundation
import Runtime

extension Snapshot {
    /// A record of this snapshot as readers take it: an analysis request, or a recorder's envelope around the body. Reading
    /// it gives the same snapshot, to the microsecond of `observedAt` and the second of `reportedAt`, for every snapshot
    /// that holds only what its kind of body can say.
    public func record(id: String? = nil) -> JSONValue {
        var members: [(String, JSONValue)] = []
        if let id { members.append(("id", .string(id))) }
        let isRequest = kind == .networkStats || kind == .epochSummary
        if isRequest { members.append(("data_type", .string(kind.rawValue))) }
        if let observedAt { members.append(("observed_at", .string(Timestamp.text(observedAt, microseconds: true)))) }
        if let endpoint { members.append(("endpoint", .string(endpoint))) }
        if isRequest {
            members.append(("data", .object(numbers)))
        } else if failure?.kind == .noAnswer {
            members.append(("raw_payload", .null))
            members.append(("error", .string(failure?.message ?? "")))
        } else {
            members.append(("raw_payload", body))
        }
        return object(members)
    }

    /// The body as the source itself serves it: 64-bit numbers of the RPC as strings, everything else as numbers.
    public var body: JSONValue {
        if let failure, failure.kind == .rpcError {
            return object([
                ("code", .integer(failure.code ?? 0)), ("message", .string(failure.message ?? "")), ("details", []),
            ])
        }
        switch kind {
        case .networkStats, .epochSummary, .latestStats: return object([("data", .object(numbers))])
        case .tickInfo: return object([("tickInfo", .object(failure == nil ? numbers : Self.zeros))])
        case .status:
            return object([
                ("lastProcessedTick", .object(Self.members([("tickNumber", tick.json), ("epoch", epoch.json)])))
            ])
        case .latestTick: return object([("latestTick", tick.json ?? 0)])
        case .dashboardTick, .dashboardStats, .failure:
            guard let failure else { return .object(numbers) }
            var members = numbers
            let zeros = kind == .dashboardTick ? Self.zeros : Self.statsZeros
            for (key, value) in zeros.members { members[key] = value }
            guard failure.kind == .dashboardError else { return .object(members) }
            members["status"] = "offline"
            members["error"] = failure.message.map(JSONValue.string)
            return .object(members)
        }
    }

    private static let zeros = members([("tick", 0), ("duration", 0), ("epoch", 0), ("initialTick", 0)])

    private static let statsZeros = members([
        ("activeAddresses", 0), ("marketCap", 0), ("price", 0), ("epochTickQuality", 0), ("circulatingSupply", 0),
        ("burnedQus", 0),
    ])

    /// The numbers under the names that the bodies have in common.
    private var numbers: JSONObject {
        let isRPC = kind == .latestStats
        func wide(_ value: Int?) -> JSONValue? { isRPC ? value.map { .string(String($0)) } : value.json }
        let seconds = reportedAt.map { Int($0.timeIntervalSince1970.rounded()) }
        var members = Self.members([
            ("timestamp", wide(seconds)),
            (isRPC ? "currentTick" : "tick", tick.json), ("epoch", epoch.json), ("initialTick", initialTick.json),
            ("duration", secondsSinceLastTick.json), ("activeAddresses", activeAddresses.json),
            ("price", priceUSD.json),
            ("marketCap", isRPC ? marketCapUSD.map { .string(FactStyle.full($0)) } : marketCapUSD.json),
            ("circulatingSupply", wide(circulatingSupplyQus)), ("burnedQus", wide(burnedQus)),
            ("ticksInCurrentEpoch", ticksInEpoch.json), ("emptyTicksInCurrentEpoch", emptyTicksInEpoch.json),
            ("epochTickQuality", epochTickQualityPercent.json), ("ticksInLast10000", ticksInLast10000.json),
            ("emptyTicksInLast10000", emptyTicksInLast10000.json),
            ("last10000TickQuality", last10000TickQualityPercent.json),
        ])
        if let summary {
            let more: [(String, JSONValue?)] = [
                ("startedAt", summary.startedAt.map { .string(Timestamp.text($0)) }),
                ("meanSecondsPerTick", summary.meanSecondsPerTick.json), ("tickGapBefore", summary.tickGapBefore.json),
                ("transition", summary.transition.map { .string($0.rawValue) }), ("intervals", summary.intervals.json),
                ("priceOpen", summary.priceOpenUSD.json), ("priceHigh", summary.priceHighUSD.json),
                ("priceLow", summary.priceLowUSD.json), ("priceClose", summary.priceCloseUSD.json),
                ("priceMean", summary.priceMeanUSD.json),
            ]
            for (key, value) in more { members[key] = value }
        }
        if let health {
            let parts = Self.members([
                ("overall", health.overall.json), ("tick_status", health.tick.json),
                ("epoch_status", health.epoch.json),
                ("duration_status", health.duration.json),
            ])
            members["health"] = .object(parts)
        }
        return members
    }

    private static func members(_ members: [(String, JSONValue?)]) -> JSONObject {
        var object = JSONObject()
        for (key, value) in members { object[key] = value }
        return object
    }
}

extension Int? {
    fileprivate var json: JSONValue? { map(JSONValue.integer) }
}

extension Double? {
    fileprivate var json: JSONValue? { map(JSONValue.number) }
}

extension String? {
    fileprivate var json: JSONValue? { map(JSONValue.string) }
}
