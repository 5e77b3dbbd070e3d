import Foundation
import Runtime

/// One record, read: what it says, and the id that it gives itself.
struct DecodedRecord: Equatable {
    var givenID: String?
    var snapshot: Snapshot
    var fields = RequestFields()
}

/// Recognises what a JSON value is and reads it.
///
/// In this order: an analysis request (`data_type`), a recorder's envelope (`raw_payload`, `payload` or `body` beside
/// `endpoint` and `observed_at`), a bare body. Keys that mean nothing here (`source`, …) are left aside.
enum RecordDecoder {
    static let idLimit = 128

    static func decode(_ value: JSONValue) throws(Rejection) -> DecodedRecord {
        guard let object = value.object else {
            throw Rejection("expected a JSON object, one record a line, got \(value.kind)")
        }
        let record = BodyFields(object, path: "")
        let snapshot: Snapshot
        var fields = RequestFields()
        if object["custom_id"] != nil, object["body"]?["messages"] != nil {
            throw Rejection("a row of an OpenAI batch: it holds a prompt and no snapshot")
        } else if object["data_type"] != nil {
            snapshot = try analysisRequest(record)
            fields = try RequestFields(record)
        } else if let key = ["raw_payload", "payload", "body"].first(where: { object[$0] != nil }) {
            snapshot = try envelope(record, payloadKey: key)
        } else if object["observed_at"] != nil {
            snapshot = try envelope(record, payloadKey: "raw_payload")
        } else {
            snapshot = try body(record)
        }
        return DecodedRecord(givenID: try id(object), snapshot: snapshot, fields: fields)
    }

    private static func analysisRequest(_ record: BodyFields) throws(Rejection) -> Snapshot {
        let type = try record.text("data_type") ?? ""
        let data = try BodyFields(record, "data")
        var snapshot: Snapshot
        switch Snapshot.Kind(rawValue: type) {
        case .networkStats:
            snapshot = Snapshot(kind: .networkStats)
            try BodyReader.measurements(data, into: &snapshot)
            try BodyReader.health(data, into: &snapshot)
        case .epochSummary:
            snapshot = Snapshot(kind: .epochSummary)
            try BodyReader.measurements(data, into: &snapshot)
            try BodyReader.summary(data, into: &snapshot)
        default:
            throw Rejection("data_type: expected \"network_stats\" or \"epoch_summary\", got \(Quoting.quoted(type))")
        }
        snapshot.observedAt = try record.moment("observed_at")
        snapshot.endpoint = try endpoint(record)
        return snapshot
    }

    private static func envelope(_ record: BodyFields, payloadKey: String) throws(Rejection) -> Snapshot {
        let endpoint = try endpoint(record)
        let named = try endpoint.map { (text) throws(Rejection) in try kind(ofEndpoint: text) } ?? nil
        var snapshot: Snapshot
        switch record.object[payloadKey] {
        case nil, .null:
            guard let message = try record.text("error") else { throw Rejection("\(payloadKey) is missing") }
            snapshot = Snapshot(kind: named ?? .failure)
            snapshot.failure = SourceFailure(kind: .noAnswer, message: message)
        case .object(let object):
            snapshot = try body(BodyFields(object, path: payloadKey), named: named)
        case .string(let text):
            guard let value = try? JSONValue(parsing: Data(text.utf8), place: payloadKey), let object = value.object
            else {
                throw Rejection("\(payloadKey): a text that is no JSON object, \(Quoting.quoted(text))")
            }
            snapshot = try body(BodyFields(object, path: payloadKey), named: named)
        case .some(let other):
            throw Rejection("\(payloadKey): expected an object, got \(other.kind)")
        }
        snapshot.observedAt = try record.moment("observed_at")
        snapshot.endpoint = endpoint
        return snapshot
    }

    /// A body as an endpoint serves it: of the `named` kind, or of the kind that its keys show.
    private static func body(_ fields: BodyFields, named: Snapshot.Kind? = nil) throws(Rejection) -> Snapshot {
        if let failure = try BodyReader.rpcError(fields) {
            var snapshot = Snapshot(kind: named ?? .failure)
            snapshot.failure = failure
            return snapshot
        }
        guard let kind = named ?? shape(fields.object) else {
            let keys = fields.object.keys.prefix(6).map { Quoting.quoted($0, limit: 24) }.joined(separator: ", ")
            let place = fields.path.isEmpty ? "" : "\(fields.path): "
            throw Rejection(
                place + (keys.isEmpty ? "an empty object" : "a record of unknown shape, with the keys \(keys)"))
        }
        return try BodyReader.read(kind, fields)
    }

    private static func shape(_ object: JSONObject) -> Snapshot.Kind? {
        if object["tickInfo"] != nil { return .tickInfo }
        if object["lastProcessedTick"] != nil { return .status }
        if object["latestTick"] != nil { return .latestTick }
        if object["data"]?.object != nil { return .latestStats }
        if object["tick"] != nil { return .dashboardTick }
        let stats = ["activeAddresses", "marketCap", "price", "epochTickQuality", "circulatingSupply", "burnedQus"]
        if stats.contains(where: { object[$0] != nil }) { return .dashboardStats }
        let isError = object["error"]?.string != nil || object["status"]?.string == "offline"
        return isError ? .failure : nil
    }

    /// Whether such an address is one of the network's own.
    static func isKnown(endpoint: String) -> Bool {
        let path = endpoint.prefix { $0 != "?" && $0 != "#" }
        return ((try? kind(ofEndpoint: String(path))) ?? nil) != nil
    }

    /// Whether a body shows by its keys that it is one of the network's own, wherever it came from.
    static func isKnown(body: JSONValue) -> Bool {
        guard let object = body.object, let shape = shape(object), shape != .failure else { return false }
        return (try? BodyReader.read(shape, BodyFields(object, path: ""))) != nil
    }

    /// Whether a body says itself that it is an error.
    static func isError(body: JSONValue) -> Bool {
        guard let object = body.object else { return false }
        let isRPC = ((try? BodyReader.rpcError(BodyFields(object, path: ""))) ?? nil) != nil
        return isRPC || object["error"] != nil || object["status"]?.string == "offline"
            || object["data_source"]?.string == "error"
    }

    /// Nil for an address that is not known: the keys decide then.
    private static func kind(ofEndpoint endpoint: String) throws(Rejection) -> Snapshot.Kind? {
        let parts = endpoint.utf8.split(separator: UInt8(ascii: "/")).suffix(2).map { Substring($0) }
        let parent = parts.count == 2 ? parts[0] : ""
        switch (parent, parts.last ?? "") {
        case ("api", "tick"): return .dashboardTick
        case ("api", "stats"): return .dashboardStats
        case (_, "latest-stats"): return .latestStats
        case (_, "tick-info"): return .tickInfo
        // Other sites have a status too.
        case ("v1", "status"): return .status
        case (_, "latestTick"): return .latestTick
        case (_, "rich-list"), (_, "computors"):
            throw Rejection("endpoint: \(parts.last ?? "") carries no snapshot of the network")
        default: return nil
        }
    }

    /// Without user, query and fragment: keys and tokens stand there, and none of them may reach a prompt or a report.
    private static func endpoint(_ record: BodyFields) throws(Rejection) -> String? {
        try record.text("endpoint", limit: 2048).map(bare)
    }

    /// An address without its user, query and fragment.
    static func bare(_ address: String) -> String {
        var text = address
        if let cut = text.utf8.firstIndex(where: { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }) {
            text = String(text[..<cut])
        }
        // The user stands between the scheme and the last @ before the path.
        if text.utf8.contains(UInt8(ascii: "@")), let scheme = text.firstRange(of: "://") {
            let host = text[scheme.upperBound...].prefix { $0 != "/" }
            if let at = host.lastIndex(of: "@") { text.removeSubrange(scheme.upperBound...at) }
        }
        return text
    }

    private static func id(_ object: JSONObject) throws(Rejection) -> String? {
        for key in ["id", "request_id", "requestId"] {
            switch object[key] {
            case nil, .null: continue
            case .integer(let number): return String(number)
            case .string(let text):
                // Characters are no more than bytes, and slower to count.
                guard !text.isEmpty, text.utf8.count <= idLimit || text.count <= idLimit,
                    Quoting.plain(text, limit: idLimit) == text
                else {
                    throw Rejection(
                        "\(key): expected 1 to \(idLimit) printable characters, got \(Quoting.quoted(text)) "
                            + "(\(text.utf8.count) bytes)")
                }
                return text
            case .some(let other): throw Rejection("\(key): expected a string or a whole number, got \(other.kind)")
            }
        }
        return nil
    }
}
