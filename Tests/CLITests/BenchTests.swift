import Foundation
import Testing

@Suite struct BenchTests {
    @Test func runReportCompare() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let dataset = folder.appending(path: "dataset")
            try FileManager.default.createDirectory(at: dataset, withIntermediateDirectories: true)
            _ = try makeSnapshots(in: dataset, count: 12)
            let output = folder.appending(path: "report")
            func bench(_ output: URL, _ more: String...) throws -> Tool.Outcome {
                try Tool.qbench.run(
                    [
                        "run", model, "--dataset", dataset.path, "--kpi", path("Datasets/kpi.yaml"), "--output",
                        output.path, "--prompts", prompts, "--stages", "2",
                    ] + more)
            }
            let first = try bench(output, "--reference", model, "--agreement-requests", "3", "--agreement-texts", "2")
            #expect(first.status == 0, "\(first.errors)")
            for name in ["results.json", "report.md", "report.html", "junit.xml"] {
                #expect(FileManager.default.fileExists(atPath: output.appending(path: name).path), "\(name)")
            }
            let results = output.appending(path: "results.json")
            let read = try #require(
                try JSONSerialization.jsonObject(with: Data(contentsOf: results)) as? [String: Any])
            #expect((read["requests"] as? [Any])?.count == 12)
            #expect((read["stages"] as? [Any])?.count == 2)
            // The model against itself, both in fp32: all the same.
            let quality = try #require(read["quality"] as? [[String: Any]])
            #expect(Set(quality.compactMap { $0["name"] as? String }) == ["sentiment-agreement", "top1-agreement"])
            #expect(quality.allSatisfy { $0["value"] as? Double == 1 })
            let observations = try #require(read["observations"] as? [[String: Any]])
            let completeness = observations.first { $0["name"] as? String == "trace-completeness" }
            #expect(completeness?["value"] as? Double == 1)
            let html = try text(output.appending(path: "report.html"))
            #expect(!html.contains("src=\"http") && !html.contains("href=\"http"))

            // Reports that exist stay; the same samples give the same reports.
            #expect(try bench(output).status == 1)
            let again = folder.appending(path: "again")
            let report = try Tool.qbench("report", results.path, "--output", again.path)
            #expect(report.status == 0, "\(report.errors)")
            #expect(
                try text(again.appending(path: "report.md")) == text(output.appending(path: "report.md")))

            // Twelve requests give no claim of a p99, and a target that is missed fails a strict run.
            let strict = folder.appending(path: "strict.yaml")
            try Data(
                "version: 1\ntargets:\n  t:\n    title: T\n    metric: throughput\n    above: 1000000 requests/s\n".utf8
            ).write(to: strict)
            let missed = try Tool.qbench(
                "run", model, "--dataset", dataset.path, "--kpi", strict.path, "--output",
                folder.appending(path: "strict").path, "--prompts", prompts, "--strict", "--stages", "2")
            #expect(missed.status == 1, "\(missed.errors)")
            #expect(missed.output.contains("FAIL"), "\(missed.output)")

            let compared = try Tool.qbench("compare", results.path, results.path)
            #expect(compared.status == 0 || compared.status == 3, "\(compared.output)")
        }
    }

    @Test(arguments: ["single-stream", "multi-stream", "server", "offline"])
    func scenarios(scenario: String) throws {
        try withFolder { folder in
            _ = try makeSnapshots(in: folder, count: 6)
            let output = folder.appending(path: "out")
            let outcome = try Tool.qbench(
                "run", try makeModel(in: folder), "--dataset", folder.path, "--kpi", path("Datasets/kpi.yaml"),
                "--output", output.path, "--prompts", prompts, "--scenario", scenario, "--rate", "50", "--stages", "2")
            #expect(outcome.status == 0, "\(outcome.errors)")
            let read = try #require(
                try JSONSerialization.jsonObject(with: Data(contentsOf: output.appending(path: "results.json")))
                    as? [String: Any])
            #expect((read["configuration"] as? [String: Any])?["scenario"] as? String == scenario)
            let requests = try #require(read["requests"] as? [[String: Any]])
            #expect(requests.allSatisfy { $0["status"] as? String == "succeeded" })
            let arrivals = requests.compactMap { $0["arrivalMs"] as? Double }
            #expect(arrivals == arrivals.sorted())
        }
    }

    @Test func badInput() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let kpi = folder.appending(path: "kpi.yaml")
            try Data("version: 1\ntargets:\n  a:\n    metric: beauty\n".utf8).write(to: kpi)
            func refused(_ arguments: String..., word: String) throws {
                let outcome = try Tool.qbench.run(arguments)
                #expect(outcome.status == 1)
                #expect(outcome.errors.hasPrefix("error: ") && outcome.errors.contains(word), "\(outcome.errors)")
            }
            let out = folder.appending(path: "out").path
            try refused(
                "run", model, "--dataset", folder.path, "--kpi", kpi.path, "--output", out, word: "beauty")
            try refused(
                "run", model, "--dataset", folder.path, "--kpi", path("Datasets/kpi.yaml"), "--output", out,
                "--prompts", prompts, word: "jsonl")
            try refused(
                "run", model, "--dataset", folder.appending(path: "no").path, "--kpi", path("Datasets/kpi.yaml"),
                "--output", out, word: "no")
            try refused("report", kpi.path, "--output", out, word: "kpi.yaml")
            try refused("compare", kpi.path, kpi.path, word: "kpi.yaml")
        }
    }

    /// The page of `qbench engine` holds what its JSON says: a point and a row for each measurement.
    @Test func enginePage() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let page = folder.appending(path: "engine.html")
            let run = try Tool.qbench(
                "engine", model, "--prefill", "16", "--decode", "4", "--batch", "1,2", "--repetitions", "2", "--json",
                "--html", page.path)
            #expect(run.status == 0, "\(run.errors)")
            let figures = try #require(try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any])
            let rows = try #require(figures["rows"] as? [[String: Any]])
            #expect(rows.compactMap { $0["name"] as? String } == ["prefill 16", "decode", "decode ×2"])
            let html = try text(page)
            #expect(html.components(separatedBy: "<circle").count == 4)
            #expect(html.components(separatedBy: "<tr>").count == 5)
            #expect(!html.contains("<script") && !html.contains("http:") && !html.contains("https:"))
        }
    }
}
