import Foundation
import QDashboard

/// A folder of recordings (`*.jsonl`, `*.jsonl.gz`), and the labels beside them (`*.labels.jsonl`).
public struct Dataset: Sendable {
    /// In the order of the files' names.
    public let requests: [AnalysisRequest]
    public let rejected: [RejectedRecord]
    public let labels: TaskLabels

    /// - Parameter limit: requests to take at the most.
    /// - Throws: `BenchmarkError.noRecordings`, `.badLabel`; what the reader throws.
    public init(folder: String, limit: Int? = nil) throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter {
            ($0.hasSuffix(".jsonl") || $0.hasSuffix(".jsonl.gz")) && !$0.hasSuffix(TaskLabels.suffix)
        }
        guard !names.isEmpty else { throw BenchmarkError.noRecordings(folder: folder) }
        labels = try TaskLabels(folder: folder)
        let reader = try RequestReader(
            paths: names.sorted().map { folder + "/" + $0 }, computesFacts: true, digestsInput: false)
        var requests: [AnalysisRequest] = []
        var rejected: [RejectedRecord] = []
        while requests.count < limit ?? .max, let item = try reader.next() {
            switch item {
            case .request(let request): requests.append(request)
            case .rejected(let record): rejected.append(record)
            }
        }
        try reader.requireRequests()
        (self.requests, self.rejected) = (requests, rejected)
    }

    /// At most `count` requests, evenly spaced.
    public func sample(_ count: Int) -> [AnalysisRequest] {
        let step = max(1, requests.count / count)
        return Array(requests.indices.filter { $0.isMultiple(of: step) }.prefix(count).map { requests[$0] })
    }
}
