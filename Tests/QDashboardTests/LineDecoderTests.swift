import Foundation
import QDashboard
import Runtime
import Testing

/// Lines are decoded many at a time, and given out as if each had been read by itself.
@Suite struct LineDecoderTests {
    /// A recording of which each piece is one record, some with blank lines before it, and what must come of each.
    private struct Recording {
        var pieces: [Data] = []
        /// Without an id it is rejected, for a reason that begins so.
        var expected: [(line: Int, id: String?, reason: String)] = []
        private var lines = 0

        init(records: Int) {
            for number in 0..<records { add(number) }
        }

        private mutating func add(_ number: Int) {
            let time = Timestamp.text(Date(timeIntervalSince1970: 1_789_689_600 + 20 * Double(number)))
            let body = #""tick":\#(80_000_000 + 15 * number),"epoch":231"#
            let seen = #""observed_at":"\#(time)","source":"\#(String(repeating: "x", count: 150))","#
            let id = "poll-\(number)"
            let head = #"{"id":"\#(id)","# + seen
            let payload = #""raw_payload":{\#(body)}}"#
            switch number % 25 {
            case 3: add(#"{"id":"\#(id)","tick":"#, reason: "not JSON: ")
            case 6: add(Data(#"{"tick":1,"x":""#.utf8) + [0xFF] + Data(#""}"#.utf8), reason: "not valid UTF-8")
            case 9:
                let again = #"{"id":"poll-\#(number - 1)","# + seen + payload
                add(again, reason: "id: \"poll-\(number - 1)\" was used before")
            case 12: add(head + #""x":""# + String(repeating: "y", count: 5000) + #""}"#, reason: "a line of ")
            case 15: add("[1,2]", reason: "expected a JSON object")
            case 18: add("\n \t\n" + head + payload, id: id)
            case 21:
                let health = #""health":{"overall":"token=hunter2hunter2"}"#
                add(head + #""raw_payload":{\#(body),\#(health)}}"#, id: id)
            case 24:
                let asked = #""question":"Is sk-hunter2hunter2 safe?","data_type":"network_stats","#
                add(head + asked + #""data":{\#(body)}}"#, id: id)
            case let kind where kind % 5 == 0: add("{" + seen + payload, id: nil)
            default: add(head + #""endpoint":"/v1/tick-info","raw_payload":{"tickInfo":{\#(body)}}}"#, id: id)
            }
        }

        private mutating func add(_ text: String, id: String?) {
            add(Data(text.utf8))
            expected.append((lines, id ?? "a.jsonl:\(lines)", ""))
        }

        private mutating func add(_ text: String, reason: String) { add(Data(text.utf8), reason: reason) }

        private mutating func add(_ data: Data, reason: String) {
            add(data)
            expected.append((lines, nil, reason))
        }

        private mutating func add(_ data: Data) {
            pieces.append(data + [0x0A])
            lines += 1 + data.count { $0 == 0x0A }
        }
    }

    private func reader(_ path: String) throws -> RequestReader {
        var limits = RequestReader.Limits()
        limits.lineBytes = 4096
        return try RequestReader(paths: [path], limits: limits, computesFacts: true)
    }

    /// The same lines from a file, a chunk at a time, and from a pipe, one at a time: the same items, facts included.
    @Test func manyAtATimeAreAsOneAtATime() throws {
        try withFolder { folder in
            let path = folder.appending(path: "a.jsonl").path
            let recording = Recording(records: 1000)
            try recording.pieces.reduce(into: Data()) { $0.append($1) }.write(to: URL(fileURLWithPath: path))
            let fromFile = try reader(path)
            let items = try all(fromFile)
            try #require(items.count == recording.expected.count)
            for (item, expected) in zip(items, recording.expected) {
                #expect((item.request?.origin.line ?? item.rejection?.line) == expected.line)
                #expect(item.request?.id == expected.id, "line \(expected.line)")
                #expect(item.rejection?.reason.hasPrefix(expected.reason) ?? true, "line \(expected.line)")
            }
            #expect(items.compactMap(\.request?.ordinal) == Array(0..<fromFile.accepted))
            #expect(fromFile.accepted + fromFile.rejected == items.count && fromFile.rejected == 200)
            // The health's token, the question's key.
            #expect(fromFile.scrubbed.keys == 80 && fromFile.scrubbed.total == 80)

            try FileManager.default.removeItem(atPath: path)
            try #require(mkfifo(path, 0o600) == 0)
            let more = DispatchSemaphore(value: 0)
            Self.feed(recording.pieces, into: path, more)
            let fromPipe = try reader(path)
            var piped: [RequestReader.Item] = []
            while true {
                if piped.count >= Self.together { more.signal() }
                guard let item = try fromPipe.next() else { break }
                piped.append(item)
            }
            try #require(piped.count == items.count)
            for (piped, item) in zip(piped, items) where piped != item { #expect(piped == item) }
            #expect(fromPipe.scrubbed == fromFile.scrubbed && fromPipe.rejected == fromFile.rejected)
        }
    }

    /// A reader looks at the first 1 024 bytes: so many pieces are written at once.
    private static let together = 8

    /// Writes pieces into a pipe, each of those behind the first ones when `more` says so, and then ends it.
    private static func feed(_ pieces: [Data], into path: String, _ more: DispatchSemaphore) {
        let first = together
        Thread {
            guard let pipe = FileHandle(forWritingAtPath: path) else { return }
            for (index, piece) in pieces.enumerated() {
                if index >= first { more.wait() }
                try? pipe.write(contentsOf: piece)
            }
            more.wait()
            try? pipe.close()
        }.start()
    }

    /// More short lines in a chunk than are decoded together.
    @Test func shortLines() throws {
        let text = (1...5000).map { $0.isMultiple(of: 7) ? "{\"tick\":\n" : "{\"tick\":\($0)}\n" }.joined()
        let items = try read(Data(text.utf8))
        #expect(items.compactMap { $0.request?.origin.line ?? $0.rejection?.line } == Array(1...5000))
        let requests = items.compactMap(\.request)
        #expect(requests.count == 5000 - 5000 / 7)
        #expect(requests.allSatisfy { $0.snapshot.tick == $0.origin.line && $0.id == "a.jsonl:\($0.origin.line)" })
        #expect(requests.map(\.ordinal) == Array(requests.indices))
    }

    /// The reader is asked for digests, or gives none; nothing else differs.
    @Test func digestsWhereAsked() throws {
        let path = recorded.appending(path: "epochs_104_231.jsonl").path
        let with = try all(try RequestReader(paths: [path])).compactMap(\.request)
        let without = try all(try RequestReader(paths: [path], digestsInput: false)).compactMap(\.request)
        #expect(with.allSatisfy { $0.inputDigest?.count == 64 })
        #expect(without.allSatisfy { $0.inputDigest == nil })
        #expect(with.map(\.snapshot) == without.map(\.snapshot))
    }
}
