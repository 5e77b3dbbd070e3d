import Foundation
import Yams

/// kpi.yaml: the targets, one mapping entry each. Strict: an unknown key, unit or metric, a duplicate, a missing or
/// surplus key is an error that names the line.
///
/// ```yaml
/// version: 1
/// targets:
///   latency:
///     title: Latency
///     metric: latency
///     percentile: p99
///     below: 2 s
/// ```
public enum KPIFile {
    static let sizeLimit: Int64 = 1 << 20

    /// - Throws: `ReportingError`.
    public static func read(_ url: URL) throws -> [KPITarget] {
        try parse(SmallFile.text(url, limit: sizeLimit), place: url.path)
    }

    /// - Parameter place: how errors name the text.
    public static func parse(_ yaml: String, place: String) throws -> [KPITarget] {
        let root: Node?
        do {
            root = try Yams.compose(yaml: yaml)
        } catch let error as YamlError {
            throw worded(error, place)
        }
        guard let root else {
            throw ReportingError.malformed(place: place, problem: "is empty", expected: "targets", got: nil)
        }
        var reader = Reader(place: place)
        return try reader.targets(root)
    }

    private static func worded(_ error: YamlError, _ place: String) -> ReportingError {
        func at(_ mark: Mark?) -> String { mark.map { "\(place):\($0.line)" } ?? place }
        switch error {
        case .duplicatedKeysInMapping(let duplicates, let context):
            let names = duplicates.map { "\($0)".prefix(80) }.joined(separator: ", ")
            return .malformed(
                place: at(context.mark), problem: "a key stands there twice", expected: "each key once", got: names)
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return .malformed(place: at(mark), problem: "is not valid YAML: \(problem)", expected: nil, got: nil)
        case .reader(let problem, _, _, _):
            return .malformed(place: place, problem: "is not valid YAML: \(problem)", expected: nil, got: nil)
        default:
            return .malformed(place: place, problem: "is not valid YAML", expected: nil, got: "\(error)")
        }
    }
}

private struct Reader {
    let place: String

    func error(_ node: Node, _ problem: String, expected: String? = nil, got: String? = nil) -> ReportingError {
        let line = node.mark.map { ":\($0.line)" } ?? ""
        return .malformed(
            place: place + line, problem: problem, expected: expected, got: got.map { String($0.prefix(80)) })
    }

    func describe(_ node: Node) -> String {
        switch node {
        case .scalar(let scalar): scalar.string.isEmpty ? "nothing" : scalar.string
        case .mapping: "a mapping"
        case .sequence: "a sequence"
        case .alias: "an alias"
        }
    }

    func text(_ node: Node, _ what: String) throws -> String {
        guard case .scalar(let scalar) = node, !scalar.string.isEmpty else {
            throw error(node, "\(what) is no text", expected: "text", got: describe(node))
        }
        return scalar.string
    }

    func entries(_ node: Node, _ what: String) throws -> [(key: Node, name: String, value: Node)] {
        guard case .mapping(let mapping) = node else {
            throw error(node, "\(what) is no mapping", expected: "keys with values", got: describe(node))
        }
        return try mapping.map { (key: $0.key, name: try text($0.key, "a key"), value: $0.value) }
    }

    mutating func targets(_ root: Node) throws -> [KPITarget] {
        var body: Node?
        var hasVersion = false
        for (key, name, value) in try entries(root, "the file") {
            switch name {
            case "version":
                let version = try text(value, "version")
                guard version == "1" else {
                    throw ReportingError.version(path: place, kind: "KPI file", expected: 1, got: version)
                }
                hasVersion = true
            case "targets": body = value
            default: throw error(key, "unknown key", expected: "version or targets", got: name)
            }
        }
        guard hasVersion else { throw error(root, "version is missing", expected: "version: 1") }
        guard let body else { throw error(root, "targets is missing") }
        let list = try entries(body, "targets").map { try target($0.key, $0.name, $0.value) }
        guard !list.isEmpty else { throw error(body, "there is no target", expected: "at least one") }
        return list
    }

    private func target(_ key: Node, _ id: String, _ node: Node) throws -> KPITarget {
        guard id.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }) else {
            throw error(key, "not a target's name", expected: "letters, digits, - and _", got: id)
        }
        var title: String?
        var metric: KPIMetric?
        var percentile: Node?
        var fallback: Node?
        var measure: Node?
        var note: String?
        var bound: (comparison: KPITarget.Comparison, node: Node)?
        for (key, name, value) in try entries(node, id) {
            switch name {
            case "title": title = try text(value, "title")
            case "note": note = try text(value, "note")
            case "metric":
                let name = try text(value, "metric")
                metric = KPIMetric(rawValue: name)
                if metric == nil {
                    throw error(
                        value, "unknown metric",
                        expected: "one of " + KPIMetric.allCases.map(\.rawValue).joined(separator: ", "), got: name)
                }
            case "percentile": percentile = value
            case "fallback": fallback = value
            case "measure": measure = value
            default:
                guard let comparison = KPITarget.Comparison(rawValue: name) else {
                    throw error(
                        key, "unknown key",
                        expected:
                            "title, metric, percentile, fallback, measure, note, below, above, at-most or at-least",
                        got: name)
                }
                if let bound {
                    throw error(
                        key, "\(id) has two bounds", expected: "one",
                        got: "\(bound.comparison.rawValue) and \(name)")
                }
                bound = (comparison, value)
            }
        }
        guard let metric else { throw error(key, "\(id) has no metric") }
        guard let bound else { throw error(key, "\(id) has no bound", expected: "below, above, at-most or at-least") }
        let percentiles = try self.percentiles(key, id, metric, percentile, fallback)
        var measureName: String?
        if let measure {
            guard metric == .quality else { throw error(measure, "measure belongs to metric quality only") }
            measureName = try text(measure, "measure")
        } else if metric == .quality {
            throw error(key, "\(id) does not say which quality", expected: "measure: NAME")
        }
        return KPITarget(
            id: id, title: title ?? id, metric: metric, comparison: bound.comparison,
            value: try quantity(bound.node, metric.dimension), percentile: percentiles.first,
            fallback: percentiles.count > 1 ? Array(percentiles.dropFirst()) : nil, measure: measureName, note: note)
    }

    private func percentiles(
        _ key: Node, _ id: String, _ metric: KPIMetric, _ percentile: Node?, _ fallback: Node?
    ) throws -> [String] {
        guard metric.hasPercentiles else {
            if let node = percentile ?? fallback { throw error(node, "\(metric.rawValue) has no percentiles") }
            return []
        }
        guard let percentile else { throw error(key, "\(id) has no percentile", expected: "such as percentile: p99") }
        var nodes = [percentile]
        if let fallback {
            guard case .sequence(let sequence) = fallback else {
                throw error(fallback, "fallback is no list", expected: "such as [p95, p90]", got: describe(fallback))
            }
            nodes += sequence
        }
        var previous: Percentile?
        return try nodes.map { node in
            let name = try text(node, "percentile")
            guard let value = Percentile(name) else {
                throw error(node, "not a percentile", expected: "such as p99 or p99.9", got: name)
            }
            if let previous, value >= previous {
                throw error(node, "fallbacks go down", expected: "below \(previous)", got: name)
            }
            previous = value
            return value.description
        }
    }

    /// "2 s", "85 %", "20 000 queries/day" → base unit.
    private func quantity(_ node: Node, _ dimension: Dimension) throws -> Double {
        let written = try text(node, "the bound")
        let units = dimension.units.keys.sorted().joined(separator: ", ")
        guard let unit = dimension.units.keys.filter({ written.hasSuffix($0) }).max(by: { $0.count < $1.count }) else {
            throw error(
                node, "a bound without a unit that fits", expected: "a number and one of \(units)", got: written)
        }
        // Spaces between digits group thousands: "20 000".
        let digits = String(written.dropLast(unit.count)).filter { $0 != " " && $0 != "_" }
        guard digits.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }), let number = Double(digits),
            number.isFinite, number > 0, number <= 1e12
        else {
            throw error(node, "not a quantity", expected: "a number above 0 and one of \(units)", got: written)
        }
        let factor = dimension.units[unit]!
        let value = number * factor.times / factor.over
        if dimension == .share, value > 1 {
            throw error(node, "a share above 100 %", expected: "at most 100 %", got: written)
        }
        return value
    }
}
