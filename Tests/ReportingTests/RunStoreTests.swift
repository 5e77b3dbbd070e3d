import Foundation
import GRDB
import Reporting
import Testing

struct RunStoreTests {
    private func rows(_ count: Int) -> [StoredRequest] {
        (0..<count).map { StoredRequest(id: "r\($0)", position: $0, inputHash: "h\($0)") }
    }

    @Test func finishedAnswersSurviveAndAreFound() throws {
        try Fixture.temporary { directory in
            let url = directory.appendingPathComponent("run.sqlite")
            let answer = #"{"analysis":"網路穩定 \u0000","confidence":0.85}"#
            do {
                let store = try RunStore(url)
                let run = try store.beginRun(configurationDigest: "A", description: "{}")
                try store.add(rows(4), to: run)
                try store.start("r1", of: run, node: "n0")
                try store.finish(
                    "r1", of: run, answer: answer, timings: .init(queueMs: 1.5, totalMs: 9, outputTokens: 3))
                try store.start("r2", of: run)
                try store.start("r2", of: run)
                try store.fail("r3", of: run, error: "no")
                // Another configuration's answers are not ours.
                let other = try store.beginRun(configurationDigest: "B", description: "{}")
                try store.add(rows(1), to: other)
                try store.finish("r0", of: other, answer: "{}", timings: .init())
            }
            let store = try RunStore(url)
            #expect(try store.finished(configurationDigest: "A") == ["h1": answer])
            #expect(try store.finished(configurationDigest: "C") == [:])
            let run = try store.runs()[0]
            #expect(run.state == .running, "it was never ended: killed")
            let stored = try store.requests(of: run.id)
            #expect(stored.map(\.state) == [.waiting, .finished, .running, .failed])
            #expect(stored.map(\.attempts) == [0, 1, 2, 0])
            #expect(stored[1].node == "n0" && stored[1].timings.queueMs == 1.5 && stored[1].timings.ttftMs == nil)
            #expect(stored[3].error == "no")
            try store.endRun(run.id, .finished)
            #expect(try store.runs()[0].state == .finished)
        }
    }

    /// What a kill right after each commit would leave must hold that commit.
    @Test func holdsEachCommitAtOnce() throws {
        try Fixture.temporary { directory in
            let url = directory.appendingPathComponent("run.sqlite")
            let store = try RunStore(url)
            let run = try store.beginRun(configurationDigest: "A", description: "{}")
            try store.add(rows(20), to: run)
            for i in 0..<20 {
                try store.finish("r\(i)", of: run, answer: "\(i)", timings: .init())
                // What is on the disk at this moment, as a kill would leave it: file and log, copied.
                let copy = directory.appendingPathComponent("copy-\(i).sqlite")
                for suffix in ["", "-wal"] {
                    let from = url.path + suffix
                    if FileManager.default.fileExists(atPath: from) {
                        try FileManager.default.copyItem(atPath: from, toPath: copy.path + suffix)
                    }
                }
                #expect(try RunStore(copy).finished(configurationDigest: "A").count == i + 1)
            }
        }
    }

    /// What was at work when a process died is suspect; only what it died of twice, alone, is guilty.
    @Test func deathsAreCounted() throws {
        try Fixture.temporary { directory in
            let store = try RunStore(directory.appendingPathComponent("run.sqlite"))
            let run = try store.beginRun(configurationDigest: "A", description: "{}")
            func row(_ id: String) throws -> StoredRequest { try #require(try store.request(id, of: run)) }
            #expect(try store.request("r0", of: run) == nil)
            try store.begin(rows(3), of: run)
            try store.end([.answered(id: "r0", answer: "{}", .init(stagesMs: [1.5, 0.25]))], of: run)
            try store.reopenRun(run)
            #expect(try row("r0").state == .finished && row("r0").timings.stagesMs == [1.5, 0.25])
            #expect(try row("r1").deaths == 1 && row("r1").deathsAlone == 0 && row("r1").state == .waiting)
            // An orderly end is nobody's death.
            try store.begin([rows(3)[1]], of: run, alone: true)
            try store.endRun(run, .failed)
            try store.reopenRun(run)
            #expect(try row("r1").deaths == 1 && row("r1").attempts == 2 && row("r1").deathsAlone == 0)
            for _ in 0..<2 {
                try store.begin([rows(3)[1]], of: run, alone: true)
                try store.reopenRun(run)
            }
            #expect(try row("r1").state == .quarantined && row("r1").deaths == 3 && row("r1").error != nil)
            #expect(try row("r2").state == .waiting)
            // Another input under the same id begins anew.
            var changed = rows(3)[1]
            changed.inputHash = "other"
            try store.begin([changed], of: run)
            #expect(try row("r1").attempts == 1 && row("r1").deaths == 0 && row("r1").state == .running)
            #expect(
                failure { try store.end([.failed(id: "r2", error: "no"), .failed(id: "x", error: "no")], of: run) }
                    != nil)
            #expect(try row("r2").state == .waiting, "all or none")
            #expect(try store.runs()[0].launches == 5)
        }
    }

    @Test func manyThreadsWrite() throws {
        try Fixture.temporary { directory in
            let store = try RunStore(directory.appendingPathComponent("run.sqlite"))
            let run = try store.beginRun(configurationDigest: "A", description: "{}")
            try store.add(rows(64), to: run)
            DispatchQueue.concurrentPerform(iterations: 64) { i in
                try? store.finish("r\(i)", of: run, answer: "\(i)", timings: .init())
                try? store.record([NodeSample(node: "n\(i % 3)", elapsedMs: Double(i), utilization: 0.5)], of: run)
            }
            #expect(try store.finished(configurationDigest: "A").count == 64)
            let samples = try store.samples(of: run)
            #expect(samples.count == 64 && samples.first?.cpuSeconds == nil && samples.first?.utilization == 0.5)
        }
    }

    @Test func refusesWhatItDoesNotKnow() throws {
        try Fixture.temporary { directory in
            let store = try RunStore(directory.appendingPathComponent("run.sqlite"))
            let run = try store.beginRun(configurationDigest: "A", description: "{}")
            try store.add(rows(1), to: run)
            #expect(
                failure { try store.finish("nobody", of: run, answer: "", timings: .init()) }?.contains(
                    "has no request nobody") == true)
            #expect(failure { try store.endRun(99, .failed) }?.contains("has no run 99") == true)
            // All or none: the second id stands there already.
            let more = [StoredRequest(id: "new", position: 1, inputHash: "x"), rows(1)[0]]
            #expect(failure { try store.add(more, to: run) }?.contains("cannot add requests") == true)
            #expect(try store.requests(of: run).count == 1)
            let hostile = StoredRequest(id: "'); DROP TABLE runs; --", position: 2, inputHash: "\u{0}")
            try store.add([hostile], to: run)
            #expect(try store.requests(of: run).last?.id == hostile.id)
        }
    }

    @Test func foreignAndDamagedFiles() throws {
        try Fixture.temporary { directory in
            func file(_ name: String, _ data: Data) throws -> URL {
                let url = directory.appendingPathComponent(name)
                try data.write(to: url)
                return url
            }
            func said(_ url: URL, _ access: RunStore.Access = .readWrite) -> String {
                failure { _ = try RunStore(url, access: access) } ?? "accepted"
            }
            #expect(said(directory).contains("is a directory"))
            #expect(said(directory.appendingPathComponent("none"), .readOnly).contains("no such file"))
            #expect(said(try file("text", Data("hello, this is not a database".utf8))).contains("is no run store"))
            #expect(said(try file("head", Data("SQLite format 3\0".utf8) + Data(count: 40))).contains("no run store"))
            #expect(said(directory.appendingPathComponent("no/such/dir.sqlite")).contains("cannot open it"))

            let foreign = directory.appendingPathComponent("foreign.sqlite")
            try DatabaseQueue(path: foreign.path).write { try $0.execute(sql: "CREATE TABLE runs (id INTEGER)") }
            #expect(said(foreign).contains("is an SQLite file, but no run store"))
            #expect(said(foreign, .readOnly).contains("is an SQLite file, but no run store"))

            let good = directory.appendingPathComponent("good.sqlite")
            do {
                let store = try RunStore(good)
                let run = try store.beginRun(
                    configurationDigest: "A", description: String(repeating: "x", count: 50_000))
                try store.add(rows(500), to: run)
            }
            func changed(_ name: String, _ sql: String) throws -> URL {
                let url = directory.appendingPathComponent(name)
                try FileManager.default.copyItem(at: good, to: url)
                try DatabaseQueue(path: url.path).write { try $0.execute(sql: sql) }
                return url
            }
            #expect(said(try changed("newer.sqlite", "PRAGMA user_version = 4")).contains("expected version 3, got 4"))
            #expect(
                said(try changed("altered.sqlite", "ALTER TABLE runs DROP COLUMN finished_at")).contains("other tables")
            )

            var bytes = try Data(contentsOf: good)
            #expect(said(try file("short.sqlite", bytes.prefix(bytes.count / 2))).contains("damaged"))
            for i in bytes.count / 3..<bytes.count / 3 + 9000 { bytes[i] = 0xA5 }
            #expect(said(try file("torn.sqlite", bytes)).contains("damaged"))
            // What a kill between creation and the first write leaves is taken as new.
            _ = try RunStore(try file("empty.sqlite", Data()))
        }
    }

    @Test func readOnlyChangesNothing() throws {
        try Fixture.temporary { directory in
            let url = directory.appendingPathComponent("run.sqlite")
            do {
                let store = try RunStore(url)
                _ = try store.beginRun(configurationDigest: "A", description: "{}")
            }
            let store = try RunStore(url, access: .readOnly)
            #expect(try store.runs().count == 1)
            #expect(
                failure { _ = try store.beginRun(configurationDigest: "B", description: "") }?.contains(
                    "cannot begin a run") == true)
        }
    }
}
