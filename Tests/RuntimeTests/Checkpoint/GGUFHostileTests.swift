import Foundation
import Runtime
import Testing

/// Damaged and hostile GGUF files: each is refused before anything is written, and the message says what is wrong.
@Suite struct GGUFHostileTests {
    private func said(_ bytes: Data) throws -> String? {
        try temporaryDirectory { directory in
            let url = directory.appending(path: "x.gguf")
            try bytes.write(to: url)
            guard let said = wording({ _ = try GGUFImport(url: url) }) else { return nil }
            #expect(said.hasPrefix(url.path), "the message names no file: \(said)")
            return String(said.dropFirst(url.path.count))
        }
    }

    private func expect(
        _ message: String, sourceLocation: SourceLocation = #_sourceLocation, _ change: (inout GGUFBytes) -> Void
    ) throws {
        var file = GGUFBytes.llama()
        change(&file)
        let said = try said(file.data)
        #expect(said?.contains(message) == true, "got: \(said ?? "accepted")", sourceLocation: sourceLocation)
    }

    @Test func theUnchangedFileIsGood() throws { #expect(try said(GGUFBytes.llama().data) == nil) }

    @Test func truncatedAtManyPoints() throws {
        let whole = GGUFBytes.llama().data
        // Every byte of the preamble and of the tensors' descriptions, and a sample of the rest.
        let points = Array(0..<900) + Array(stride(from: 900, to: whole.count, by: 61)) + [whole.count - 1]
        for count in points { #expect(try said(whole.prefix(count)) != nil, "\(count) bytes were accepted") }
        #expect(
            try said(Data())
                == ", byte 0: this is no GGUF file; expected the letters GGUF at its beginning; the file is damaged or of another kind: download or convert it again"
        )
        #expect(try said(whole.prefix(6))?.contains("byte 4: the file ends within the version") == true)
    }

    @Test func preamble() throws {
        try expect("this is no GGUF file; expected the letters GGUF") { $0.magic = Data("GGML".utf8) }
        try expect("this is no GGUF file") { $0.magic = Data("PK\u{3}\u{4}".utf8) }
        try expect("unsupported version; expected 2 or 3, little-endian, got 1") { $0.version = 1 }
        try expect("expected 2 or 3, little-endian, got 4") { $0.version = 4 }
        try expect("expected 2 or 3, little-endian, got 3, big-endian") { $0.version = UInt32(3).byteSwapped }
        for count: UInt64 in [1 << 63, .max, 1 << 40] {
            try expect("the number of tensors is more than the file can hold; expected at most") {
                $0.tensorCount = count
            }
            try expect("the number of metadata keys is more than the file can hold; expected at most") {
                $0.keyCount = count
            }
        }
        try expect("tensor") { $0.keyCount = UInt64($0.keys.count) + 1 }
        try expect("tensor") { $0.tensorCount = UInt64($0.tensors.count) + 1 }
        try expect("tensor") { $0.keyCount = UInt64($0.keys.count) - 1 }
    }

    @Test func metadata() throws {
        let key = "general.name"
        func long(_ count: UInt64) -> GGUFBytes.Value { .raw(8, withUnsafeBytes(of: count.littleEndian) { Data($0) }) }
        for count: UInt64 in [1 << 63, .max, 1 << 50] {
            try expect("the length of the value of \(key) is more than the file can hold; expected at most") {
                $0[key] = long(count)
            }
        }
        try expect("the value of \(key) is not valid UTF-8") {
            $0[key] = .raw(8, Data([2, 0, 0, 0, 0, 0, 0, 0, 0xC3, 0x28]))
        }
        try expect("the value of \(key) is of an unknown type; expected 0 to 12, got 13") {
            $0[key] = .raw(13, Data(count: 8))
        }
        try expect("the value of \(key) is no boolean; expected 0 or 1, got 2") { $0[key] = .bool(2) }
        try expect("the metadata key llama.block_count occurs twice") { $0.keys.append(("llama.block_count", .u32(1))) }
        func array(_ type: UInt32, _ count: UInt64, _ rest: Data = Data()) -> Data {
            var out = Data()
            out.append(type)
            out.append(count)
            return out + rest
        }
        try expect("the length of the value of \(key) is more than the file can hold") {
            $0[key] = .raw(9, array(4, 1 << 61))
        }
        try expect("the length of the value of \(key) is more than the file can hold") {
            $0[key] = .raw(9, array(10, UInt64.max / 8 + 2))
        }
        try expect("is of an unknown type") { $0[key] = .raw(9, array(99, 1)) }
        // Arrays within arrays: some are skipped, a tower of them is refused.
        let inner = array(4, 2, Data(count: 8))
        #expect(
            try {
                var f = GGUFBytes.llama()
                f[key] = .raw(9, array(9, 2, inner + inner))
                return try said(f.data)
            }() == nil)
        var tower = array(4, 0)
        for _ in 0..<50 { tower = array(9, 1, tower) }
        try expect("the value of \(key) is nested too deeply") { $0[key] = .raw(9, tower) }
        try expect("llama.block_count") {
            $0["llama.block_count"] = .raw(9, array(9, 1, array(4, 1, Data([1, 0, 0, 0]))))
        }
    }

    static let settings: [(String, GGUFBytes.Value?, String)] = [
        ("general.architecture", nil, "general.architecture is missing"),
        ("general.architecture", .u32(1), "general.architecture is of the wrong type; expected a string, got 1"),
        (
            "general.architecture", .string("gemma"),
            "general.architecture = gemma is not supported; expected llama, qwen2"
        ),
        ("general.type", .string("adapter"), "general.type = adapter is not supported"),
        ("general.alignment", .u32(0), "general.alignment is out of range; expected a power of two, got 0"),
        ("general.alignment", .u32(24), "general.alignment is out of range"),
        ("general.alignment", .string("32"), "general.alignment is out of range"),
        ("general.alignment", .u32(1 << 31), "general.alignment is out of range"),
        ("split.count", .u32(2), "split.count = 2 is not supported; expected a single file"),
        ("llama.block_count", nil, "llama.block_count is missing"),
        ("llama.block_count", .u32(0), "llama.block_count is out of range; expected 1 to 2147483647, got 0"),
        ("llama.block_count", .string("1"), "llama.block_count is of the wrong type; expected an integer, got 1"),
        ("llama.block_count", .u64(1 << 63), "llama.block_count"),
        ("llama.block_count", .u32(2), "missing model.layers.1.input_layernorm.weight"),
        ("llama.block_count", .u32(100_000), "num_hidden_layers is out of range"),
        ("llama.embedding_length", .i32(-8), "llama.embedding_length is out of range"),
        ("llama.embedding_length", .u32(16), "has shape"),
        ("llama.attention.head_count", .u32(0), "llama.attention.head_count is out of range"),
        ("llama.attention.head_count", .u32(3), "self_attn.q_proj.weight has shape [8, 8], expected [6, 8]"),
        (
            "llama.attention.head_count_kv", .ints([1, 2]),
            "llama.attention.head_count_kv = [1, 2] is not supported; expected the same value in all layers"
        ),
        ("llama.attention.head_count_kv", .ints([]), "llama.attention.head_count_kv"),
        ("llama.attention.layer_norm_rms_epsilon", nil, "llama.attention.layer_norm_rms_epsilon is missing"),
        ("llama.attention.layer_norm_rms_epsilon", .f32(.nan), "rms_norm_eps is out of range"),
        ("llama.attention.layer_norm_rms_epsilon", .f32(-1), "rms_norm_eps is out of range"),
        ("llama.rope.freq_base", .f32(.infinity), "rope_theta is out of range; expected a number above 0, got inf"),
        (
            "llama.rope.scaling.type", .string("yarn"),
            "llama.rope.scaling.type = yarn is not supported; expected none, linear"
        ),
        ("llama.rope.scaling.factor", .f32(.nan), "rope_scaling.factor is out of range"),
        (
            "llama.rope.dimension_count", .u32(2),
            "llama.rope.dimension_count = 2 is not supported; expected 4, the width of a head"
        ),
        ("llama.attention.value_length", .u32(8), "llama.attention.value_length = 8 is not supported"),
        ("llama.attention.sliding_window", .u32(4096), "llama.attention.sliding_window = 4096 is not supported"),
        ("llama.expert_count", .u32(8), "llama.expert_count = 8 is not supported; expected dense models"),
        ("tokenizer.ggml.model", .string("llama"), "tokenizer.ggml.model = llama is not supported; expected gpt2"),
        ("tokenizer.ggml.model", nil, "tokenizer.ggml.model is missing"),
        (
            "tokenizer.ggml.pre", .string("tekken"),
            "tokenizer.ggml.pre = tekken is not supported; expected default, gpt-2"
        ),
        ("tokenizer.ggml.pre", .u32(3), "tokenizer.ggml.pre is of the wrong type"),
        (
            "tokenizer.ggml.tokens", .strings(["a", "b"]),
            "tokenizer.ggml.tokens does not fit the embedding; expected 512 entries, got 2"
        ),
        (
            "tokenizer.ggml.tokens", .ints([Int32](repeating: 0, count: 512)),
            "tokenizer.ggml.tokens holds values of the wrong type; expected an array of strings"
        ),
        (
            "tokenizer.ggml.tokens", .strings([String](repeating: "a", count: 512)),
            "tokenizer.ggml.tokens holds a twice; got id 1 too"
        ),
        (
            "tokenizer.ggml.token_type", .ints([Int32](repeating: 9, count: 512)),
            "tokenizer.ggml.token_type holds an unknown type; expected 1 to 6, got 9"
        ),
        ("tokenizer.ggml.token_type", .floats([Float](repeating: 1, count: 512)), "expected an array of integers"),
        ("tokenizer.ggml.merges", nil, "tokenizer.ggml.merges is missing"),
        (
            "tokenizer.ggml.merges", .strings(["a"]),
            "tokenizer.ggml.merges holds what is no pair of tokens with a token for both; got a"
        ),
        ("tokenizer.ggml.merges", .strings(["a b c"]), "holds what is no pair of tokens"),
        ("tokenizer.ggml.merges", .strings(["zq qz"]), "holds what is no pair of tokens"),
        (
            "tokenizer.ggml.bos_token_id", .u32(512),
            "tokenizer.ggml.bos_token_id is no token; expected 0 to 511, got 512"
        ),
        ("tokenizer.ggml.eos_token_id", .i32(-1), "tokenizer.ggml.eos_token_id is no token"),
        ("tokenizer.chat_template", .u32(7), "tokenizer.chat_template is of the wrong type; expected a string, got 7"),
        (
            "tokenizer.ggml.add_bos_token", .string("yes"),
            "tokenizer.ggml.add_bos_token is of the wrong type; expected a boolean, got yes"
        ),
    ]

    @Test(arguments: settings.indices)
    func settingsByKeyAndValue(_ index: Int) throws {
        let (key, value, message) = Self.settings[index]
        try expect(message) { $0[key] = value }
    }

    @Test func bosThatIsMissing() throws {
        try expect("tokenizer.ggml.bos_token_id is missing, although it is to be added to texts") {
            $0["tokenizer.ggml.add_bos_token"] = .bool(1)
            $0["tokenizer.ggml.bos_token_id"] = nil
        }
    }

    @Test func tensorTypes() throws {
        for (number, name) in [
            (9, "Q8_1"), (10, "Q2_K"), (11, "Q3_K"), (16, "IQ2_XXS"), (23, "IQ4_XS"), (34, "TQ1_0"), (39, "MXFP4"),
            (4, "type 4"), (99, "type 99"),
        ] {
            try expect(
                "tensor blk.0.attn_q.weight: is stored as a type that is not supported; "
                    + "expected F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K, BF16, got \(name)"
            ) { $0.tensors[4].type = UInt32(number) }
        }
        try expect("tensor blk.0.attn_q.weight: rows are no whole blocks of Q8_0; expected a multiple of 32, got 8") {
            $0.tensors[4].type = 8
        }
        try expect("tensor blk.0.attn_q.weight: rows are no whole blocks of Q4_K; expected a multiple of 256, got 8") {
            $0.tensors[4].type = 12
        }
    }

    @Test func tensorDescriptions() throws {
        let q = "tensor blk.0.attn_q.weight: "
        try expect(q + "unsupported rank; expected 1 to 4, got 0") { $0.tensors[4].dimensions = [] }
        try expect(q + "unsupported rank; expected 1 to 4, got 5") { $0.tensors[4].dimensions = [1, 1, 1, 1, 1] }
        try expect(q + "a dimension is out of range; got 0") { $0.tensors[4].dimensions = [8, 0] }
        try expect(q + "a dimension is out of range; got 18446744073709551615") {
            $0.tensors[4].dimensions = [8, .max]
        }
        try expect(q + "the size in bytes overflows 64 bits") { $0.tensors[4].dimensions = [1 << 32, 1 << 32] }
        try expect(q + "the size in bytes overflows 64 bits") { $0.tensors[4].dimensions = [8, 1 << 60] }
        try expect(q + "the offset is not aligned; expected a multiple of 32") { $0.tensors[4].offset = 16_417 }
        try expect(q + "the offset is not aligned") { $0.tensors[4].offset = .max }
        try expect(q) { $0.tensors[4].offset = 1 << 62 }
        try expect("overlap") { $0.tensors[4].offset = $0.tensors[3].offset ?? 16_384 }
        try expect("tensor token_embd.weight: occurs twice") { $0.tensors[1].name = "token_embd.weight" }
        var bytes = GGUFBytes.llama().data
        bytes[bytes.range(of: Data("output_norm".utf8))!.lowerBound] = 0xFF
        #expect(try said(bytes)?.contains("the name of tensor 1 is not valid UTF-8") == true)
    }

    @Test func tensorsThatAreNotTheModels() throws {
        try expect("missing model.layers.0.mlp.down_proj.weight") { $0.tensors.removeLast() }
        try expect("there is no tensor token_embd.weight") { $0.tensors.removeFirst() }
        try expect("unexpected blk.0.attn_q_norm.weight") { $0.tensors[4].name = "blk.0.attn_q_norm.weight" }
        try expect("unexpected blk.00.attn_q.weight") { $0.tensors[4].name = "blk.00.attn_q.weight" }
        try expect("model.layers.0.self_attn.k_proj.weight has shape [8, 4], expected [4, 8]") {
            $0.tensors[5].dimensions = [4, 8]
        }
        try expect("tensor rope_freqs.weight: is not the frequencies of a head; expected F32 [2], got F32 [3]") {
            $0.tensors.append(.init(name: "rope_freqs.weight", dimensions: [3], data: Data(count: 12)))
        }
        try expect("tensor rope_freqs.weight: holds frequencies of an unknown rope scaling; expected Llama 3's") {
            let values: [Float] = [3, 5]
            $0.tensors.append(
                .init(name: "rope_freqs.weight", dimensions: [2], data: values.withUnsafeBytes { Data($0) }))
        }
    }

    /// What is not finite, or too large for the type that is written, is found while writing; nothing remains.
    @Test(arguments: [
        (Float.nan, "element 5 is NaN"), (-Float.infinity, "element 5 is -inf"),
        (
            70000,
            "holds a value too large for F16; expected a type that holds it: bf16 or f32, got 70000.0 at element 5"
        ),
    ])
    func values(_ value: Float, _ message: String) throws {
        var file = GGUFBytes.llama()
        // Row 0 of q is row 0 on both sides of the permutation.
        withUnsafeBytes(of: value) { file.tensors[4].data.replaceSubrange(20..<24, with: $0) }
        try temporaryDirectory { directory in
            let url = directory.appending(path: "x.gguf")
            try file.data.write(to: url)
            let said = wording { _ = try GGUFImport(url: url).write(to: directory.appending(path: "model")) }
            #expect(
                said?.contains("tensor blk.0.attn_q.weight") == true && said!.contains(message),
                "got: \(said ?? "accepted")")
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["x.gguf"])
            if value == 70000 {
                _ = try GGUFImport(url: url, dtype: .bf16).write(to: directory.appending(path: "model"))
            }
        }
    }

    @Test func notAFile() throws {
        try temporaryDirectory { directory in
            #expect(
                wording { _ = try GGUFImport(url: directory) }
                    == "\(directory.path): is a directory, where a file is expected")
            #expect(
                wording { _ = try GGUFImport(url: directory.appending(path: "no")) }?.contains(
                    "No such file or directory") == true)
        }
    }

    /// Any byte of the description changed: refused or read, never a crash, and quickly.
    @Test func changedBytes() throws {
        let whole = GGUFBytes.llama().data
        let descriptions = whole.range(of: Data("token_embd.weight".utf8))!.lowerBound
        try temporaryDirectory { directory in
            let url = directory.appending(path: "x.gguf")
            for position in Array(0..<1200) + Array(descriptions - 8..<descriptions + 600) {
                for byte: UInt8 in [0xFF, 0x80, whole[position] ^ 1] {
                    var bytes = whole
                    bytes[position] = byte
                    try bytes.write(to: url)
                    _ = try? GGUFFile(url: url)
                    if position % 16 == 0 { _ = try? GGUFImport(url: url) }
                }
            }
        }
    }
}
