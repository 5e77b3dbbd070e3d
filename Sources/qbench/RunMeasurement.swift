import Benchmark
import Foundation
import QDashboard
import Reporting
import Runtime
import ToolSupport

extension RunCommand {
    /// Answers, scores, compares with the reference, checks a trace, and writes the reports.
    func measure() async throws -> KPIEvaluation {
        let directory = URL(fileURLWithPath: output, isDirectory: true)
        let targets = try KPIFile.read(URL(fileURLWithPath: kpi))
        let data = try Dataset(folder: dataset, limit: limit)
        let requests = data.requests
        for record in data.rejected { note("rejected: \(record.file):\(record.line): \(record.reason)") }
        try ReportFiles.check(directory, overwrite: force)
        let benchmark = SnapshotBenchmark(
            model: URL(fileURLWithPath: model), engine: try engine.options, chatTemplate: engine.chatTemplate,
            prompts: PromptLibrary.folder(prompts, model: URL(fileURLWithPath: model)), language: language,
            load: Load(
                scenario, requestsPerSecond: rate ?? 1, seed: seed, maxConcurrency: maxConcurrency,
                streams: streams))
        let progress = Progress("requests", total: requests.count)
        let measured = try benchmark.run(requests) { progress.update($0) }
        progress.finish()
        var quality: [QualityMeasure] = []
        var notes = ["No --reference was given, so no agreement was measured."]
        if let reference {
            notes = ["Agreement is with the reference model: no claim that its answers are right."]
            var other = benchmark
            other.model = URL(fileURLWithPath: reference)
            quality = try await Agreement(of: benchmark, with: other, texts: agreementTexts).measure(
                measured, on: data.sample(agreementRequests))
        }
        let others = also.map { path in
            var other = benchmark
            other.model = URL(fileURLWithPath: path)
            return other
        }
        let tasks = try benchmark.tasks(measured, requests: requests, labels: data.labels, also: others) {
            note("answering with \($0)")
        }
        quality += tasks.measures
        var observations: [Observation] = []
        if traceRequests > 0 {
            observations.append(
                try TraceCheck(benchmark).measure(
                    Array(requests.prefix(traceRequests)), to: trace.map { URL(fileURLWithPath: $0) }, force: force))
        }
        let results = try benchmark.results(
            measured, dataset: RunConfiguration.Dataset(path: dataset, digest: nil, items: requests.count),
            quality: quality, tasks: tasks, observations: observations, targets: targets, notes: notes)
        let written = try ReportFiles.write(results, to: directory, overwrite: force)
        let evaluation = KPIEvaluation(results)
        let colour = VerdictTable.wantsColour(
            isTerminal: isatty(STDOUT_FILENO) == 1, environment: ProcessInfo.processInfo.environment)
        print(VerdictTable.text(evaluation, colour: colour))
        for url in written { print(url.relativePath) }
        return evaluation
    }
}
