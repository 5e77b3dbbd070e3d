import Foundation

/// Two runs held against each other.
public struct Comparison: Sendable {
    public struct Row: Sendable {
        public var name: String
        public var baseline: Double?
        public var candidate: Double?
        public var outcome: RegressionTest.Outcome
    }

    /// One for each measure that both runs have samples of. Milliseconds.
    public var rows: [Row]
    /// Why the runs cannot be compared; the verdict is then inconclusive.
    public var obstacles: [String]
    /// What differs and may be meant to.
    public var differences: [String]

    /// Regressed where any measure is, else inconclusive where any is, else improved where any is, else no change.
    public var verdict: RegressionTest.Verdict {
        if !obstacles.isEmpty || rows.isEmpty { return .inconclusive }
        let verdicts = Set(rows.map(\.outcome.verdict))
        for verdict in [RegressionTest.Verdict.regressed, .inconclusive, .improved] where verdicts.contains(verdict) {
            return verdict
        }
        return .noChange
    }

    /// - Parameters:
    ///   - confirmation: a second run of the candidate, without which nothing is called a change.
    ///   - test: its α is divided by the number of measures (Bonferroni), so that three chances of a false alarm are one.
    public init(
        baseline: BenchmarkResults, candidate: BenchmarkResults, confirmation: BenchmarkResults? = nil,
        test: RegressionTest = RegressionTest()
    ) {
        obstacles = Self.obstacles(baseline, candidate, "candidate")
        if let confirmation {
            obstacles += Self.obstacles(baseline, confirmation, "confirmation")
            if confirmation.model != candidate.model || confirmation.tool != candidate.tool {
                obstacles.append("the confirmation ran another model or build than the candidate")
            }
            if confirmation.startedAt == candidate.startedAt, confirmation.requests == candidate.requests {
                obstacles.append("the confirmation is the candidate's own run, not a second one")
            }
        }
        differences = []
        if baseline.model != candidate.model {
            differences.append(
                "model: \(baseline.model.name) (\(baseline.model.scheme)) → \(candidate.model.name) (\(candidate.model.scheme))"
            )
        }
        if baseline.tool != candidate.tool {
            differences.append(
                "build: \(baseline.tool.commit ?? baseline.tool.version) → \(candidate.tool.commit ?? candidate.tool.version)"
            )
        }
        let measures: [(String, KeyPath<RequestSample, Double?>)] = [
            ("total", \.totalMs), ("TTFT", \.ttftMs), ("TPOT", \.tpotMs),
        ]
        func samples(_ results: BenchmarkResults?, _ key: KeyPath<RequestSample, Double?>) -> [Double]? {
            results.map { $0.requests.filter { $0.status == .succeeded }.compactMap { $0[keyPath: key] } }
        }
        let usable = measures.filter { !(samples(baseline, $0.1)!.isEmpty && samples(candidate, $0.1)!.isEmpty) }
        var corrected = test
        corrected.alpha = test.alpha / Double(max(1, usable.count))
        let noises = [baseline, candidate, confirmation].compactMap { $0 }.map { $0.observation(.machineNoise)?.value }
        let noise = noises.contains { $0 == nil } ? nil : noises.compactMap { $0 }.max()
        rows = usable.map { name, key in
            let before = samples(baseline, key)!
            let after = samples(candidate, key)!
            return Row(
                name: name, baseline: Statistics.median(before), candidate: Statistics.median(after),
                outcome: corrected.compare(
                    baseline: before, candidate: after, noise: noise, confirmation: samples(confirmation, key)))
        }
        // A service that answers less is worse, however fast it is.
        let before = BenchmarkSummary(baseline)
        let after = BenchmarkSummary(candidate)
        if let low = before.successInterval?.low, let high = after.successInterval?.high, high < low {
            differences.append(
                "success fell from \(Format.percent(before.successRate!)) to \(Format.percent(after.successRate!))")
        }
    }

    private static func obstacles(_ a: BenchmarkResults, _ b: BenchmarkResults, _ what: String) -> [String] {
        var list: [String] = []
        func compare(_ name: String, _ x: String?, _ y: String?) {
            if x != y { list.append("\(what): \(name) differs (\(x ?? "unknown"), \(y ?? "unknown"))") }
        }
        compare("processor", a.machine.cpu, b.machine.cpu)
        compare("number of cores", "\(a.machine.cores)", "\(b.machine.cores)")
        compare("scenario", a.configuration.scenario.rawValue, b.configuration.scenario.rawValue)
        compare(
            "arrival rate", a.configuration.requestsPerSecond.map { "\($0)" },
            b.configuration.requestsPerSecond.map { "\($0)" })
        compare("dataset", a.configuration.dataset.digest, b.configuration.dataset.digest)
        compare("output limit", a.configuration.maxTokens.map(String.init), b.configuration.maxTokens.map(String.init))
        return list
    }

    /// An aligned table for a terminal.
    public func text() -> String {
        var out = ""
        for obstacle in obstacles { out += "not comparable: \(Escape.visible(obstacle))\n" }
        for difference in differences { out += "\(Escape.visible(difference))\n" }
        if !rows.isEmpty {
            if !out.isEmpty { out += "\n" }
            let header = ["median", "baseline", "candidate", "change", "p", "verdict", "why"]
            let cells = rows.map { row in
                [
                    row.name, row.baseline.map(Format.duration) ?? "—", row.candidate.map(Format.duration) ?? "—",
                    row.outcome.effect.map(Format.signedPercent) ?? "—",
                    row.outcome.p.map { $0 < 0.0001 ? "< 0.0001" : Format.fixed($0, 4) } ?? "—",
                    row.outcome.verdict.rawValue, row.outcome.reason,
                ]
            }
            let widths = header.indices.map { i in ([header] + cells).map { VerdictTable.width($0[i]) }.max()! }
            for line in [header] + cells {
                var text = ""
                for (i, cell) in line.enumerated() {
                    let gap = String(repeating: " ", count: widths[i] - VerdictTable.width(cell))
                    text += (i == 0 ? "" : "  ") + ((1...4).contains(i) ? gap + cell : cell + gap)
                }
                while text.last == " " { text.removeLast() }
                out += text + "\n"
            }
        }
        return out + "\nverdict: \(verdict.rawValue)\n"
    }
}
