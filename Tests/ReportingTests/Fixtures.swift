import Foundation
import Reporting

/// The files beside the scripts that made them.
enum Fixture {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    static func url(_ name: String) -> URL { root.appendingPathComponent("Tests/Fixtures/reporting/\(name)") }
    static let kpi = root.appendingPathComponent("Datasets/kpi.yaml")

    /// Runs `body` with a directory of its own, removed afterwards.
    static func temporary<T>(_ body: (URL) throws -> T) throws -> T {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("reporting-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        return try body(directory)
    }

    /// A run of `count` requests whose total times are 10, 20, … ms, one arriving each 100 ms, the last `failed` of them failed.
    static func results(
        count: Int = 700, failed: Int = 0, scale: Double = 10, scenario: Scenario = .server, name: String = "tiny",
        targets: [KPITarget] = [], noise: Double? = nil
    ) -> BenchmarkResults {
        let requests = (0..<count).map { i in
            i >= count - failed
                ? RequestSample(id: "r\(i)", status: .failed, arrivalMs: Double(i) * 100, totalMs: 1, error: "broken")
                : RequestSample(
                    id: "r\(i)", status: .succeeded, arrivalMs: Double(i) * 100, queueMs: 1, prefillMs: 2,
                    decodeMs: Double(i + 1) * scale - 3, totalMs: Double(i + 1) * scale, ttftMs: 3, promptTokens: 40,
                    outputTokens: 5)
        }
        return BenchmarkResults(
            tool: Tool(commit: "abc"), startedAt: Date(timeIntervalSince1970: 1_790_000_000),
            wallSeconds: Double(count) / 10,
            machine: Machine(
                cpu: "Test CPU", architecture: "x86_64", cores: 2, memoryBytes: 1 << 34, operatingSystem: "Test OS",
                kernelSet: "generic", compiler: nil),
            model: Model(name: name, digest: "d1", scheme: "int8"),
            configuration: RunConfiguration(
                stages: 3, threadsPerStage: 1, batch: 4, scenario: scenario, dataset: .init(path: "data", digest: "d2")),
            requests: requests,
            stages: [
                StageUsage(index: 0, utilization: 0.9, peakBytes: 100),
                StageUsage(index: 1, utilization: 0.7, peakBytes: 300),
            ],
            quality: [
                QualityMeasure(
                    name: "sentiment-agreement", title: "Sentiment", kind: .agreement, matches: 9, of: 10)!
            ],
            observations: noise.map { [Observation(.machineNoise, $0)] } ?? [], targets: targets)
    }
}

/// The wording of what `body` throws; nil where it throws nothing.
func failure(_ body: () throws -> Void) -> String? {
    do {
        try body()
        return nil
    } catch {
        return "\(error)"
    }
}
