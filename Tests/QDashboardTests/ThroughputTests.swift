import Foundation
import QDashboard
import Testing

@Suite struct ThroughputTests {
    /// 40 MB of records leave no more behind than a few chunks: memory does not grow with the input. Measured in a
    /// process of its own, since the other tests' memory is not the reader's.
    @Test func constantMemory() async {
        await #expect(processExitsWith: .success) {
            try withFolder { folder in
                let line = try Data(contentsOf: recorded.appending(path: "latest_stats.jsonl")).split(separator: 0x0A)[
                    1]
                let text =
                    String(decoding: line, as: UTF8.self).replacing("\"id\":\"latest-stats-epoch-232\",", with: "")
                    + "\n"
                let url = folder.appending(path: "a.jsonl")
                let block = Data(String(repeating: text, count: 1000).utf8)
                _ = FileManager.default.createFile(atPath: url.path, contents: nil)
                let file = try FileHandle(forWritingTo: url)
                for _ in 0..<80 { try file.write(contentsOf: block) }
                try file.close()
                let reader = try RequestReader(paths: [url.path])
                for _ in 0..<1000 { _ = try reader.next() }
                let before = try residentBytes()
                while try reader.next() != nil {}
                #expect(reader.accepted == 80_000)
                #expect(try residentBytes() - before < 10_000_000)
            }
        }
    }
}

/// Linux: the second field of statm, in pages.
private func residentBytes() throws -> Int {
    let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
    return try #require(text.split(separator: " ").dropFirst().first.flatMap { Int($0) })
        * Int(sysconf(Int32(_SC_PAGESIZE)))
}
