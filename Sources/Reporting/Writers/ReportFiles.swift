import Foundation
import Runtime

/// The files of one report, in one directory.
public enum ReportFiles {
    /// What `write` makes.
    public static let names = ["results.json", "report.md", "report.html", "junit.xml"]

    /// Writes results.json, report.md, report.html and junit.xml into `directory`, which is created where missing. Each
    /// file appears whole or not at all, and nothing is written before everything is known to be writable text.
    ///
    /// - Parameters:
    ///   - source: the file that the results were read from. Where it is the directory's results.json itself, that one is
    ///     left as it is.
    ///   - overwrite: whether existing files are replaced; if not, one existing file is an error before any is written.
    /// - Returns: the files written.
    /// - Throws: `ReportingError`, `FileWriteError`.
    @discardableResult
    public static func write(
        _ results: BenchmarkResults, to directory: URL, source: URL? = nil, overwrite: Bool = false,
        chartLibrary: URL = HTMLReport.defaultChartLibrary
    ) throws -> [URL] {
        let evaluation = KPIEvaluation(results)
        // The library first: its absence is the likeliest mistake, and nothing has been written yet.
        let library = try HTMLReport.chartLibrary(at: chartLibrary)
        var files: [(URL, Data)] = []
        let json = directory.appendingPathComponent("results.json")
        if source?.resolvingSymlinksInPath().standardizedFileURL.path
            != json.resolvingSymlinksInPath().standardizedFileURL.path
        {
            files.append((json, try results.json()))
        }
        for (name, text) in [
            ("report.md", MarkdownReport.markdown(results, evaluation)),
            ("report.html", try HTMLReport.html(results, evaluation, chartLibrary: library)),
            ("junit.xml", JUnitReport.xml(evaluation, results: results)),
        ] {
            files.append((directory.appendingPathComponent(name), Data(text.utf8)))
        }
        try check(directory, overwrite: overwrite, names: files.map(\.0.lastPathComponent))
        do {
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        } catch {
            throw ReportingError.unreadable(
                path: directory.path, reason: "it cannot be created, \((error as NSError).localizedDescription)")
        }
        for (url, data) in files { try AtomicFile.write(data, to: url, overwrite: overwrite) }
        return files.map(\.0)
    }

    /// Whether `write` may write there: asked before a run that takes minutes.
    public static func check(_ directory: URL, overwrite: Bool, names: [String] = Self.names) throws {
        var isDirectory: ObjCBool = false
        if FileManager.default.fileExists(atPath: directory.path, isDirectory: &isDirectory), !isDirectory.boolValue {
            throw ReportingError.invalidValue(
                place: directory.path, problem: "is not a directory", expected: "a directory to write into",
                got: "a file")
        }
        for name in names where !overwrite {
            let url = directory.appendingPathComponent(name)
            if FileManager.default.fileExists(atPath: url.path) { throw FileWriteError.exists(path: url.path) }
        }
    }
}
