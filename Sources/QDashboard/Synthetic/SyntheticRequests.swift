import Foundation
import Runtime
import Science

/// Labelled requests of a synthetic set: all tasks, both languages, each with the facts of its moment inside.
///
/// Half of the moments are normal, a quarter of those hard ones (transitions, slow starts); the kinds of incidents take
/// turns. Every task and language has the same mixture.
public struct SyntheticRequests {
    /// Requests of each split.
    public var counts: [Segment.Split: Int]
    private let seed: UInt64
    private var segments: [Segment.Split: [Segment]] = [:]

    public init(seed: UInt64, counts: [Segment.Split: Int]) {
        self.seed = seed
        self.counts = counts
    }

    /// Takes a segment of the set, where requests are wanted of its split.
    public mutating func add(_ segment: Segment) {
        if counts[segment.split] ?? 0 > 0 { segments[segment.split, default: []].append(segment) }
    }

    /// Writes `requests.<split>.jsonl` and `requests.<split>.labels.jsonl`. Throws `FileWriteError`.
    public func write(to folder: URL) throws {
        for split in Segment.Split.allCases {
            guard let count = counts[split], count > 0, let segments = segments[split] else { continue }
            let drawn = draw(count, split, segments)
            let facts = Self.facts(of: drawn.map(\.moment), in: segments)
            let requests = try AtomicFile(folder.appending(path: "requests.\(split.rawValue).jsonl"))
            let labels = try AtomicFile(folder.appending(path: "requests.\(split.rawValue).labels.jsonl"))
            for (number, one) in drawn.enumerated() {
                guard let known = facts[Key(one.moment)] else { continue }
                let (request, label) = lines(number, one, known, segments[one.moment.segment])
                try requests.write(request.serialized(indent: nil) + [0x0A])
                try labels.write(label.serialized(indent: nil) + [0x0A])
            }
            try requests.commit()
            try labels.commit()
        }
    }

    // MARK: What is asked of which moment

    private struct Drawn {
        var moment: Moment
        var task: AnswerTask
        var language: Language
    }

    private struct Key: Hashable {
        var segment, observation: Int
        init(segment: Int, observation: Int) { (self.segment, self.observation) = (segment, observation) }
        init(_ moment: Moment) { self.init(segment: moment.segment, observation: moment.observation) }
    }

    private func draw(_ count: Int, _ split: Segment.Split, _ segments: [Segment]) -> [Drawn] {
        var random = SeededRandom(seed: seed, stream: 2 + UInt64(Segment.Split.allCases.firstIndex(of: split)!))
        let moments = segments.enumerated().flatMap { Moment.all($1, number: $0) }
        let abnormal = IncidentKind.allCases.map { kind in moments.filter { $0.incident?.kind == kind } }
            .filter { !$0.isEmpty }
        let normal = moments.filter { $0.incident == nil }
        let hard = normal.filter { $0.negative == .transition || $0.negative == .slowStart }
        let tasks = AnswerTask.allCases
        var drawn: [Drawn] = []
        for number in 0..<count {
            let task = tasks[number % tasks.count]
            let turn = number / (2 * tasks.count)
            let pool =
                turn % 4 < 2 && !abnormal.isEmpty
                ? abnormal[(turn / 4 * 2 + turn % 4) % abnormal.count]
                : turn % 8 == 3 && !hard.isEmpty ? hard : normal
            guard !pool.isEmpty else { continue }
            var moment = pool[random.below(pool.count)]
            for _ in 0..<100 where task == .prediction && moment.direction == nil {
                moment = pool[random.below(pool.count)]
            }
            guard task != .prediction || moment.direction != nil else { continue }
            drawn.append(
                Drawn(
                    moment: moment, task: task,
                    language: number / tasks.count % 2 == 0 ? .english : .chinese))
        }
        return drawn
    }

    // MARK: Facts

    private struct Known: Sendable {
        var facts: Facts
        /// A body that readers take: the moment's own, or the last one before it.
        var statistics: Observation
    }

    /// One pass over each segment, as a reader of its recording would see it.
    private static func facts(of moments: [Moment], in segments: [Segment]) -> [Key: Known] {
        let wanted = Dictionary(grouping: moments, by: \.segment).mapValues { Set($0.map(\.observation)) }
        let numbers = wanted.keys.sorted()
        let results = SharedResults(count: numbers.count)
        DispatchQueue.concurrentPerform(iterations: numbers.count) { place in
            let number = numbers[place]
            results.set(place, facts(at: wanted[number]!, segments[number]))
        }
        var known: [Key: Known] = [:]
        for (place, number) in numbers.enumerated() {
            for (observation, facts) in results[place] {
                known[Key(segment: number, observation: observation)] = facts
            }
        }
        return known
    }

    private static func facts(at wanted: Set<Int>, _ segment: Segment) -> [Int: Known] {
        var history = FactHistory()
        var known: [Int: Known] = [:]
        var statistics: Observation?
        for (index, seen) in segment.observations.enumerated() {
            do throws(Rejection) {
                let record = try RecordDecoder.decode(seen.envelope)
                history.add(record.snapshot, origin: .init(file: "", line: index + 1))
                if seen.source == .statistics, seen.failure == nil { statistics = seen }
            } catch {
                history.add(.rejected(RejectedRecord(file: "", line: index + 1, reason: error.reason)))
            }
            if wanted.contains(index - 1), let statistics {
                var facts = history.facts
                // The series of tens of thousands of moments would fill the memory.
                facts.outlook = nil
                known[index - 1] = Known(facts: facts, statistics: statistics)
            }
        }
        return known
    }

    private final class SharedResults: @unchecked Sendable {
        private let lock = NSLock()
        private var values: [[Int: Known]]
        init(count: Int) { values = Array(repeating: [:], count: count) }
        func set(_ place: Int, _ value: [Int: Known]) { lock.withLock { values[place] = value } }
        subscript(place: Int) -> [Int: Known] { lock.withLock { values[place] } }
    }

    // MARK: Lines

    private func lines(_ number: Int, _ drawn: Drawn, _ known: Known, _ segment: Segment) -> (JSONValue, JSONValue) {
        let (moment, language, split) = (drawn.moment, drawn.language, segment.split)
        var random = SeededRandom(
            seed: seed, stream: 1000 + UInt64(number) * 3 + UInt64(split == .train ? 0 : split == .test ? 1 : 2))
        let id =
            "\(split.rawValue)-\(drawn.task.rawValue)-\(language.rawValue)-"
            + String(number + 1_000_000).dropFirst()
        let live = segment.observations[moment.observation]
        var data = Observation.members(known.statistics)
        data["tick"] = live.tick.map(JSONValue.integer)
        data["duration"] = live.sinceLastTick.map(JSONValue.integer)
        data["currentTick"] = nil
        var request: [(String, JSONValue)] = [
            ("id", .string(id)), ("task", .string(drawn.task.rawValue)), ("language", .string(language.rawValue)),
            ("data_type", "network_stats"), ("observed_at", .string(Observation.text(live.time))),
            ("data", .object(data)), ("facts", known.facts.json),
        ]
        var truth: [(String, JSONValue)] = []
        switch drawn.task {
        case .analysis: truth = [("sentiment", .string(moment.sentiment))]
        case .prediction: truth = [("direction", moment.direction.map(JSONValue.string) ?? .null)]
        case .anomaly:
            truth = [
                ("kind", .string(moment.kind)), ("severity", .string(moment.severity?.rawValue ?? "none")),
            ]
        case .oracle:
            let news = SyntheticNews(language: language, before: live.time, random: &random)
            request.append(("news", .array(news.items.map(\.json))))
            truth = [("sentiment", .string(news.sentiment)), ("risk", .string(moment.risk(news: news.sentiment)))]
        case .ask:
            var facts = known.facts
            facts.merge(Facts(Self.snapshot(of: known.statistics)))
            let question = SyntheticQuestion(language: language, facts: facts, random: &random)
            request.append(("question", .string(question.text)))
            truth = [("asked", .array(question.asked.map(JSONValue.string)))]
        }
        let incident = moment.incident
        let label = object([
            ("id", .string(id)), ("task", .string(drawn.task.rawValue)), ("language", .string(language.rawValue)),
            ("split", .string(split.rawValue)), ("epoch", .integer(segment.epoch)),
            ("at", .string(Observation.text(live.time))), ("recording", .string("\(split.rawValue).jsonl")),
            ("labels", object(truth)), ("anomaly", .bool(incident != nil)), ("kind", .string(moment.kind)),
            ("severity", .string(moment.severity?.rawValue ?? "none")),
            ("onset", incident.map { .string(Observation.text($0.onset)) } ?? .null),
            ("hard_negative", moment.negative.map { .string($0.rawValue) } ?? .null),
            ("quality_change_6h", moment.qualityChange.map(JSONValue.number) ?? .null),
        ])
        return (object(request), label)
    }

    private static func snapshot(of seen: Observation) -> Snapshot {
        (try? RecordDecoder.decode(seen.envelope))?.snapshot ?? Snapshot(kind: .latestStats)
    }
}

extension Facts {
    /// As a request carries them: the table's names, decimals to six digits that matter (prices to nine).
    var json: JSONValue {
        var members = JSONObject()
        for definition in FactDefinition.all where definition.name != "observedAt" {
            guard let value = self[definition.name] else { continue }
            if case .decimal(let number) = value {
                let digits = definition.unit == "USD" ? 9 : 6
                members[definition.name] = .number(Double(String(format: "%.\(digits)g", number)) ?? number)
            } else {
                members[definition.name] = value.json
            }
        }
        return .object(members)
    }
}
