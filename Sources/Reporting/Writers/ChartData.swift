import Foundation

/// What the charts draw, computed here so that the page's script only draws. Milliseconds throughout.
struct ChartData: Encodable {
    struct Curve: Encodable {
        var label: String
        /// (time, share of samples ≤ it)
        var points: [[Double]]
    }
    struct Bins: Encodable, Equatable {
        var start: Double
        var width: Double
        var counts: [Int]
    }
    struct Target: Encodable {
        var ms: Double
        var text: String
    }
    /// Rows in order of arrival; a row has the parts that were recorded, as [begin, end].
    struct Timeline: Encodable {
        var ids: [String] = []
        var queue: [[Double]?] = []
        var prefill: [[Double]?] = []
        var decode: [[Double]?] = []
        /// Requests whose parts were not recorded.
        var whole: [[Double]?] = []
        var failed: [[Double]?] = []
        var begin: Double = 0
        var end: Double = 0
    }

    /// Of one choice: a curve a model, (confidence, accuracy, count) in percent.
    struct Reliability: Encodable {
        var id: String
        var curves: [Curve]
    }

    var cdf: [Curve]
    var target: Target?
    var histogram: Bins?
    var tpot: Bins?
    /// (prompt tokens, TTFT)
    var prompts: [[Double]]
    var timeline: Timeline
    var reliability: [Reliability]

    static let maximumRows = 72
    static let maximumPoints = 600

    init(_ results: BenchmarkResults, _ evaluation: KPIEvaluation) {
        let good = results.requests.filter { $0.status == .succeeded }
        let totals = good.compactMap(\.totalMs)
        cdf = [
            Self.curve("total", totals), Self.curve("first token", good.compactMap(\.ttftMs)),
        ].compactMap { $0 }
        target = evaluation.results.first { $0.target.metric == .latency && $0.target.comparison.limitsAbove }.map {
            Target(ms: $0.target.value, text: Format.duration($0.target.value))
        }
        histogram = Self.bins(totals)
        tpot = Self.bins(good.compactMap(\.tpotMs))
        prompts = Self.thinned(
            good.compactMap { sample in
                guard let tokens = sample.promptTokens, let ttft = sample.ttftMs else { return nil }
                return [Double(tokens), ttft]
            }, to: 2000)
        timeline = Self.timeline(results.requests)
        let tasks = results.tasks
        reliability = (tasks?.models.first?.choices ?? []).enumerated().map { index, choice in
            Reliability(
                id: "reliability-\(index)",
                curves: tasks!.models.compactMap { model in
                    model.choices.first { $0.task == choice.task && $0.name == choice.name }.map { own in
                        Curve(
                            label: Escape.visible(model.name),
                            points: own.bins.map { [$0.confidence * 100, $0.accuracy * 100, Double($0.count)] })
                    }
                })
        }
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Escape.json(try encoder.encode(self))
    }

    /// The empirical distribution; for many samples, evenly spaced ranks of it, ends included.
    static func curve(_ label: String, _ samples: [Double]) -> Curve? {
        guard !samples.isEmpty else { return nil }
        let sorted = samples.sorted()
        let n = sorted.count
        let ranks = thinned(Array(0..<n), to: maximumPoints)
        return Curve(label: label, points: [[sorted[0], 0]] + ranks.map { [sorted[$0], Double($0 + 1) / Double(n)] })
    }

    /// Equal bins by the Freedman–Diaconis rule, at most about 40.
    static func bins(_ samples: [Double]) -> Bins? {
        guard let low = samples.min(), let high = samples.max() else { return nil }
        guard high > low, (high - low) / high > 1e-9 else {
            let width = high > 0 ? high / 10 : 1
            return Bins(start: max(0, low - width / 2), width: width, counts: [samples.count])
        }
        let sorted = samples.sorted()
        let spread =
            Percentile(tenThousandths: 7500).value(ofSorted: sorted)!
            - Percentile(tenThousandths: 2500).value(ofSorted: sorted)!
        let rule = 2 * spread / cbrt(Double(sorted.count))
        // Edges are round numbers, so that the axis is: the next width of 1, 2 or 5 times a power of ten.
        let wanted = min(max(rule, (high - low) / 40), (high - low) / 4)
        let power = pow(10, log10(wanted).rounded(.down))
        let width = [1, 2, 5, 10].map { $0 * power }.first { $0 >= wanted } ?? wanted
        let start = (low / width).rounded(.down) * width
        let count = max(1, Int(((high - start) / width).rounded(.down)) + 1)
        var counts = [Int](repeating: 0, count: count)
        for x in sorted { counts[min(count - 1, Int((x - start) / width))] += 1 }
        return Bins(start: start, width: width, counts: counts)
    }

    private static func timeline(_ samples: [RequestSample]) -> Timeline {
        var timeline = Timeline()
        var first: Double?
        let rows = samples.filter { $0.arrivalMs != nil && $0.totalMs != nil }.sorted { $0.arrivalMs! < $1.arrivalMs! }
        for sample in window(rows) {
            let begin = sample.arrivalMs!
            let end = begin + sample.totalMs!
            first = min(first ?? begin, begin)
            timeline.ids.append(String(Escape.visible(sample.id).prefix(80)))
            timeline.end = max(timeline.end, end)
            var parts: (queue: [Double]?, prefill: [Double]?, decode: [Double]?, whole: [Double]?, failed: [Double]?)
            if sample.status != .succeeded {
                parts.failed = [begin, end]
            } else if let queue = sample.queueMs, let prefill = sample.prefillMs {
                let prefillBegin = min(end, begin + queue)
                let decodeBegin = min(end, prefillBegin + prefill)
                if queue > 0 { parts.queue = [begin, prefillBegin] }
                parts.prefill = [prefillBegin, decodeBegin]
                if end > decodeBegin { parts.decode = [decodeBegin, end] }
            } else {
                parts.whole = [begin, end]
            }
            timeline.queue.append(parts.queue)
            timeline.prefill.append(parts.prefill)
            timeline.decode.append(parts.decode)
            timeline.whole.append(parts.whole)
            timeline.failed.append(parts.failed)
        }
        timeline.begin = first ?? 0
        return timeline
    }

    /// Neighbours in time, so that one sees how they share the machine: those around the slowest.
    private static func window(_ rows: [RequestSample]) -> ArraySlice<RequestSample> {
        guard rows.count > maximumRows else { return rows[...] }
        let slowest = rows.indices.max { rows[$0].totalMs! < rows[$1].totalMs! }!
        let begin = min(max(0, slowest - maximumRows / 2), rows.count - maximumRows)
        return rows[begin..<begin + maximumRows]
    }

    /// Evenly spaced elements, the first and the last among them.
    static func thinned<T>(_ elements: [T], to limit: Int) -> [T] {
        guard elements.count > limit, limit > 1 else { return elements }
        return (0..<limit).map { elements[$0 * (elements.count - 1) / (limit - 1)] }
    }
}
