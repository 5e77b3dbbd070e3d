import Foundation
import QDashboard
import Runtime
import Testing

@Suite struct ReaderTests {
    static let good =
        #"{"data_type":"network_stats","data":{"tick":31473834,"activeAddresses":592711,"epochTickQuality":97.31}}"#

    @Test func derivedIDsNameFileAndLine() throws {
        let text = Data("\(Self.good)\n\n\(Self.good)\n".utf8)
        let items = try read(text, text)
        #expect(items.compactMap(\.request?.id) == ["a.jsonl:1", "a.jsonl:3", "b.jsonl:1", "b.jsonl:3"])
        #expect(items.compactMap(\.request?.ordinal) == [0, 1, 2, 3])
        #expect(Set(items.compactMap(\.request?.inputDigest)).count == 1)
    }

    @Test func digestLooksThroughSpelling() throws {
        let other =
            #"{ "data" : {"activeAddresses":5.92711e5,"epochTickQuality":97.310, "tick":31473834.0},"data_type":"network_\u0073tats"}"#
        let items = try read(Data("\(Self.good)\n\(other)\n".utf8))
        #expect(items.count == 2)
        #expect(Set(items.compactMap(\.request?.inputDigest)).count == 1)
    }

    @Test(arguments: ["id", "request_id", "requestId"]) func givenIDs(key: String) throws {
        let items = try read(
            Data(
                """
                {"\(key)":"poll-7","data_type":"network_stats","data":{"tick":1}}
                {"\(key)":42,"data_type":"network_stats","data":{"tick":1}}
                {"\(key)":"poll-7","data_type":"network_stats","data":{"tick":1}}
                {"\(key)":"a.jsonl:9","data_type":"network_stats","data":{"tick":1}}
                {"\(key)":"two\\nlines","data_type":"network_stats","data":{"tick":1}}
                {"\(key)":"\(String(repeating: "x", count: 129))","data_type":"network_stats","data":{"tick":1}}
                {"\(key)":"","data_type":"network_stats","data":{"tick":1}}
                {"\(key)":{},"data_type":"network_stats","data":{"tick":1}}
                """.utf8))
        #expect(items.compactMap(\.request?.id) == ["poll-7", "42"])
        #expect(items.compactMap(\.rejection?.line) == [3, 4, 5, 6, 7, 8])
        #expect(items.compactMap(\.rejection?.reason).first == "id: \"poll-7\" was used before")
    }

    @Test func filesOfTheSameNameAreToldApart() throws {
        try withFolder { folder in
            var paths: [String] = []
            for name in ["x", "y"] {
                let inner = folder.appending(path: name)
                try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: true)
                let url = inner.appending(path: "day.jsonl")
                try Data(Self.good.utf8).write(to: url)
                paths.append(url.path)
            }
            let ids = try all(try RequestReader(paths: paths + [paths[0]])).compactMap(\.request?.id)
            #expect(Set(ids).count == 3)
            #expect(Array(ids.prefix(2)) != ids.prefix(2).map { _ in "day.jsonl:1" })
            #expect(ids.allSatisfy { !$0.contains("/") })
        }
    }

    @Test(arguments: ["\n", "\r\n"]) func lineEnds(end: String) throws {
        for last in ["", end] {
            let items = try read(Data(([Self.good, "", Self.good].joined(separator: end) + last).utf8))
            #expect(
                items.compactMap(\.request?.origin.line) == [1, 3], "\(end.debugDescription) \(last.debugDescription)")
            #expect(items.count == 2)
        }
    }

    @Test func byteOrderMark() throws {
        let items = try read(Data([0xEF, 0xBB, 0xBF]) + Data(Self.good.utf8))
        #expect(items.only?.request?.snapshot.tick == 31_473_834)
    }

    @Test func badLinesAreRejectedAndTheRestGoesOn() throws {
        var data = Data("\(Self.good)\n".utf8)
        data += Data([0x7B, 0x22, 0xFF, 0xFE, 0x22, 0x3A, 0x31, 0x7D, 0x0A])
        data += Data("{\"tick\":\n[1,2]\n\"text\"\n{}\nnull\n\0\n\(Self.good)\n".utf8)
        let items = try read(data)
        #expect(items.compactMap(\.request?.origin.line) == [1, 9])
        let rejected = items.compactMap(\.rejection)
        #expect(rejected.map(\.line) == [2, 3, 4, 5, 6, 7, 8])
        #expect(rejected[0].reason == "not valid UTF-8")
        #expect(rejected[1].reason.hasPrefix("not JSON: "))
        #expect(rejected[2].reason == "expected a JSON object, one record a line, got an array")
        #expect(rejected[4].reason == "an empty object")
        #expect(rejected.allSatisfy { $0.file.hasSuffix("a.jsonl") })
    }

    /// Without a question there is nothing to answer; the poll counts all the same.
    @Test func aQuestionIsNeeded() throws {
        try withFolder { folder in
            let file = folder.appending(path: "a.jsonl")
            let asked = Self.good.replacing(#""data_type""#, with: #""question":"How is it?","data_type""#)
            let other = Self.good.replacing(#""data_type""#, with: #""task":"analysis","data_type""#)
            try Data("\(Self.good)\n\(asked)\n\(other)\n".utf8).write(to: file)
            let items = try all(try RequestReader(paths: [file.path], computesFacts: true, task: .ask))
            #expect(items.first?.rejection?.reason == "question is missing; the task ask needs one")
            #expect(items.compactMap(\.request?.origin.line) == [2, 3])
            #expect(try all(try RequestReader(paths: [file.path])).compactMap(\.request).count == 3)
        }
    }

    /// A recording's records get the newest news of their moment, and only where the oracle is asked.
    @Test func newsOfTheMoment() throws {
        try withFolder { folder in
            let polls = folder.appending(path: "a.jsonl")
            try Data(
                (0..<3).map {
                    #"{"observed_at":"2026-09-18T1\#($0):30:00Z","endpoint":"/v1/tick-info","raw_payload":{"tickInfo":{"tick":5,"epoch":231}}}"#
                        + "\n"
                }.joined().utf8
            ).write(to: polls)
            let news = folder.appending(path: "news.jsonl")
            let late = #"{"at":"2026-09-18T12:00:00Z","title":"late"}"#
            let early = #"{"at":"2026-09-18T11:30:00Z","source":"s","title":"early"}"#
            try Data("\(late)\n\n\(early)\n".utf8).write(to: news)
            let feed = try NewsFeed(path: news.path)
            func titles(_ task: AnswerTask) throws -> [[String]] {
                try all(try RequestReader(paths: [polls.path], task: task, news: feed))
                    .compactMap { $0.request?.news.map(\.title) }
            }
            #expect(try titles(.oracle) == [[], ["early"], ["early", "late"]])
            #expect(try titles(.analysis) == [[], [], []])
            for bad in ["[]", "{", #"{"title":"t"}"#, #"{"at":"2026-09-18T12:00:00Z","title":" "}"#] {
                try Data("\(late)\n\(bad)\n".utf8).write(to: news)
                let error = #expect(throws: InputError.self) { try NewsFeed(path: news.path) }
                #expect(error?.description.hasPrefix("\(news.path):2: ") == true, "\(bad)")
            }
            #expect(throws: InputError.missing(path: "no.jsonl")) { try NewsFeed(path: "no.jsonl") }
        }
    }

    /// Lines whose ends fall on every place around the border of a chunk.
    @Test func chunkBorders() throws {
        let chunk = 256 * 1024
        for length in (chunk - 3)...(chunk + 3) {
            let padding = String(repeating: "x", count: length - 29 - 2)
            let first = #"{"source":"\#(padding)","tick":1,"epoch":7}"#
            for end in ["\n", "\r\n"] {
                let items = try read(Data("\(first)\(end)\(Self.good)\(end)".utf8))
                #expect(
                    items.compactMap(\.request?.snapshot.tick) == [1, 31_473_834],
                    "\(first.utf8.count) \(end.debugDescription)")
            }
        }
    }

    @Test func longLinesAreSkipped() throws {
        var limits = RequestReader.Limits()
        limits.lineBytes = 200_000
        for (length, fits) in [(199_999, true), (200_000, true), (200_001, false), (200_002, false), (900_000, false)] {
            let head = #"{"tick":5,"x":""#
            let line = head + String(repeating: "y", count: length - head.utf8.count - 2) + "\"}"
            for end in ["\n", "\r\n"] {
                let data = Data("\(Self.good)\n\(line)\(end)\(Self.good)".utf8)
                let items = try read(data, limits: limits)
                try #require(items.count == 3, "\(length)")
                #expect((items[1].request != nil) == fits, "\(length) \(end.debugDescription)")
                #expect(items[2].request?.origin.line == 3)
                if !fits { #expect(items[1].rejection?.reason.hasPrefix("a line of ") == true) }
            }
        }
    }

    @Test func oneDocumentOverSeveralLines() throws {
        let text = """

            {
              "observed_at": "2026-09-18T21:53:48.254197",
              "endpoint": "https://rpc.qubic.org/v1/tick-info",
              "raw_payload": {
                "tickInfo": { "tick": 80686339, "duration": 0, "epoch": 231, "initialTick": 80371514 }
              }
            }

            """
        let request = try #require(try read(Data(text.utf8)).only?.request)
        #expect(request.origin.line == 2)
        #expect(request.id == "a.jsonl:2")
        #expect(request.snapshot.tick == 80_686_339)
        #expect(request.snapshot.kind == .tickInfo)
        #expect(request.snapshot.observedAt?.timeIntervalSince1970 == 1_789_768_428.254197)
        // The same with another file after it, and with Windows line ends.
        let both = try read(Data(text.replacing("\n", with: "\r\n").utf8), Data(Self.good.utf8))
        #expect(both.compactMap(\.request?.id) == ["a.jsonl:2", "b.jsonl:1"])
    }

    @Test func brokenDocumentIsOneRejection() throws {
        let text = "{\n" + (0..<3000).map { "  \"k\($0)\": \($0)" }.joined(separator: ",\n")
        let record = try #require(try read(Data(text.utf8)).only?.rejection)
        #expect(record.line == 1)
        #expect(record.reason.hasPrefix("not a JSON document: "))
        #expect(record.reason.contains("line 3001"))
        var limits = RequestReader.Limits()
        limits.documentBytes = 1000
        #expect(
            try read(Data(text.utf8), limits: limits).only?.rejection?.reason.contains("more than 1000 bytes") == true)
    }

    /// A torn first line does not take the lines after it with it.
    @Test func brokenFirstLine() throws {
        let items = try read(Data("{\"tick\":7,\n\(Self.good)\n\(Self.good)\n".utf8))
        #expect(items.compactMap(\.rejection?.line) == [1])
        #expect(items.compactMap(\.request?.origin.line) == [2, 3])
    }

    @Test func filesWithNothingInThem() throws {
        for text in ["", "\n", "\n\r\n  \n\t", "\u{FEFF}"] {
            let record = try #require(try read(Data(text.utf8)).only?.rejection, "\(text.debugDescription)")
            #expect(record.line == 0)
            #expect(record.reason.hasPrefix("an empty file"))
        }
    }

    @Test func otherFormatsAreNamed() throws {
        #expect(try read(Data([0x1F, 0x8B, 8, 0, 0x0A])).only?.rejection?.isTruncation == true)
        #expect(try read(Data("PK\u{3}\u{4}".utf8)).only?.rejection?.reason.contains("ZIP") == true)
        #expect(try read(Data("<!doctype html>".utf8)).only?.rejection?.reason.contains("HTML") == true)
        #expect(try read(Data([0xFF, 0xFE, 0x7B, 0])).only?.rejection?.reason.contains("UTF-16") == true)
        let random = try read(Data((0..<100_000).map { UInt8(truncatingIfNeeded: ($0 &* 7919) >> 3) }))
        #expect(random.allSatisfy { $0.rejection != nil })
    }

    @Test func filesThatAreNone() throws {
        try withFolder { folder in
            #expect(throws: InputError.noFiles) { try RequestReader(paths: []) }
            let missing = folder.appending(path: "missing.jsonl").path
            #expect(throws: InputError.missing(path: missing)) { try RequestReader(paths: [missing]) }
            #expect(throws: InputError.emptyFolder(path: folder.path)) { try RequestReader(paths: [folder.path]) }
            let looped = folder.appending(path: "loop").path
            try FileManager.default.createSymbolicLink(atPath: looped, withDestinationPath: looped)
            #expect(throws: InputError.self) { try RequestReader(paths: [looped]) }
        }
    }

    @Test func zeroSnapshots() throws {
        try withFolder { folder in
            let url = folder.appending(path: "a.jsonl")
            try Data("{}\n".utf8).write(to: url)
            let reader = try RequestReader(paths: [url.path])
            _ = try all(reader)
            #expect(throws: InputError.noRequests(files: [url.path], rejected: 1)) { try reader.requireRequests() }
            let good = try RequestReader(paths: [recorded.appending(path: "poller.jsonl").path])
            _ = try all(good)
            try good.requireRequests()
        }
    }

    @Test func messagesSayWhatToDo() {
        #expect(
            InputError.isDirectory(path: "in").description
                == "in: is a directory; expected a file; name the files in it, e.g. in/*.jsonl")
    }
}
