import Foundation
import Runtime

/// Reading and writing results.json.
extension BenchmarkResults {
    /// Far beyond any run that this tool makes: a million requests are 400 MB.
    static let sizeLimit: Int64 = 1 << 30

    /// Pretty JSON with sorted keys, so that two files differ only where the runs do. `summary` and `verdicts` are added
    /// for readers; `init(json:place:)` ignores them.
    ///
    /// - Throws: `ReportingError.invalidValue` where a value is NaN, infinite, or impossible.
    public func json() throws -> Data {
        try validate(place: "results")
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let file = Written(
            results: self, summary: BenchmarkSummary(self),
            verdicts: targets.isEmpty ? nil : KPIEvaluation(self).results)
        var data = try encoder.encode(file)
        data.append(UInt8(ascii: "\n"))
        return data
    }

    /// Writes results.json as a whole.
    public func write(to url: URL, overwrite: Bool = true) throws {
        try AtomicFile.write(try json(), to: url, overwrite: overwrite)
    }

    /// Reads and checks a results.json.
    ///
    /// - Throws: `ReportingError`, naming the file and the key.
    public init(contentsOf url: URL) throws {
        try self.init(json: SmallFile.read(url, limit: Self.sizeLimit), place: url.path)
    }

    public init(json data: Data, place: String) throws {
        guard !data.isEmpty else {
            throw ReportingError.malformed(
                place: place, problem: "is empty", expected: "benchmark results", got: nil)
        }
        let decoder = JSONDecoder()
        // The schema first: a file of another kind should not be told that it lacks a machine.
        let head: Head
        do {
            head = try decoder.decode(Head.self, from: data)
        } catch let error as DecodingError {
            if case .keyNotFound(let key, let context) = error, context.codingPath.isEmpty, key.stringValue == "schema"
            {
                throw ReportingError.malformed(
                    place: place, problem: "has no schema, so it is no results file",
                    expected: "\"schema\": {\"name\": \"\(Self.schemaName)\"}", got: nil)
            }
            throw Self.worded(error, place)
        }
        guard head.schema.name == Self.schemaName else {
            throw ReportingError.malformed(
                place: "\(place): schema.name", problem: "is another kind of file", expected: Self.schemaName,
                got: String(head.schema.name.prefix(80)))
        }
        guard head.schema.version == Self.schemaVersion else {
            throw ReportingError.version(
                path: place, kind: "results file", expected: Self.schemaVersion, got: "\(head.schema.version)")
        }
        do {
            self = try decoder.decode(BenchmarkResults.self, from: data)
        } catch let error as DecodingError {
            throw Self.worded(error, place)
        }
        try validate(place: place)
    }

    private struct Head: Decodable { var schema: Schema }

    /// The file as written: the results' own keys, and the derived ones beside them.
    private struct Written: Encodable {
        var results: BenchmarkResults
        var summary: BenchmarkSummary
        var verdicts: [KPIResult]?

        enum CodingKeys: String, CodingKey { case summary, verdicts }

        func encode(to encoder: any Encoder) throws {
            try results.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(summary, forKey: .summary)
            try container.encodeIfPresent(verdicts, forKey: .verdicts)
        }
    }

    private static func worded(_ error: DecodingError, _ place: String) -> ReportingError {
        func path(_ context: DecodingError.Context, _ key: (any CodingKey)? = nil) -> String {
            let keys = context.codingPath + (key.map { [$0] } ?? [])
            let text = keys.reduce(into: "") { text, key in
                if let index = key.intValue {
                    text += "[\(index)]"
                } else {
                    text += (text.isEmpty ? "" : ".") + key.stringValue
                }
            }
            return text.isEmpty ? place : "\(place): \(text)"
        }
        switch error {
        case .keyNotFound(let key, let context):
            return .malformed(place: path(context, key), problem: "is missing", expected: nil, got: nil)
        case .typeMismatch(let type, let context):
            return .malformed(
                place: path(context), problem: "has the wrong type", expected: "\(type)", got: nil)
        case .valueNotFound(let type, let context):
            return .malformed(place: path(context), problem: "is null", expected: "\(type)", got: nil)
        case .dataCorrupted(let context):
            let cause = (context.underlyingError as NSError?)?.userInfo["NSDebugDescription"] as? String
            let problem = context.codingPath.isEmpty ? "is not valid JSON" : "is not valid"
            return .malformed(
                place: path(context), problem: problem, expected: nil, got: cause ?? context.debugDescription)
        @unknown default:
            return .malformed(place: place, problem: "\(error)", expected: nil, got: nil)
        }
    }

    /// Every number finite and possible, every name unique.
    func validate(place: String) throws {
        func fail(_ key: String, _ problem: String, _ expected: String?, _ got: String?) -> ReportingError {
            .invalidValue(place: "\(place): \(key)", problem: problem, expected: expected, got: got)
        }
        func nonNegative(_ value: Double?, _ key: @autoclosure () -> String) throws {
            // The upper bound (in milliseconds, 30 000 years) keeps what is computed from it finite.
            if let value, !(value.isFinite && value >= 0 && value <= 1e15) {
                throw fail(key(), "is no measurement", "0…1e15", "\(value)")
            }
        }
        func nonNegative(_ value: Int?, _ key: @autoclosure () -> String, limit: Int = 1 << 50) throws {
            if let value, !(0...limit).contains(value) {
                throw fail(key(), "is no count", "0…\(limit)", "\(value)")
            }
        }
        func share(_ value: Double?, _ key: @autoclosure () -> String) throws {
            if let value, !(value >= 0 && value <= 1) {
                throw fail(key(), "is no share", "0…1", "\(value)")
            }
        }
        func unique(_ names: [String], _ key: String) throws {
            var seen: Set<String> = []
            for name in names where !seen.insert(name).inserted {
                throw fail(key, "stands there twice", "unique names", String(name.prefix(80)))
            }
        }
        try nonNegative(wallSeconds, "wallSeconds")
        try nonNegative(configuration.requestsPerSecond, "configuration.requestsPerSecond")
        try nonNegative(machine.cores, "machine.cores")
        try nonNegative(machine.memoryBytes, "machine.memoryBytes")
        try nonNegative(model.parameters, "model.parameters")
        try nonNegative(model.bytes, "model.bytes")
        try nonNegative(configuration.stages, "configuration.stages")
        try nonNegative(configuration.threadsPerStage, "configuration.threadsPerStage")
        try nonNegative(configuration.batch, "configuration.batch")
        try unique(requests.map(\.id), "requests.id")
        for (i, r) in requests.enumerated() {
            for (name, value) in [
                ("arrivalMs", r.arrivalMs), ("queueMs", r.queueMs), ("prefillMs", r.prefillMs),
                ("decodeMs", r.decodeMs), ("totalMs", r.totalMs), ("ttftMs", r.ttftMs), ("tpotMs", r.tpotMs),
            ] {
                try nonNegative(value, "requests[\(i)].\(name)")
            }
            try nonNegative(r.promptTokens, "requests[\(i)].promptTokens", limit: 1 << 40)
            try nonNegative(r.outputTokens, "requests[\(i)].outputTokens", limit: 1 << 40)
        }
        try unique(stages.map { "\($0.index)" }, "stages.index")
        for (i, s) in stages.enumerated() {
            try share(s.utilization, "stages[\(i)].utilization")
            try nonNegative(s.cpuSeconds, "stages[\(i)].cpuSeconds")
            try nonNegative(s.residentBytes, "stages[\(i)].residentBytes")
            try nonNegative(s.peakBytes, "stages[\(i)].peakBytes")
            try nonNegative(s.handedOverBytes, "stages[\(i)].handedOverBytes")
            try nonNegative(s.batches, "stages[\(i)].batches")
            try nonNegative(s.bubbleSeconds, "stages[\(i)].bubbleSeconds")
            try nonNegative(s.hopMs, "stages[\(i)].hopMs")
            try nonNegative(s.longestQueue, "stages[\(i)].longestQueue")
        }
        try unique(quality.map(\.name), "quality.name")
        for (i, q) in quality.enumerated() {
            try share(q.value, "quality[\(i)].value")
            try share(q.interval?.low, "quality[\(i)].interval.low")
            try share(q.interval?.high, "quality[\(i)].interval.high")
            try nonNegative(q.count, "quality[\(i)].count")
        }
        try unique(observations.map(\.name), "observations.name")
        for (i, o) in observations.enumerated() { try nonNegative(o.value, "observations[\(i)].value") }
        try unique(targets.map(\.id), "targets.id")
        for (i, t) in targets.enumerated() { try nonNegative(t.value, "targets[\(i)].value") }
    }
}
