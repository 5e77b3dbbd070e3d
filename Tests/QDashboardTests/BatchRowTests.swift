import Foundation
import QDashboard
import Runtime
import Testing

/// Rows of OpenAI batch files: what is taken, and what is refused by its name.
@Suite struct BatchRowTests {
    private static func row(_ body: String, id: String = "\"a\"") throws -> BatchRow {
        let text =
            #"{"custom_id":\#(id),"method":"POST","url":"/v1/chat/completions","body":{"model":"m",\#(body)}}"#
        return try BatchRow(JSONValue(parsing: Data(text.utf8), place: "row"))
    }
    private static let messages = #""messages":[{"role":"user","content":"hi"}]"#

    @Test func everythingThatIsTaken() throws {
        let row = try Self.row(
            #"""
            "messages":[{"role":"developer","content":"d"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"assistant","content":"c","refusal":null}],
            "max_completion_tokens":7,"temperature":0.5,"top_p":0.9,"seed":-1,"stop":["x","y"],"n":1,"logprobs":true,"top_logprobs":3,
            "stream":false,"user":"u","metadata":{"k":"v"},"frequency_penalty":0,"tools":null,"response_format":{"type":"text"}
            """#)
        #expect(row.messages.map(\.role) == ["system", "user", "assistant"] && row.messages[1].content == "ab")
        #expect(row.maxTokens == 7 && row.stop == ["x", "y"] && row.topLogProbabilities == 3 && row.format == .text)
        #expect(row.sampling == Sampling(temperature: 0.5, topP: 0.9, seed: .max))
        // The API's own defaults.
        let plain = try Self.row(Self.messages)
        #expect(
            plain.sampling == Sampling(temperature: 1) && plain.maxTokens == nil && plain.topLogProbabilities == nil)
        #expect(try Self.row(Self.messages + #","stop":"x""#).stop == ["x"])
        #expect(try Self.row(Self.messages + #","max_tokens":5,"max_completion_tokens":5"#).maxTokens == 5)
        let schema = try Self.row(
            Self.messages
                + #","response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"boolean"}}}"#
        )
        guard case .json = schema.format else {
            Issue.record("no schema")
            return
        }
    }

    @Test(
        arguments: [
            (#""n":2"#, "n"), (#""stream":true"#, "stream"), (#""tools":[{"type":"function"}]"#, "tools"),
            (#""logit_bias":{"5":1}"#, "logit_bias"), (#""presence_penalty":0.5"#, "presence_penalty"),
            (#""audio":{}"#, "audio"), (#""made_up":1"#, "made_up"), (#""temperature":3"#, "temperature"),
            (#""temperature":"1""#, "temperature"), (#""top_p":0"#, "top_p"), (#""seed":1.5"#, "seed"),
            (#""stop":["a","b","c","d","e"]"#, "stop"), (#""stop":"""#, "stop"), (#""max_tokens":0"#, "max_tokens"),
            (#""max_tokens":5,"max_completion_tokens":6"#, "max_tokens"), (#""top_logprobs":3"#, "top_logprobs"),
            (#""logprobs":true,"top_logprobs":21"#, "top_logprobs"), (#""logprobs":1"#, "logprobs"),
            (#""response_format":{"type":"json_object"}"#, "response_format.type"),
            (
                #""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"string","pattern":"a"}}}"#,
                "response_format.json_schema.schema"
            ),
            (
                #""response_format":{"type":"json_schema","json_schema":{"name":"n"}}"#,
                "response_format.json_schema.schema"
            ),
            (
                #""stop":"x","response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"null"}}}"#,
                "stop"
            ),
        ])
    func refusedByName(option: String, parameter: String) throws {
        #expect {
            try Self.row(Self.messages + "," + option)
        } throws: { error in
            guard let error = error as? BatchError else { return false }
            return error.parameter == parameter && error.message.contains(parameter)
        }
    }

    @Test(
        arguments: [
            (#""messages":[]"#, "messages"), (#""max_tokens":5"#, "messages"), (#""messages":["hi"]"#, "messages[0]"),
            (#""messages":[{"role":"tool","content":"x"}]"#, "messages[0].role"),
            (#""messages":[{"role":"user"}]"#, "messages[0].content"),
            (
                #""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]"#,
                "messages[0].content[0]"
            ),
            (#""messages":[{"role":"user","content":"a","name":"bob"}]"#, "messages[0].name"),
            (#""messages":[{"role":"assistant","content":"a","tool_calls":[]}]"#, "messages[0].tool_calls"),
        ])
    func badMessages(body: String, parameter: String) throws {
        #expect {
            try Self.row(body)
        } throws: { ($0 as? BatchError)?.parameter == parameter }
    }

    @Test(arguments: [
        ("{}", "custom_id"), (#"{"custom_id":5}"#, "custom_id"), (#"{"custom_id":"a","method":"GET"}"#, "method"),
        (#"{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{}}"#, "url"),
        (#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions"}"#, "body"), ("[]", "custom_id"),
    ])
    func badRows(text: String, parameter: String) throws {
        #expect {
            try BatchRow(JSONValue(parsing: Data(text.utf8), place: "row"))
        } throws: { ($0 as? BatchError)?.parameter == parameter }
    }
}
