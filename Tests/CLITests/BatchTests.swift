import Foundation
import Testing

@Suite struct BatchTests {
    private static func row(_ id: String, _ more: String = "") -> String {
        #"{"custom_id":"\#(id)","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","content":"hi \#(id)"}],"max_tokens":8,"temperature":0\#(more)}}"#
    }

    private static func objects(_ url: URL) throws -> [[String: Any]] {
        try lines(url).map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }
    }

    /// Rows fail alone, in their own line; the others are answered.
    @Test func goodAndBadRows() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let input = folder.appending(path: "in.jsonl")
            let output = folder.appending(path: "out.jsonl")
            let rows = [
                Self.row("a"), Self.row("b", #","logprobs":true,"top_logprobs":2"#), Self.row("c", #","n":2"#), "{", "",
                Self.row("a"),
                Self.row(
                    "d",
                    #","response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"enum":["yes","no"]}}}"#
                ),
                Self.row("e", #","max_completion_tokens":9000"#),
                Self.row("f").replacing("hi", with: String(repeating: "long ", count: 9000)),
            ]
            try Data((rows.joined(separator: "\n") + "\n").utf8).write(to: input)
            let outcome = try Tool.qinfer("batch", model, input.path, "--output", output.path, "--stages", "2")
            #expect(outcome.status == 2, "\(outcome.errors)")
            let all = try Self.objects(output)
            #expect(all.count == 8)
            func response(_ line: Int) throws -> (status: Int?, body: [String: Any], error: [String: Any]?) {
                let object = try #require(all.first { $0["id"] as? String == "batch_req_\(line)" })
                let response = try #require(object["response"] as? [String: Any])
                return (
                    response["status_code"] as? Int, try #require(response["body"] as? [String: Any]),
                    object["error"] as? [String: Any]
                )
            }
            let first = try response(1)
            #expect(first.status == 200 && first.error == nil)
            let usage = try #require(first.body["usage"] as? [String: Int])
            #expect(usage["total_tokens"] == usage["prompt_tokens"]! + usage["completion_tokens"]!)
            let choice = try #require((try response(2).body["choices"] as? [[String: Any]])?.first)
            let content = try #require((choice["logprobs"] as? [String: Any])?["content"] as? [[String: Any]])
            #expect(!content.isEmpty && content.allSatisfy { ($0["top_logprobs"] as? [Any])?.count == 2 })
            #expect(["stop", "length"].contains(choice["finish_reason"] as? String ?? ""))
            let shaped = try #require((try response(7).body["choices"] as? [[String: Any]])?.first)
            #expect(["\"yes\"", "\"no\""].contains((shaped["message"] as? [String: Any])?["content"] as? String ?? ""))
            for (line, word) in [
                (3, "n is supported only as 1"), (4, "no JSON"), (6, "custom_id"), (8, "differ"), (9, "context"),
            ] {
                let failed = try response(line)
                #expect(failed.status == 400, "line \(line)")
                #expect((failed.error?["message"] as? String ?? "").contains(word), "line \(line): \(failed)")
            }
        }
    }

    /// Cut off at any byte, it goes on and gives the same rows; another model or input is refused by name.
    @Test func resumes() throws {
        try withFolder { folder in
            let model = try makeModel(in: folder)
            let input = folder.appending(path: "in.jsonl")
            let output = folder.appending(path: "out.jsonl")
            let rows = (0..<6).map { Self.row("r\($0)", $0 == 3 ? #","n":2"# : "") }
            try Data((rows.joined(separator: "\n") + "\n").utf8).write(to: input)
            func run(_ model: String, _ more: String...) throws -> Tool.Outcome {
                try Tool.qinfer.run(["batch", model, input.path, "--output", output.path, "--stages", "2"] + more)
            }
            func answers() throws -> [String: String] {
                try Self.objects(output).reduce(into: [:]) { answers, object in
                    let body = (object["response"] as? [String: Any])?["body"] as? [String: Any]
                    let choice = (body?["choices"] as? [[String: Any]])?.first
                    answers[try #require(object["custom_id"] as? String)] =
                        (choice?["message"] as? [String: Any])?["content"] as? String ?? "failed"
                }
            }
            #expect(try run(model).status == 2)
            let whole = try answers()
            #expect(whole.count == 6 && whole["r3"] == "failed")
            #expect(try run(model).status == 1, "an output that is there is not replaced")
            let bytes = try Data(contentsOf: output)
            for cut in [0, 1, bytes.count / 3, bytes.count / 2, bytes.count - 1, bytes.count] {
                try bytes.prefix(cut).write(to: output)
                let outcome = try run(model, "--resume")
                #expect(outcome.status == 2, "\(outcome.errors)")
                #expect(try answers() == whole, "cut at \(cut)")
                #expect(try lines(output).count == 6)
            }
            let other = try makeModel(in: folder, named: "other", context: 4096)
            #expect(try run(other, "--resume").errors.contains("another model or options"))
            try Data((rows.reversed().joined(separator: "\n") + "\n").utf8).write(to: input)
            #expect(try run(model, "--resume").errors.contains("another input"))
            #expect(try run(model, "--force").status == 2)
        }
    }
}
