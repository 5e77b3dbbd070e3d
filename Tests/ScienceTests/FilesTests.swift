import Foundation
import Science
import Testing

@Suite struct FilesTests {
    /// Same seed, same bytes.
    @Test func sameBytes() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "science-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        var contents: [[String: Data]] = []
        for name in ["a", "b"] {
            let anchors = try generator().anchors.suffix(22)
            let files = SyntheticFiles(
                generator: Generator(anchors: Array(anchors), settings: SyntheticSettings(seed: 3, days: 0.5)))
            try files.write(to: folder.appending(path: name))
            var read: [String: Data] = [:]
            for file in try FileManager.default.contentsOfDirectory(atPath: folder.appending(path: name).path) {
                read[file] = try Data(contentsOf: folder.appending(path: name).appending(path: file))
            }
            contents.append(read)
        }
        #expect(contents[0] == contents[1])
        #expect(
            contents[0].keys.sorted() == [
                "calibration.jsonl", "calibration.labels.jsonl", "test.jsonl", "test.labels.jsonl", "train.jsonl",
                "train.labels.jsonl",
            ])
    }
}
