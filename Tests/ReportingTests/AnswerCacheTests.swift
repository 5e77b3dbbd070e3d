import Foundation
import GRDB
import Reporting
import Testing

@Suite struct AnswerCacheTests {
    private func withFile<R>(_ body: (URL) throws -> R) throws -> R {
        let folder = FileManager.default.temporaryDirectory.appending(path: "cache-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        return try body(folder.appending(path: "answers.sqlite"))
    }

    private func digest(_ text: String) -> String { "\(text.utf8.reduce(7) { ($0 &* 31) &+ UInt64($1) })" }

    @Test func keepsAnswers() throws {
        try withFile { url in
            let cache = try AnswerCache(url)
            #expect(try cache.answer("k", digest: digest) == nil)
            try cache.keep("one", digest: digest("one"), key: "k")
            try cache.keep("two", digest: digest("two"), key: "k")
            #expect(try cache.answer("k", digest: digest) == "one", "the first one stays")
            let again = try AnswerCache(url)
            #expect(try again.answer("k", digest: digest) == "one" && again.count() == 1)
        }
    }

    @Test func foreignAndDamagedFiles() throws {
        try withFile { url in
            func refuses(_ word: String, _ body: () throws -> Void) {
                #expect { try body() } throws: { "\($0)".contains(url.path) && "\($0)".contains(word) }
            }
            try Data("hello, I am a text of some length\n".utf8).write(to: url)
            refuses("no answer cache") { _ = try AnswerCache(url) }
            try FileManager.default.removeItem(at: url)
            _ = try RunStore(url)
            refuses("no answer cache") { _ = try AnswerCache(url) }
            for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: url.path + suffix) }
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
            refuses("directory") { _ = try AnswerCache(url) }
            try FileManager.default.removeItem(at: url)
            // What a kill while it was made leaves.
            try Data().write(to: url)
            #expect(try AnswerCache(url).count() == 0)
        }
    }

    @Test func aChangedAnswerIsNoAnswer() throws {
        try withFile { url in
            try AnswerCache(url).keep("one", digest: digest("one"), key: "k")
            let queue = try DatabaseQueue(path: url.path)
            try queue.write { try $0.execute(sql: "UPDATE answers SET answer = 'won'") }
            #expect {
                try AnswerCache(url).answer("k", digest: digest)
            } throws: { "\($0)".contains("changed") }
            try queue.write { try $0.execute(sql: "PRAGMA user_version = 9") }
            #expect {
                try AnswerCache(url)
            } throws: { "\($0)".contains("version") }
        }
    }

    @Test func halfAFile() throws {
        try withFile { url in
            do {
                let cache = try AnswerCache(url)
                for index in 0..<2000 {
                    let text = String(repeating: "\(index) ", count: 20)
                    try cache.keep(text, digest: digest(text), key: "\(index)")
                }
            }
            let queue = try DatabaseQueue(path: url.path)
            try queue.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) }
            try queue.close()
            for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: url.path + suffix) }
            let data = try Data(contentsOf: url)
            try data.prefix(data.count / 2 / 4096 * 4096).write(to: url)
            #expect {
                try AnswerCache(url)
            } throws: { "\($0)".contains(url.path) }
        }
    }
}
