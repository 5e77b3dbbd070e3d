import Foundation
import QDashboard
import Runtime
import Testing

/// A HAR as a browser writes it, of entries written by hand.
struct HAR {
    static let identity = "BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAARMID"
    var entries: [String] = []

    static func entry(
        _ url: String, at: String = "2026-09-18T21:53:48.254Z", status: Int = 200, statusText: String = "",
        body: String?, base64: Bool = false, more: String = "", method: String = "GET"
    ) -> String {
        func quoted(_ text: String) -> String {
            "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n") + "\""
        }
        let text = body.map { base64 ? Data($0.utf8).base64EncodedString() : $0 }
        let content =
            text.map { ",\"text\":\(quoted($0))" + (base64 ? ",\"encoding\":\"base64\"" : "") } ?? ""
        return """
            {"startedDateTime":"\(at)","time":12.5,"request":{"method":"\(method)","url":\(quoted(url)),"headers":[
            {"name":"Cookie","value":"sid=hunter2hunter2"},{"name":"Authorization","value":"Bearer hunter2hunter2"},
            {"name":"X-Api-Key","value":"hunter2hunter2"}],"cookies":[{"name":"sid","value":"hunter2hunter2"}],
            "queryString":[{"name":"token","value":"hunter2hunter2"}]},"response":{"status":\(status),"statusText":
            "\(statusText)","headers":[],"cookies":[],"content":{"size":1,"mimeType":"application/json"\(content)}\(more)},
            "cache":{},"timings":{"send":0,"wait":12,"receive":0.5}}
            """
    }

    var data: Data {
        Data(
            #"{"log":{"version":"1.2","creator":{"name":"\"entries\":[","version":"1"},"pages":[],"entries":["#.utf8)
            + Data(entries.joined(separator: ",\n").utf8) + Data("]}}\n".utf8)
    }
}

@Suite struct HARTests {
    static let tickInfo = #"{"tickInfo":{"tick":80686339,"duration":0,"epoch":231,"initialTick":80371514}}"#
    static let url = "https://rpc.qubic.org/v1/tick-info"

    @Test(arguments: [false, true]) func bodies(base64: Bool) throws {
        let items = try read(HAR(entries: [HAR.entry(Self.url, body: Self.tickInfo, base64: base64)]).data)
        let request = try #require(items.only?.request)
        #expect(request.snapshot.tick == 80_686_339)
        #expect(request.snapshot.kind == .tickInfo)
        #expect(request.snapshot.endpoint == Self.url)
        #expect(request.id == "a.jsonl:1")
        #expect(request.snapshot.observedAt == Timestamp.iso8601("2026-09-18T21:53:48.254Z"))
    }

    @Test func answersThatAreNone() throws {
        let items = try read(
            HAR(entries: [
                HAR.entry(Self.url, status: 0, body: nil, more: #","_error":"net::ERR_TIMED_OUT""#),
                HAR.entry(Self.url, status: 503, statusText: "Service Unavailable", body: "<html>busy</html>"),
                HAR.entry(Self.url, status: 400, body: #"{"code":13,"message":"processor is behind","details":[]}"#),
                HAR.entry(Self.url, status: 301, body: nil), HAR.entry(Self.url, status: 304, body: ""),
                HAR.entry("https://example.org/app.js", body: "let x = 1"),
                HAR.entry("https://example.org/logo", body: "\u{89}PNG", base64: true),
                HAR.entry(Self.url, body: "<!doctype html><html>login</html>"),
                HAR.entry(Self.url, body: "tick 5"), HAR.entry(Self.url, body: nil),
                HAR.entry(
                    "http://localhost:8000/api/tick", body: #"{"tick":0,"epoch":0,"error":"x","status":"offline"}"#),
                HAR.entry("https://example.org/other", body: Self.tickInfo),
            ]).data)
        let requests = items.compactMap(\.request)
        #expect(requests.map(\.origin.line) == [1, 2, 3, 11, 12])
        #expect(requests.map(\.snapshot.failure?.kind) == [.noAnswer, .noAnswer, .rpcError, .dashboardError, nil])
        #expect(requests[0].snapshot.failure?.message == "no answer: net::ERR_TIMED_OUT")
        #expect(requests[1].snapshot.failure?.message == "HTTP 503 Service Unavailable")
        let rejections = items.compactMap(\.rejection)
        #expect(rejections.map(\.line) == [8, 9, 10])
        #expect(rejections[0].reason.contains("HTML"))
        #expect(rejections[1].reason.contains("no JSON object: \"tick 5\""))
        #expect(rejections[2].reason.contains("empty body"))
    }

    /// What a browser asks before a request is no answer of the network, and another site's status neither.
    @Test func othersAreSetAside() throws {
        try withFolder { folder in
            let file = folder.appending(path: "a.har")
            let body = #"{"lastProcessedTick":{"tickNumber":5,"epoch":231}}"#
            try HAR(entries: [
                HAR.entry(Self.url, status: 204, body: "", method: "OPTIONS"),
                HAR.entry("https://example.org/api/status", body: #"{"status":"ok"}"#),
                HAR.entry("https://rpc.qubic.org/v1/status", body: body, method: "POST"),
                HAR.entry("https://rpc.qubic.org/v1/status?key=hunter2hunter2", body: #"{"status":"ok"}"#),
            ]).data.write(to: file)
            let reader = try RequestReader(paths: [file.path])
            let items = try all(reader)
            #expect(items.compactMap(\.request?.origin.line) == [3])
            #expect(reader.aside == 2)
            #expect(
                items.compactMap(\.rejection?.reason) == [
                    "raw_payload.lastProcessedTick is missing (https://rpc.qubic.org/v1/status)"
                ])
        }
    }

    @Test func cutAtEveryByteKeepsWhatStoodBefore() throws {
        let entries = (0..<3).map { _ in HAR.entry(Self.url, body: Self.tickInfo) }
        let whole = HAR(entries: entries).data
        let ends = entries.indices.map { whole.range(of: Data(entries[$0].utf8))!.lowerBound + entries[$0].utf8.count }
        let entryBytes = entries[0].utf8.count + 2
        for length in stride(from: 12, to: whole.count - 3, by: 7) {
            let items = try read(whole.prefix(length))
            let expected = (0..<3).count { length >= ends[0] + $0 * entryBytes }
            #expect(items.compactMap(\.request).count == expected, "cut at \(length)")
            #expect(items.last?.rejection?.isTruncation == true, "cut at \(length)")
        }
        #expect(try read(whole).compactMap(\.request).count == 3)
    }

    @Test func damagedEntriesAndTooLongOnesAreSkipped() throws {
        var limits = RequestReader.Limits()
        limits.entryBytes = 5000
        let good = HAR.entry(Self.url, body: Self.tickInfo)
        let items = try read(
            HAR(entries: [
                good, #"{"request":nonsense}"#, "{}", HAR.entry(Self.url, body: String(repeating: "x", count: 9000)),
                good,
            ]).data, limits: limits)
        #expect(items.compactMap(\.request?.origin.line) == [1, 5])
        #expect(items.compactMap(\.rejection?.line) == [2, 3, 4])
        #expect(
            try read(Data(#"{"log":{"version":"1.2"}}"#.utf8)).only?.rejection?.reason.contains("without log.entries")
                == true)
        #expect(try read(Data(#"{"log":{"entries":[1]}}"#.utf8)).only?.rejection != nil)
        #expect(try read(Data(#"{"log":{"entries":[]}}"#.utf8)).isEmpty)
    }

    @Test func secretsStayBehind() throws {
        try withFolder { folder in
            let url = folder.appending(path: "a.har")
            let error = #"{"code":5,"message":"no \#(HAR.identity), token=hunter2hunter2","details":[]}"#
            try HAR(entries: [
                HAR.entry(
                    "https://u:hunter2hunter2@rpc.qubic.org/v1/tick-info?token=hunter2hunter2", body: Self.tickInfo),
                HAR.entry(Self.url, status: 500, body: error),
                HAR.entry(Self.url, body: "\(HAR.identity) Bearer hunter2hunter2"),
            ]).data.write(to: url)
            let reader = try RequestReader(paths: [url.path])
            let items = try all(reader)
            #expect(items.count == 3)
            let shown = "\(items)"
            #expect(!shown.contains("hunter2"))
            #expect(!shown.contains(HAR.identity.prefix(31)))
            #expect(shown.contains("[identity]"))
            #expect(reader.scrubbed.cookies == 3)
            #expect(reader.scrubbed.authorizations == 3)
            #expect(reader.scrubbed.keys >= 7)
            #expect(reader.scrubbed.identities >= 1)
        }
    }

    @Test func gzip() throws {
        try withFolder { folder in
            let plain = HAR(entries: (0..<50).map { _ in HAR.entry(Self.url, body: Self.tickInfo) }).data
            let packed = try zipped(plain, folder)
            #expect(try read(packed).compactMap(\.request).count == 50)
            // Two members, padded with zeros.
            let lines = try Data(contentsOf: recorded.appending(path: "tick_info.jsonl"))
            let one = try zipped(lines, folder)
            let count = try read(lines).compactMap(\.request).count
            #expect(
                try read(zipped(Data("\n".utf8), folder) + one + Data(count: 512)).compactMap(\.request).count == count)
            for length in [3, 11, packed.count / 2, packed.count - 1] {
                let items = try read(packed.prefix(length))
                #expect(items.last?.rejection?.isTruncation == true, "cut at \(length)")
            }
            var damaged = packed
            damaged[packed.count - 6] ^= 0xFF  // The checksum.
            #expect(try read(damaged).last?.rejection?.reason.contains("damaged") == true)
            #expect(try read(zipped(packed, folder)).only?.rejection?.reason.contains("within gzip") == true)
        }
    }

    @Test func folders() throws {
        try withFolder { folder in
            for name in ["b.json", "a.json", ".hidden"] {
                try Data(Self.tickInfo.utf8).write(to: folder.appending(path: name))
            }
            try FileManager.default.createDirectory(
                at: folder.appending(path: "inner"), withIntermediateDirectories: true)
            let items = try all(try RequestReader(paths: [folder.path]))
            #expect(items.compactMap(\.request?.id) == ["a.json:1", "b.json:1"])
        }
    }
}

private func zipped(_ data: Data, _ folder: URL) throws -> Data {
    let url = folder.appending(path: UUID().uuidString)
    try data.write(to: url)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/gzip")
    process.arguments = [url.path]
    try process.run()
    process.waitUntilExit()
    return try Data(contentsOf: url.appendingPathExtension("gz"))
}
