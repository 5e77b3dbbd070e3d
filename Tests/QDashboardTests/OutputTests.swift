import Foundation
import QDashboard
import Runtime
import Testing

@Suite struct OutputTests {
    static func answer(_ index: Int, model: String = "m") -> AnswerRecord {
        AnswerRecord(
            id: "r\(index)", analysis: "網路\n\"\(index)\"\u{7}", sentiment: "positive",
            confidence: 0.1 + Double(index) / 7,
            nodeID: "n", promptTokens: index, outputTokens: 2 * index, modelDigest: model, promptDigest: "p",
            probabilities: [.init("positive", 2.0 / 3), .init("neutral", 1e-9), .init("negative", 0.25)],
            finishReason: "stop")
    }

    static func timing(_ index: Int) -> TimingRecord {
        TimingRecord(
            id: "r\(index)", queue: 0.1, prefill: 1.23456, decode: 3, total: 5, timeToFirstToken: .nan,
            stages: [1, 2, 0.0004])
    }

    static func file(_ folder: URL, _ name: String = "results") throws -> Data {
        try Data(contentsOf: folder.appending(path: "\(name).jsonl"))
    }

    /// An undisturbed run of `count` answers.
    static func run(_ folder: URL, _ count: Int) throws {
        let output = try RunOutput(directory: folder, existing: .refuse)
        for index in 0..<count { try output.submit(answer(index), timing: timing(index), at: index) }
        try output.close()
    }

    @Test func linesAreExactlyThese() throws {
        try withFolder { folder in
            try Self.run(folder, 1)
            #expect(
                String(decoding: try Self.file(folder), as: UTF8.self)
                    == #"{"id":"r0","task":"analysis","language":"en","analysis":"網路\n\"0\"\u0007","sentiment":"positive","confidence":0.1,"node_id":"n","prompt_tokens":0,"output_tokens":0,"model_digest":"m","prompt_digest":"p","choices":{"sentiment":{"label":"positive","confidence":0.1,"probabilities":{"positive":0.6666666666666666,"neutral":1e-09,"negative":0.25}}},"finish_reason":"stop"}"#
                    + "\n")
            #expect(
                String(decoding: try Self.file(folder, "timings"), as: UTF8.self)
                    == #"{"id":"r0","queue_ms":0.1,"prefill_ms":1.235,"decode_ms":3.0,"total_ms":5.0,"ttft_ms":null,"stages_ms":[1.0,2.0,0.0]}"#
                    + "\n")
        }
    }

    @Test func recordsReadBackTheSame() throws {
        for index in 0..<20 {
            let value = try JSONValue(parsing: try Self.answer(index).json().serialized(indent: nil), place: "t")
            #expect(AnswerRecord(value) == Self.answer(index))
        }
        #expect(AnswerRecord([:]) == nil)
        #expect(TimingRecord([:]) == nil)
    }

    @Test func inputOrderWhateverTheOrderOfAnswers() throws {
        var generator = SplitMix64(seed: 5)
        try withFolder { folder in
            try Self.run(folder, 100)
            let expected = try Self.file(folder)
            for trial in 0..<10 {
                let other = folder.appending(path: "\(trial)")
                let output = try RunOutput(directory: other, existing: .refuse)
                var done = 0
                for index in (0..<100).shuffled(using: &generator) {
                    try output.submit(Self.answer(index), timing: Self.timing(index), at: index)
                    done += 1
                    let written = try Self.file(other).count { $0 == 0x0A }
                    // Whatever can be written is.
                    #expect(written + output.waiting == done)
                }
                #expect(try output.close() == .init(answers: 100, rejected: 0))
                #expect(try Self.file(other) == expected, "trial \(trial) seed 5")
            }
        }
    }

    @Test func answersFromManyThreads() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "qdashboard-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let output = try RunOutput(directory: folder, existing: .refuse)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for start in 0..<8 {
                group.addTask {
                    for index in stride(from: start, to: 800, by: 8) {
                        try output.submit(Self.answer(index), timing: Self.timing(index), at: index)
                    }
                }
            }
            try await group.waitForAll()
        }
        try output.close()
        let lines = try Self.file(folder).split(separator: 0x0A)
        #expect(try lines.map { try JSONValue(parsing: $0, place: "t")["id"]?.string } == (0..<800).map { "r\($0)" })
    }

    @Test func rejectionsKeepTheirPlaceToo() throws {
        func record(_ line: Int) -> RejectedRecord { RejectedRecord(file: "f", line: line, reason: "r\u{1}") }
        try withFolder { folder in
            let output = try RunOutput(directory: folder, existing: .refuse)
            // Lines 1 rejected, 2 and 3 requests 0 and 1 (1 too long), 4 rejected, 5 request 2, 6 rejected.
            try output.reject(record(1), before: 0)
            try output.reject(record(4), before: 2)
            try output.reject(record(6), before: 3)
            try output.submit(Self.answer(2), timing: Self.timing(2), at: 2)
            try output.reject(record(3), at: 1)
            try output.submit(Self.answer(0), timing: Self.timing(0), at: 0)
            #expect(try output.close() == .init(answers: 2, rejected: 4))
            #expect(
                String(decoding: try Self.file(folder, "rejected"), as: UTF8.self)
                    == [1, 3, 4, 6].map { "{\"file\":\"f\",\"line\":\($0),\"reason\":\"r\\u0001\"}\n" }.joined())
        }
    }

    /// A process can die after any byte of either file: resumed, both come out as if it had not. Every 11th byte is tried,
    /// and those around the ends of lines.
    @Test func killedAnywhere() throws {
        try withFolder { folder in
            let whole = folder.appending(path: "whole")
            try Self.run(whole, 5)
            let (results, timings) = (try Self.file(whole), try Self.file(whole, "timings"))
            let resultEnds = [0] + results.indices.filter { results[$0] == 0x0A }.map { $0 + 1 }
            let timingEnds = [0] + timings.indices.filter { timings[$0] == 0x0A }.map { $0 + 1 }
            let cut = folder.appending(path: "cut")
            try FileManager.default.createDirectory(at: cut, withIntermediateDirectories: true)
            func resume(_ resultBytes: Int, _ timingBytes: Int, kept: Int) throws {
                try results.prefix(resultBytes).write(to: cut.appending(path: "results.jsonl"))
                try timings.prefix(timingBytes).write(to: cut.appending(path: "timings.jsonl"))
                try Data("{\"file\":\"old\"".utf8).write(to: cut.appending(path: "rejected.jsonl"))
                let output = try RunOutput(
                    directory: cut, existing: .resume, modelDigest: "m", promptDigest: "p", nodeID: "n")
                #expect(output.resumedIDs == (0..<kept).map { "r\($0)" }, "\(resultBytes) \(timingBytes)")
                let done = Set(output.resumedIDs)
                for index in (0..<5).reversed() {
                    if done.contains("r\(index)") {
                        try output.skip(index)
                    } else {
                        try output.submit(Self.answer(index), timing: Self.timing(index), at: index)
                    }
                }
                #expect(try output.close().answers == 5)
                #expect(try Self.file(cut) == results, "\(resultBytes) \(timingBytes)")
                #expect(try Self.file(cut, "timings") == timings, "\(resultBytes) \(timingBytes)")
                #expect(try Self.file(cut, "rejected").isEmpty)
            }
            func places(_ range: Range<Int>) -> [Int] {
                range.filter { $0 - range.lowerBound < 2 || range.upperBound - $0 < 4 || $0 % 11 == 0 }
            }
            for answers in 0..<5 {
                // Dying while a timing is written, then while its answer is.
                for bytes in places(timingEnds[answers]..<timingEnds[answers + 1]) {
                    try resume(resultEnds[answers], bytes, kept: answers)
                }
                for bytes in places(resultEnds[answers]..<resultEnds[answers + 1]) {
                    try resume(bytes, timingEnds[answers + 1], kept: answers)
                }
            }
            try resume(results.count, timings.count, kept: 5)
            // A file of timings that was lost.
            try resume(results.count, 0, kept: 0)
        }
    }

    @Test func whatCannotBeResumed() throws {
        try withFolder { folder in
            try Self.run(folder, 3)
            #expect(throws: OutputError.exists(path: folder.appending(path: "results.jsonl").path)) {
                try RunOutput(directory: folder, existing: .refuse)
            }
            let error = #expect(throws: OutputError.self) {
                try RunOutput(directory: folder, existing: .resume, modelDigest: "other")
            }
            #expect(error?.description.contains("another model; expected other, got m") == true)
            let before = try Self.file(folder)
            #expect(before.count { $0 == 0x0A } == 3, "a refusal changes nothing")
            var damaged = before
            damaged[3] = 0
            try damaged.write(to: folder.appending(path: "results.jsonl"))
            let corrupt = #expect(throws: OutputError.self) { try RunOutput(directory: folder, existing: .resume) }
            guard case .corrupt(_, 1, _)? = corrupt else {
                Issue.record("\(String(describing: corrupt))")
                return
            }
            let output = try RunOutput(directory: folder, existing: .overwrite)
            #expect(try Self.file(folder).isEmpty)
            #expect(throws: OutputError.self) { try RunOutput(directory: folder, existing: .overwrite) }
            try output.close()
            #expect(throws: OutputError.closed(path: folder.path)) { try output.skip(0) }
        }
    }

    @Test func foldersThatCannotBe() throws {
        try withFolder { folder in
            let file = folder.appending(path: "file")
            try Data().write(to: file)
            #expect(throws: OutputError.notADirectory(path: file.path)) {
                try RunOutput(directory: file, existing: .refuse)
            }
            #expect(throws: OutputError.self) {
                try RunOutput(directory: file.appending(path: "in"), existing: .refuse)
            }
            try RunOutput(directory: folder.appending(path: "a/b/c"), existing: .refuse).close()
        }
    }

    @Test func wrongCallsAreErrors() throws {
        try withFolder { folder in
            let output = try RunOutput(directory: folder, existing: .refuse)
            try output.submit(Self.answer(0), timing: Self.timing(0), at: 0)
            #expect(throws: OutputError.ordinalTaken(id: "r0", ordinal: 0)) {
                try output.submit(Self.answer(0), timing: Self.timing(0), at: 0)
            }
            var bad = Self.answer(1)
            bad.choices = [.init("sentiment", label: "positive", confidence: .nan, [])]
            #expect(throws: OutputError.notANumber(id: "r1", what: "confidence", value: "nan")) {
                try output.submit(bad, timing: Self.timing(1), at: 1)
            }
            try output.submit(Self.answer(2), timing: Self.timing(2), at: 2)
            #expect(throws: OutputError.missingAnswer(ordinal: 1, waiting: 1)) { try output.close() }
            try output.submit(Self.answer(1), timing: Self.timing(1), at: 1)
            #expect(try output.close().answers == 3)
        }
    }

    @Test func fullDisk() throws {
        let log = try LineLog(path: "/dev/full", .keep)
        let error = #expect(throws: OutputError.self) { try log.append(["a": 1]) }
        guard case .failed("/dev/full", "write", ENOSPC, _)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }
}
