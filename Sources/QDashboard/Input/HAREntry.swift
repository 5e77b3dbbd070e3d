import Foundation
import Runtime

/// One entry of a HAR: what of it is about the network, and what in it must stay there.
enum HAREntry {
    enum Content {
        /// A record as a poller would have written it: `observed_at`, `endpoint`, `raw_payload` or `error`.
        case record(JSONValue)
        /// Not about the network, or a redirect or an unchanged answer, whose body stands elsewhere, or what a browser asks
        /// beforehand (CORS): neither GET nor POST.
        case aside
    }

    /// Headers, cookies, queries and posted data are counted and never copied: the record has time, address and body only.
    static func read(_ entry: JSONValue, scrubbed: inout Scrubbed) throws(Rejection) -> Content {
        guard let request = entry["request"], let url = request["url"]?.string else {
            throw Rejection("an entry without request.url")
        }
        guard let response = entry["response"] else { throw Rejection("an entry without response") }
        count(request, response, &scrubbed)
        let status = response["status"]?.int ?? 0
        if (300..<400).contains(status) { return .aside }
        if let method = request["method"]?.string?.uppercased(), method != "GET", method != "POST" { return .aside }
        let isKnown = RecordDecoder.isKnown(endpoint: url)
        var members: [(String, JSONValue)] = [("endpoint", .string(url))]
        if let date = entry["startedDateTime"] { members.append(("observed_at", date)) }

        if status == 0 {
            guard isKnown else { return .aside }
            let cause = response["_error"]?.string ?? entry["_error"]?.string
            let words = "no answer" + (cause.map { ": " + Quoting.plain($0, limit: 120) } ?? "")
            return .record(object(members + [("raw_payload", .null), ("error", .string(words))]))
        }
        let text = try body(response)
        let value = text.flatMap { try? JSONValue(parsing: Data($0.utf8), place: "") }
        if let value, value.object != nil {
            guard isKnown || RecordDecoder.isKnown(body: value) else { return .aside }
            if (200..<300).contains(status) || RecordDecoder.isError(body: value) {
                return .record(object(members + [("raw_payload", value)]))
            }
        }
        guard isKnown else { return .aside }
        if status >= 400 {
            let words = Quoting.plain("HTTP \(status) " + (response["statusText"]?.string ?? ""), limit: 80)
            return .record(object(members + [("raw_payload", .null), ("error", .string(words))]))
        }
        guard let text, !text.isEmpty else { throw Rejection("HTTP \(status) with an empty body") }
        let isHTML =
            text.prefix(256).lowercased().contains("<html") || text.prefix(32).lowercased().contains("<!doctype")
        throw Rejection("a body that is \(isHTML ? "HTML" : "no JSON object"): \(Quoting.quoted(text))")
    }

    private static func body(_ response: JSONValue) throws(Rejection) -> String? {
        guard let content = response["content"], let text = content["text"]?.string else { return nil }
        guard let encoding = content["encoding"]?.string, !encoding.isEmpty else { return text }
        guard encoding == "base64" else {
            throw Rejection("response.content.encoding: expected base64, got \(Quoting.quoted(encoding))")
        }
        guard let data = Data(base64Encoded: text, options: .ignoreUnknownCharacters) else {
            throw Rejection("response.content.text: not base64")
        }
        // An image is base64 too, and no text: it is set aside as any other.
        return String(validating: data, as: UTF8.self)
    }

    private static func count(_ request: JSONValue, _ response: JSONValue, _ scrubbed: inout Scrubbed) {
        for message in [request, response] {
            var cookieHeaders = 0
            for header in message["headers"]?.array ?? [] {
                let name = header["name"]?.string?.lowercased() ?? ""
                switch name {
                case "cookie", "set-cookie": cookieHeaders += 1
                case "authorization", "proxy-authorization": scrubbed.authorizations += 1
                case _ where Scrubber.isSecretName(name): scrubbed.keys += 1
                default: break
                }
            }
            // The same cookies stand in a header and in a list.
            scrubbed.cookies += max(cookieHeaders, message["cookies"]?.array?.count ?? 0)
        }
        for parameter in request["queryString"]?.array ?? []
        where Scrubber.isSecretName(parameter["name"]?.string ?? "") {
            scrubbed.keys += 1
        }
    }
}
