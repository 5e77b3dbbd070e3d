import Foundation
import QDashboard
import Runtime
import Science
import Testing

@Suite struct SyntheticTests {
    /// A small set: the last epochs of the table, a day of each.
    static let set = Result { try files(seed: 3, train: 400, test: 200) }

    static func files(seed: UInt64, train: Int, test: Int) throws -> [String: Data] {
        try withFolder { folder in
            let anchors = try EpochAnchor.read(recorded.appending(path: "epochs_104_231.jsonl"))
            let files = SyntheticFiles(
                generator: Generator(
                    anchors: Array(anchors.suffix(22)), settings: SyntheticSettings(seed: seed, days: 1)))
            var requests = SyntheticRequests(seed: seed, counts: [.train: train, .test: test])
            let output = folder.appending(path: "set")
            try files.write(to: output, each: { requests.add($0) }, more: { try requests.write(to: $0) })
            var read: [String: Data] = [:]
            for name in try FileManager.default.contentsOfDirectory(atPath: output.path)
            where name.hasPrefix("requests.") {
                read[name] = try Data(contentsOf: output.appending(path: name))
            }
            return read
        }
    }

    static func values(_ data: Data?) throws -> [JSONValue] {
        try String(decoding: try #require(data), as: UTF8.self).split(separator: "\n")
            .map { try JSONValue(parsing: Data($0.utf8), place: "") }
    }

    @Test func sameSeedSameBytes() throws {
        let first = try Self.set.get()
        #expect(
            first.keys.sorted() == [
                "requests.test.jsonl", "requests.test.labels.jsonl", "requests.train.jsonl",
                "requests.train.labels.jsonl",
            ])
        #expect(try Self.files(seed: 3, train: 400, test: 200) == first)
    }

    /// Every request is one that readers take, says its task and language, and has its label in the same place.
    @Test func requestsAreReadAndLabelled() throws {
        let set = try Self.set.get()
        for split in ["train", "test"] {
            let labels = try Self.values(set["requests.\(split).labels.jsonl"])
            let requests = try read(try #require(set["requests.\(split).jsonl"]))
            #expect(requests.count == labels.count && requests.count >= (split == "train" ? 380 : 190))
            for (item, label) in zip(requests, labels) {
                let request = try #require(item.request, "\(item)")
                #expect(request.id == label["id"]?.string)
                #expect(request.task?.rawValue == label["task"]?.string)
                #expect(request.language?.rawValue == label["language"]?.string)
                #expect(try #require(request.facts).number("healthScore") != nil)
                #expect((request.question != nil) == (request.task == .ask))
                #expect(request.news.isEmpty == (request.task != .oracle))
            }
        }
    }

    /// Half normal; each kind is there; severity and kind go together; asked facts have names that prompts know.
    @Test func truthIsWhole() throws {
        let labels = try Self.values(try Self.set.get()["requests.train.labels.jsonl"])
        let normal = labels.count { $0["kind"]?.string == "none" }
        #expect(abs(Double(normal) / Double(labels.count) - 0.5) < 0.05)
        #expect(Set(labels.compactMap { $0["kind"]?.string }).count == 8)
        #expect(labels.contains { $0["hard_negative"]?.string == "transition" })
        for label in labels {
            #expect((label["kind"]?.string == "none") == (label["severity"]?.string == "none"))
            #expect((label["kind"]?.string == "none") == (label["onset"]?.isNull == true))
            for name in label["labels"]?["asked"]?.array ?? [] {
                #expect(Facts.known.contains(try #require(name.string)), "\(name)")
            }
        }
        for task in ["analysis", "prediction", "anomaly", "oracle", "ask"] {
            for language in ["en", "zh"] {
                #expect(labels.count { $0["task"]?.string == task && $0["language"]?.string == language } >= 36)
            }
        }
    }

    /// No epoch is in two splits, and a segment's lead neither.
    @Test func splitsAreDisjoint() throws {
        let anchors = try EpochAnchor.read(recorded.appending(path: "epochs_104_231.jsonl"))
        let plan = Generator(anchors: anchors, settings: SyntheticSettings(seed: 1)).plan
        var owners: [Int: Segment.Split] = [:]
        for (epoch, split) in plan {
            for one in [epoch - 1, epoch] { #expect(owners.updateValue(split, forKey: one) == nil, "\(one)") }
        }
        #expect(Set(owners.values).count == 3)
    }

    /// Each kind leaves its trace in the facts, without the detector's word.
    @Test func evidenceOfEachKind() throws {
        let set = try Self.set.get()
        let labels = try Self.values(set["requests.train.labels.jsonl"])
        let requests = try read(try #require(set["requests.train.jsonl"])).compactMap(\.request)
        var agreeing: [String: (Int, Int)] = [:]
        for (request, label) in zip(requests, labels) {
            let facts = request.allFacts
            func above(_ name: String, _ bound: Double) -> Bool { facts.number(name).map { abs($0) > bound } ?? false }
            let kind = try #require(label["kind"]?.string)
            let isThere =
                switch kind {
                case "stall": above("secondsSinceLastTick", 140)
                case "slow_ticks": above("paceRatio", 1.4)
                case "quality_drop": above("emptyTickRecentPercent", 7)
                case "mid_epoch_jump": above("recentJumpSeconds", 200)
                case "stale_source": above("sourceBehindSeconds", 200)
                case "bad_data": above("badRecordsRecent", 2)
                case "price_shock": above("priceSwingPercent", 8)
                default:
                    !above("recentJumpSeconds", 0) && !above("badRecordsRecent", 1) && !above("priceSwingPercent", 8)
                        && !above("sourceBehindSeconds", 0)
                }
            agreeing[kind, default: (0, 0)].0 += isThere ? 1 : 0
            agreeing[kind, default: (0, 0)].1 += 1
        }
        for (kind, count) in agreeing {
            #expect(Double(count.0) >= 0.9 * Double(count.1), "\(kind): \(count.0) of \(count.1)")
        }
    }

    /// Facts of a moment in a stream are those of the recording cut there.
    @Test func factsOfAMomentAreThoseOfThePart() throws {
        let anchors = try EpochAnchor.read(recorded.appending(path: "epochs_104_231.jsonl"))
        let segment = Generator(anchors: anchors, settings: SyntheticSettings(seed: 5, days: 0.5))
            .segment(epoch: 200, split: .test)
        try withFolder { folder in
            let file = folder.appending(path: "polls.jsonl")
            let lines = segment.observations.prefix(800).map {
                String(decoding: $0.envelope.serialized(indent: nil), as: UTF8.self)
            }
            try Data(lines.joined(separator: "\n").utf8).write(to: file)
            let requests = try all(try RequestReader(paths: [file.path], computesFacts: true)).compactMap(\.request)
            for cut in [1, 50, 399, 700] {
                let end = try #require(requests[cut].snapshot.observedAt)
                var builder = TimelineBuilder()
                for item in try all(try RequestReader(paths: [file.path])) {
                    if let request = item.request, let at = request.snapshot.observedAt, at > end { break }
                    builder.add(item)
                }
                let part = Facts(builder.finish())
                // The detector reads poll by poll, and a timeline folds them.
                var moment = try #require(requests[cut].facts)
                for name in moment.names where name.hasPrefix("detector") { moment[name] = nil }
                #expect(part.names == moment.names)
                for name in part.names { #expect(part[name] == moment[name], "\(name) at \(cut)") }
            }
        }
    }
}
