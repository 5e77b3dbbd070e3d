import Foundation
import QDashboard
import Reporting
import Runtime

/// Whether a trace of this model's run is whole: some requests are answered again with one, and it is read back.
public struct TraceCheck: Sendable {
    public var benchmark: SnapshotBenchmark

    public init(_ benchmark: SnapshotBenchmark) {
        self.benchmark = benchmark
        self.benchmark.load = Load(.offline)
    }

    /// - Parameter url: where the trace goes; nil for a temporary file that is gone afterwards.
    public func measure(_ requests: [AnalysisRequest], to url: URL?, force: Bool) throws -> Observation {
        let file = url ?? FileManager.default.temporaryDirectory.appending(path: "qbench-\(UUID().uuidString).h5")
        defer { if url == nil { try? FileManager.default.removeItem(at: file) } }
        let checkpoint = try Checkpoint(directory: benchmark.model)
        let trace = try Trace(
            url: file, level: .residuals, model: checkpoint.configuration,
            attributes: ["model": benchmark.model.lastPathComponent, "model_digest": try checkpoint.digest()],
            force: force)
        let measured = try benchmark.run(requests, trace: trace)
        for outcome in measured.outcomes { _ = try outcome.result.get() }
        try trace.finish()
        let summary = try TraceSummary(TraceFile(url: file))
        let datasets = summary.requests.reduce(0) { $0 + $1.expectedDatasets }
        return Observation(
            .traceCompleteness, (summary.completenessPercent ?? 0) / 100,
            note: "\(requests.count) of the requests, answered again with a trace of every layer, read back: "
                + "\(datasets) datasets expected. The measured run was not traced.")
    }
}
