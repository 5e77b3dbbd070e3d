/// Statistics, KPI evaluation, the run store (SQLite), and reports: JSON, Markdown, HTML, JUnit, terminal.
///
/// It knows nothing of inference: a runner fills `BenchmarkResults` and hands them over.
public enum ReportingRelease {
    /// The version of the toolkit, printed in every report.
    public static let toolVersion = "0.1.0"
}
