import Foundation

/// JUnit XML as CI systems read it: a test case for each target. What was not measured is skipped, with its reason.
public enum JUnitReport {
    public static func xml(_ evaluation: KPIEvaluation, results: BenchmarkResults) -> String {
        let time = Format.fixed(results.wallSeconds, 3)
        let counts =
            "tests=\"\(evaluation.results.count)\" failures=\"\(evaluation.failed)\" errors=\"0\" "
            + "skipped=\"\(evaluation.notMeasured)\" time=\"\(time)\""
        var out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites \(counts)>\n"
        out += "  <testsuite name=\"qbench KPI\" \(counts) timestamp=\"\(Escape.xml(timestamp(results.startedAt)))\">\n"
        out += "    <properties>\n"
        for (name, value) in [
            ("model", results.model.name), ("model.digest", results.model.digest),
            ("model.scheme", results.model.scheme),
            ("machine.cpu", results.machine.cpu), ("machine.kernels", results.machine.kernelSet),
            ("scenario", results.configuration.scenario.rawValue), ("commit", results.tool.commit),
        ] {
            guard let value else { continue }
            out += "      <property name=\"\(name)\" value=\"\(Escape.xml(value))\"/>\n"
        }
        out += "    </properties>\n"
        for r in evaluation.results {
            out += "    <testcase classname=\"qbench.kpi\" name=\"\(Escape.xml(r.target.id))\" time=\"0\""
            let said = "\(r.name): \(r.measuredText ?? "not measured"), must be \(r.targetText)"
            switch r.verdict {
            case .pass:
                out += ">\n      <system-out>\(Escape.xml(said))</system-out>\n    </testcase>\n"
            case .fail:
                let body = [said, r.remark, r.target.metric.formula].compactMap { $0 }.joined(separator: ". ")
                out +=
                    ">\n      <failure type=\"KPIMissed\" message=\"\(Escape.xml(said))\">\(Escape.xml(body))</failure>\n"
                out += "    </testcase>\n"
            case .notMeasured:
                let reason = "not measured: \(r.remark ?? "no reason recorded")"
                out += ">\n      <skipped message=\"\(Escape.xml(reason))\"/>\n    </testcase>\n"
            }
        }
        return out + "  </testsuite>\n</testsuites>\n"
    }

    /// JUnit's schema takes no zone.
    private static func timestamp(_ iso: String) -> String { iso.hasSuffix("Z") ? String(iso.dropLast()) : iso }
}
