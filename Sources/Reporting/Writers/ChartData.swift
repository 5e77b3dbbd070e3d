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
        var end: Double = 0
    }

    var cdf: [Curve]
    var target: Target?
    var histogram: Bins?
    var tpot: Bins?
    /// (prompt tokens, TTFT)
    var prompts: [[Double]]
    var timeline: Timeline

    static let maximumRows = 160
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

    /// Equal bins by the Freedman–Diaconis rule, at most 48.
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
        let wanted = rule > 0 ? (high - low) / rule : 1
        let count = Int(min(48, max(5, wanted.rounded(.up))))
        let width = (high - low) / Double(count)
        var counts = [Int](repeating: 0, count: count)
        for x in sorted { counts[min(count - 1, Int((x - low) / width))] += 1 }
        return Bins(start: low, width: width, counts: counts)
    }

    private static func timeline(_ samples: [RequestSample]) -> Timeline {
        var timeline = Timeline()
        let rows = samples.filter { $0.arrivalMs != nil && $0.totalMs != nil }.sorted { $0.arrivalMs! < $1.arrivalMs! }
        for sample in thinned(rows, to: maximumRows) {
            let begin = sample.arrivalMs!
            let end = begin + sample.totalMs!
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
        return timeline
    }

    /// Evenly spaced elements, the first and the last among them.
    static func thinned<T>(_ elements: [T], to limit: Int) -> [T] {
        guard elements.count > limit, limit > 1 else { return elements }
        return (0..<limit).map { elements[$0 * (elements.count - 1) / (limit - 1)] }
    }
}
