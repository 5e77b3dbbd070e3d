import Foundation
import Runtime
import Testing

/// Damaged and hostile safetensors files: each is refused, and the message says what is wrong.
@Suite struct SafetensorsHostileTests {
    /// The message, without the file's path in front.
    private func refusal(_ bytes: Data) throws -> String {
        try temporaryDirectory { directory in
            let url = directory.appending(path: "x.safetensors")
            try bytes.write(to: url)
            let said = try #require(wording { _ = try SafetensorsFile(url: url) }, "it was accepted")
            #expect(said.hasPrefix(url.path), "the message names no file: \(said)")
            return String(said.dropFirst(url.path.count))
        }
    }

    private func expect(_ bytes: Data, _ message: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let said = try refusal(bytes)
        #expect(said.contains(message), "got: \(said)", sourceLocation: sourceLocation)
    }

    private static let good = #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#

    @Test func lengths() throws {
        try expect(Data(), "too short for safetensors; expected at least 8 bytes, got 0")
        try expect(Data(count: 7), "expected at least 8 bytes, got 7")
        try expect(Data(count: 8), "header, line 1, column 1 (byte 0): the text ends where a value was expected")
        try expect(
            safetensors(Self.good, data: Data(count: 8), length: 63),
            "the header runs past the end of the file; expected at most 62 bytes, got 63")
        for length in [1 << 63, UInt64.max, 1 << 40] {
            try expect(
                safetensors(Self.good, data: Data(count: 8), length: length),
                "the header's length is out of range; expected at most 100000000 bytes, got \(length)")
        }
    }

    @Test func truncatedAnywhere() throws {
        let whole = safetensors(Self.good, data: Data(count: 8))
        for count in 0..<whole.count { _ = try refusal(whole.prefix(count)) }
        try expect(whole.dropLast(), "tensor a: runs past the end of the file; expected offsets up to 7, got [0, 8]")
        try expect(whole + [0], "bytes after the last tensor; expected 8 bytes of data, got 9")
    }

    @Test func header() throws {
        try expect(safetensors("not JSON"), "header, line 1, column 1 (byte 0): expected a JSON value")
        try expect(safetensors("[1]"), "the header is no JSON object; expected an object, got an array")
        try expect(
            safetensors(header: Data([0x7B, 0x22, 0xFF, 0xFE, 0x22, 0x3A, 0x31, 0x7D])),
            "a string that is not valid UTF-8")
        try expect(safetensors(header: Data([0x7B, 0x00, 0x7D])), "expected")
        try expect(safetensors(Self.good + "x", data: Data(count: 8)), "more text after the end of the JSON value")
        try expect(safetensors(String(repeating: "[", count: 100_000)), "nested more than 256 levels deep")
        try expect(
            safetensors(#"{"__metadata__":{"format":1}}"#),
            "__metadata__ format is malformed; expected a string, got an integer")
        try expect(
            safetensors(#"{"__metadata__":[]}"#),
            "__metadata__ is malformed; expected an object of strings, got an array")
    }

    @Test func names() throws {
        let entry = #"{"dtype":"U8","shape":[1],"data_offsets":[0,1]}"#
        try expect(safetensors("{\"a\":\(entry),\"a\":\(entry)}", data: Data(count: 1)), "\"a\"")
        // Written with an escape the same, and equal only to Swift's eyes.
        try expect(safetensors("{\"a\":\(entry),\"\\u0061\":\(entry)}", data: Data(count: 1)), "\"a\"")
        let second = #"{"dtype":"U8","shape":[1],"data_offsets":[1,2]}"#
        try expect(safetensors("{\"\u{E9}\":\(entry),\"e\u{301}\":\(second)}", data: Data(count: 2)), "occurs twice")
        // A name cannot break the message's line, or fill the screen.
        let said = try refusal(safetensors("{\"a\\n\\u001b[31m\(String(repeating: "x", count: 9999))\":1}"))
        #expect(!said.contains("\n") && !said.contains("\u{1B}") && said.count < 400, "got: \(said)")
    }

    @Test func descriptions() throws {
        func one(_ description: String, data: Int = 8) -> Data {
            safetensors("{\"a\":\(description)}", data: Data(count: data))
        }
        try expect(one("1"), "tensor a: the description is malformed; expected an object, got an integer")
        try expect(one(#"{"shape":[2],"data_offsets":[0,8]}"#), "dtype")
        try expect(
            one(#"{"dtype":"F8_E8M0","shape":[2],"data_offsets":[0,8]}"#), "tensor a: unknown dtype; expected BOOL, U8,"
        )
        try expect(one(#"{"dtype":"f32","shape":[2],"data_offsets":[0,8]}"#), "got f32")
        try expect(one(#"{"dtype":"F32","data_offsets":[0,8]}"#), "tensor a: shape is missing or no array")
        try expect(one(#"{"dtype":"F32","shape":2,"data_offsets":[0,8]}"#), "tensor a: shape is missing or no array")
        for dimension in ["-2", "2.5", "\"2\"", "null", "9223372036854775808", "1e3"] {
            try expect(
                one("{\"dtype\":\"F32\",\"shape\":[\(dimension)],\"data_offsets\":[0,8]}"),
                "a dimension or offset is no whole number")
        }
        try expect(one(#"{"dtype":"F32","shape":[2],"data_offsets":[0]}"#), "data_offsets is missing or no pair")
        try expect(one(#"{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}"#), "data_offsets is missing or no pair")
        try expect(
            one(#"{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}"#), "a dimension or offset is no whole number")
        try expect(
            one(#"{"dtype":"F32","shape":[2],"data_offsets":[8,0]}"#), "data_offsets end before they begin; got [8, 0]")
        try expect(
            one(#"{"dtype":"F32","shape":[3],"data_offsets":[0,8]}"#),
            "data_offsets do not fit the shape; expected 12 bytes for [3] of F32, got 8")
        try expect(one(#"{"dtype":"F16","shape":[2],"data_offsets":[0,8]}"#), "expected 4 bytes for [2] of F16, got 8")
    }

    @Test(arguments: [
        "[4294967296,4294967296]", "[9223372036854775807,2]", "[9223372036854775807]",
    ])
    func overflowingShapes(_ shape: String) throws {
        let header = "{\"a\":{\"dtype\":\"F32\",\"shape\":\(shape),\"data_offsets\":[0,0]}}"
        try expect(
            safetensors(header), "the size in bytes overflows 64 bits; got shape")
    }

    @Test func tiling() throws {
        func two(_ a: String, _ b: String, data: Int) -> Data {
            safetensors(
                "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":\(a)},\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":\(b)}}",
                data: Data(count: data))
        }
        try expect(
            two("[0,4]", "[0,4]", data: 4),
            "tensor b: overlaps the tensor before it; expected offsets from 4, got [0, 4]")
        try expect(
            two("[0,4]", "[3,7]", data: 7),
            "tensor b: overlaps the tensor before it; expected offsets from 4, got [3, 7]")
        try expect(
            two("[0,4]", "[5,9]", data: 9), "tensor b: leaves a hole before it; expected offsets from 4, got [5, 9]")
        try expect(
            two("[1,5]", "[5,9]", data: 9), "tensor a: leaves a hole before it; expected offsets from 0, got [1, 5]")
        try expect(
            two("[0,4]", "[4,8]", data: 7),
            "tensor b: runs past the end of the file; expected offsets up to 7, got [4, 8]")
        try expect(
            two("[0,4]", "[9223372036854775803,9223372036854775807]", data: 8),
            "tensor b: runs past the end of the file")
        try expect(two("[0,4]", "[4,8]", data: 9), "bytes after the last tensor; expected 8 bytes of data, got 9")
        // In the other order in the header it is the same file.
        try temporaryDirectory { directory in
            let url = directory.appending(path: "x.safetensors")
            try two("[4,8]", "[0,4]", data: 8).write(to: url)
            #expect(try SafetensorsFile(url: url).entries["a"]?.info.shape == [4])
        }
    }

    /// A bit flipped anywhere in the header is refused or read as another name: never a crash.
    @Test func flippedBits() throws {
        let whole = safetensors([("model.a", [2, 3]), ("model.b", [1])])
        try temporaryDirectory { directory in
            for position in 0..<whole.count - 28 {
                for bit in 0..<8 {
                    var bytes = whole
                    bytes[position] ^= 1 << bit
                    let url = directory.appending(path: "x\(position)-\(bit)")
                    try bytes.write(to: url)
                    _ = try? SafetensorsFile(url: url)
                    try FileManager.default.removeItem(at: url)
                }
            }
        }
    }

    @Test func notAFile() throws {
        try temporaryDirectory { directory in
            #expect(
                wording { _ = try SafetensorsFile(url: directory) }
                    == "\(directory.path): is a directory, where a file is expected")
            let missing = directory.appending(path: "none")
            #expect(
                wording { _ = try SafetensorsFile(url: missing) }
                    == "\(missing.path): cannot open the file: No such file or directory (errno 2)")
            let pipe = directory.appending(path: "pipe")
            mkfifo(pipe.path, 0o600)
            #expect(
                wording { _ = try SafetensorsFile(url: pipe) }?.hasSuffix(
                    "is no regular file, where a file is expected") == true)
        }
    }
}
