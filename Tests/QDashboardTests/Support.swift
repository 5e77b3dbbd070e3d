import Foundation
import QDashboard
import Runtime
import Testing

let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
let recorded = repository.appending(path: "Datasets/recorded")

func fixture(_ name: String) throws -> JSONValue {
    let url = repository.appending(path: "Tests/Fixtures/qdashboard/\(name)")
    return try JSONValue(parsing: Data(contentsOf: url), place: name)
}

/// A folder of the test's own, gone afterwards.
func withFolder<R>(_ body: (URL) throws -> R) throws -> R {
    let folder = FileManager.default.temporaryDirectory.appending(path: "qdashboard-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder)
}

/// What a reader gives out for files of these contents, named a.jsonl, b.jsonl, …
func read(_ contents: Data..., limits: RequestReader.Limits = .init()) throws -> [RequestReader.Item] {
    try withFolder { folder in
        let paths = try contents.enumerated().map { index, data in
            let url = folder.appending(path: "\(["a", "b", "c"][index]).jsonl")
            try data.write(to: url)
            return url.path
        }
        return try all(try RequestReader(paths: paths, limits: limits))
    }
}

func all(_ reader: RequestReader) throws -> [RequestReader.Item] {
    var items: [RequestReader.Item] = []
    while let item = try reader.next() { items.append(item) }
    return items
}

/// The only record of a file with this text.
func snapshot(_ text: String) throws -> Snapshot { try #require(try read(Data(text.utf8)).only?.request).snapshot }

/// The reason for which the only record of a file with this text is rejected.
func rejection(_ text: String) throws -> String { try #require(try read(Data(text.utf8)).only?.rejection).reason }

extension Array {
    var only: Element? { count == 1 ? self[0] : nil }
}

extension RequestReader.Item {
    var request: AnalysisRequest? { if case .request(let request) = self { request } else { nil } }
    var rejection: RejectedRecord? { if case .rejected(let record) = self { record } else { nil } }
}
