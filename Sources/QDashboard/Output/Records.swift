import Runtime

/// A line of timings.jsonl: how long an answer took, joined to it by id. All in milliseconds.
public struct TimingRecord: Sendable, Equatable {
    public var id: String
    /// From arrival until work on it began.
    public var queue: Double
    public var prefill: Double
    public var decode: Double
    /// From arrival to the last token.
    public var total: Double
    /// From arrival to the first token.
    public var timeToFirstToken: Double
    /// Work of each pipeline stage, in the stages' order.
    public var stages: [Double]

    public init(
        id: String, queue: Double, prefill: Double, decode: Double, total: Double, timeToFirstToken: Double,
        stages: [Double]
    ) {
        self.id = id
        self.queue = queue
        self.prefill = prefill
        self.decode = decode
        self.total = total
        self.timeToFirstToken = timeToFirstToken
        self.stages = stages
    }

    /// Of an answer that the cache knew: it took no time.
    public static func cached(id: String) -> TimingRecord {
        TimingRecord(
            id: id, queue: .nan, prefill: .nan, decode: .nan, total: .nan, timeToFirstToken: .nan, stages: [])
    }

    /// The ledger keeps no times for such an answer, so that a resumed run knows it again.
    public var isCached: Bool { total.isNaN && queue.isNaN && stages.isEmpty }

    /// To the microsecond. A time that is no number is null: a broken clock must not lose an answer.
    public var json: JSONValue {
        func milliseconds(_ value: Double) -> JSONValue {
            value.isFinite ? .number((value * 1e3).rounded() / 1e3) : .null
        }
        return object(
            [
                ("id", .string(id)), ("queue_ms", milliseconds(queue)), ("prefill_ms", milliseconds(prefill)),
                ("decode_ms", milliseconds(decode)), ("total_ms", milliseconds(total)),
                ("ttft_ms", milliseconds(timeToFirstToken)), ("stages_ms", .array(stages.map(milliseconds))),
            ] + (isCached ? [("cached", .bool(true))] : []))
    }

    /// Nil where it is no such record.
    public init?(_ value: JSONValue) {
        func milliseconds(_ key: String) -> Double? { value[key].flatMap { $0.isNull ? .nan : $0.double } }
        guard let id = value["id"]?.string, let queue = milliseconds("queue_ms"),
            let prefill = milliseconds("prefill_ms"),
            let decode = milliseconds("decode_ms"), let total = milliseconds("total_ms"),
            let first = milliseconds("ttft_ms"), let stages = value["stages_ms"]?.array
        else { return nil }
        self.init(
            id: id, queue: queue, prefill: prefill, decode: decode, total: total, timeToFirstToken: first,
            stages: stages.map { $0.double ?? .nan })
    }
}

/// An object with its members in the given order.
func object(_ members: [(String, JSONValue)]) -> JSONValue {
    var object = JSONObject()
    for (key, value) in members { object[key] = value }
    return .object(object)
}
