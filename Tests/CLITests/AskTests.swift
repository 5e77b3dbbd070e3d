import Foundation
import Testing

@Suite struct AskTests {
    private static let recording = path("Datasets/recorded/poller.jsonl")

    private static func json(_ text: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    /// A model of random weights writes what it will: the verdict on its numbers must say so, in both languages, and the
    /// cache must serve the same.
    @Test(arguments: [("How is the network?", "en"), ("目前網路狀況如何？", "zh")])
    func answers(question: String, language: String) throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let cache = folder.appending(path: "cache.sqlite").path
            let arguments = [
                "ask", model, question, "--snapshots", Self.recording, "--prompts", prompts, "--stages", "2", "--json",
            ]
            let plain = try Tool.qinfer.run(arguments)
            #expect(plain.status == 0, "\(plain.errors)")
            let answer = try Self.json(plain.output)
            #expect(answer["language"] as? String == language && answer["question"] as? String == question)
            #expect(answer["cached"] as? Bool == false && answer["answer"] is String)
            let facts = try #require(answer["facts"] as? [String: [String: Any]])
            #expect(facts["tick"]?["value"] is NSNumber && facts["question"] == nil)
            let grounding = try #require(answer["grounding"] as? [String: Any])
            let numbers = try #require(grounding["numbers"] as? [[String: Any]])
            let loose = numbers.filter { ($0["facts"] as? [String])?.isEmpty == true }
            #expect(grounding["grounded"] as? Bool == loose.isEmpty)
            #expect(plain.errors.contains("no fact bears out") == !loose.isEmpty)
            let first = try Tool.qinfer.run(arguments + ["--cache", cache])
            let second = try Tool.qinfer.run(arguments + ["--cache", cache])
            #expect(first.output == plain.output)
            #expect(second.output == plain.output.replacing("\"cached\": false", with: "\"cached\": true"))
            #expect(second.errors.contains("from the cache"))
            let other = try Tool.qinfer.run(
                ["ask", model, question + " 1", "--snapshots", Self.recording, "--prompts", prompts, "--stages", "2"]
                    + ["--cache", cache])
            #expect(other.status == 0 && !other.errors.contains("from the cache"))
        }
    }

    @Test func refusals() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let small = try makeModel(in: folder, named: "small", context: 600)
            func errors(_ model: String, _ question: String, _ more: String...) throws -> String {
                let outcome = try Tool.qinfer.run(
                    ["ask", model, question, "--snapshots", Self.recording, "--prompts", prompts, "--stages", "2"]
                        + more)
                #expect(outcome.status == 1 && outcome.output.isEmpty)
                return outcome.errors
            }
            #expect(try errors(model, String(repeating: "why ", count: 101)).contains("at most 400 characters"))
            #expect(try errors(model, "?").contains("no words"))
            #expect(try errors(small, "How is it?").contains("does not fit the model's context"))
            let text = folder.appending(path: "cache.sqlite")
            try Data("no database at all\n".utf8).write(to: text)
            #expect(try errors(model, "How is it?", "--cache", text.path).contains("answer cache"))
        }
    }

    /// Served from the cache, a run gives the same results; its timings say where they came from, also when resumed.
    @Test func runsFromTheCache() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let snapshots = try makeSnapshots(in: folder, count: 4)
            func run(_ name: String, _ more: String...) throws -> String {
                let output = folder.appending(path: name).path
                let outcome = try Tool.qinfer.run(
                    [
                        "run", model, "--snapshots", snapshots, "--prompts", prompts, "--output", output, "--stages",
                        "2", "--cache", folder.appending(path: "c.sqlite").path,
                    ] + more)
                #expect(outcome.status == 0, "\(outcome.errors)")
                return outcome.errors
            }
            func file(_ name: String, _ file: String) throws -> String {
                try text(folder.appending(path: "\(name)/\(file)"))
            }
            #expect(try !run("a").contains("from the cache"))
            #expect(try run("b").contains("4 answers from the cache"))
            #expect(try file("a", "results.jsonl") == file("b", "results.jsonl"))
            #expect(try file("a", "results.jsonl").contains("\"grounding\""))
            #expect(try !file("a", "timings.jsonl").contains("\"cached\""))
            #expect(try file("b", "timings.jsonl").components(separatedBy: #""cached":true"#).count == 5)
            let timings = try file("b", "timings.jsonl")
            _ = try run("b", "--resume")
            #expect(try file("b", "timings.jsonl") == timings)
            // Another node asks the same and answers in its own name.
            #expect(try run("c", "--node-id", "other").contains("4 answers from the cache"))
            #expect(try file("c", "results.jsonl").contains("\"other\""))
        }
    }
}
