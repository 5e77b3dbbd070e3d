import Foundation
import Science
import Testing

@Suite struct FilesTests {
    /// Same seed, same bytes; 40 requests, half in each language, each with its label.
    @Test func sameBytes() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "science-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        var contents: [[String: Data]] = []
        for name in ["a", "b"] {
            let anchors = try generator().anchors.suffix(22)
            var files = SyntheticFiles(
                generator: Generator(anchors: Array(anchors), settings: SyntheticSettings(seed: 3, days: 0.5)))
            files.requests = 40
            try files.write(to: folder.appending(path: name))
            var read: [String: Data] = [:]
            for file in try FileManager.default.contentsOfDirectory(atPath: folder.appending(path: name).path) {
                read[file] = try Data(contentsOf: folder.appending(path: name).appending(path: file))
            }
            contents.append(read)
        }
        #expect(contents[0] == contents[1])
        #expect(contents[0].count == 9)
        func lines(_ name: String) -> Int { contents[0][name]!.count { $0 == 0x0A } }
        #expect(lines("requests.en.jsonl") == 20 && lines("requests.zh.jsonl") == 20)
        #expect(lines("requests.labels.jsonl") == 40)
    }
}
