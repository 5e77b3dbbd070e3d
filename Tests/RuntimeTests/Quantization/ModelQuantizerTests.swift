import Foundation
import Runtime
import Testing

/// Quantizing whole checkpoints: what is written, and what is refused with nothing written.
@Suite struct ModelQuantizerTests {
    static let schemes = [4, 8].flatMap { bits in
        [true, false].flatMap { symmetric in
            [nil, 32].map { QuantizationScheme(bits: bits, symmetric: symmetric, groupSize: $0) }
        }
    }

    private func files(_ directory: URL) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
    }

    private func quantize(
        _ model: URL, _ output: URL, _ scheme: QuantizationScheme, head: Bool = false, force: Bool = false
    ) throws {
        let quantizer = try ModelQuantizer(Checkpoint(directory: model), scheme: scheme, quantizesHead: head)
        _ = try quantizer.write(to: output, overwrite: force)
    }

    private func refusal(_ model: URL, _ output: URL, _ scheme: QuantizationScheme = schemes[0], force: Bool = false)
        -> String?
    {
        wording { try quantize(model, output, scheme, force: force) }
    }

    /// What is read back from the file is what the layer's own quantization gives; the rest is copied.
    @Test(arguments: ["checkpoints/f16-untied", "models/qwen2-tied"], schemes)
    func everyLayerAndNothingElse(_ name: String, _ scheme: QuantizationScheme) throws {
        try temporaryDirectory { directory in
            let output = directory.appending(path: "q")
            let source = try ordinary(name, in: directory)
            guard name != "models/qwen2-tied" || scheme.groupSize == nil else { return }
            try quantize(source, output, scheme)
            let (before, after) = (try Checkpoint(directory: source), try Checkpoint(directory: output))
            try after.validate()
            let quantization = try #require(try after.quantization)
            var packedNames: Set<String> = []
            for layer in before.configuration.decoderLinearLayers {
                #expect(try quantization.scheme(for: layer.module) == scheme)
                let dtype = try before.info(layer.weight).dtype
                let expected = try before.withBytes(layer.weight) {
                    try PackedWeight.quantizing(
                        $0, rows: layer.rows, columns: layer.columns, dtype: dtype, scheme: scheme)
                }
                #expect(
                    try PackedWeight(reading: layer, from: after, scheme: scheme) == expected.weight, "\(layer.module)")
                packedNames.formUnion(layer.tensors(scheme: scheme).map(\.name))
            }
            #expect(try quantization.scheme(for: "lm_head") == nil)
            for (tensor, info) in before.tensors
            where !before.configuration.decoderLinearLayers.contains(where: { $0.weight == tensor }) {
                #expect(after.tensors[tensor] == info)
                #expect(try after.withBytes(tensor) { Data($0) } == before.withBytes(tensor) { Data($0) }, "\(tensor)")
            }
            #expect(try files(directory).sorted() == ["model", "q"])
        }
    }

    /// A fixture with its extreme values, which no group's scale can hold, replaced by ordinary ones.
    private func ordinary(_ name: String, in directory: URL) throws -> URL {
        let target = directory.appending(path: "model")
        try FileManager.default.copyItem(at: fixture(name), to: target)
        let checkpoint = try Checkpoint(directory: fixture(name))
        let file = target.appending(path: "model.safetensors")
        let handle = try FileHandle(forWritingTo: file)
        for (tensor, info) in checkpoint.tensors {
            let entry = try #require(checkpoint.files[0].entries[tensor])
            try handle.seek(toOffset: UInt64(entry.range.lowerBound))
            try handle.write(contentsOf: Data(count: min(3, info.count) * info.dtype.size))
        }
        try handle.close()
        return target
    }

    @Test(arguments: schemes)
    func dequantizedCheckpointHoldsTheSameNumbers(_ scheme: QuantizationScheme) throws {
        try temporaryDirectory { directory in
            let source = try ordinary("checkpoints/f16-untied", in: directory)
            let (packed, plain) = (directory.appending(path: "q"), directory.appending(path: "plain"))
            try quantize(source, packed, scheme, head: true)
            let quantized = try Checkpoint(directory: packed)
            try ModelDequantizer(quantized).write(to: plain)
            let result = try Checkpoint(directory: plain)
            try result.validate()
            #expect(try result.quantization == nil)
            for layer in result.configuration.decoderLinearLayers + [result.configuration.head] {
                let weight = try PackedWeight(reading: layer, from: quantized, scheme: scheme)
                let values = try result.float32(layer.weight, shape: [layer.rows, layer.columns])
                #expect(values == (0..<layer.rows).flatMap { weight.dequantized(row: $0) }, "\(layer.module)")
            }
            #expect(
                wording { _ = try ModelDequantizer(result) }?.contains(
                    "is not quantized: config.json has no quantization_config") == true)
        }
    }

    /// A type that is asked for is that of all tensors, and config.json says so; without one, all is as it was.
    @Test(arguments: [.f32, .f16, nil] as [DType?], ["dtype", "torch_dtype"])
    func dequantizedTo(_ dtype: DType?, _ key: String) throws {
        try copied("models/qwen2-tied") { source in
            try editJSON(source.appending(path: "config.json")) {
                $0["dtype"] = nil
                $0[key] = "bfloat16"
            }
            let folder = source.deletingLastPathComponent()
            let (packed, plain) = (folder.appending(path: "q"), folder.appending(path: "plain"))
            try quantize(source, packed, QuantizationScheme(bits: 8, groupSize: 32))
            let quantized = try Checkpoint(directory: packed)
            try ModelDequantizer(quantized, dtype: dtype).write(to: plain)
            let result = try Checkpoint(directory: plain)
            try result.validate()
            #expect(Set(result.tensors.values.map(\.dtype)) == [dtype ?? .bf16])
            #expect(result.configuration.dtype == dtype ?? .bf16)
            #expect(result.configurationJSON[key]?.string == (dtype ?? .bf16).torchName)
            #expect(["dtype", "torch_dtype"].filter { result.configurationJSON[$0] != nil } == [key])
            for name in ["model.norm.weight", "model.embed_tokens.weight", "model.layers.1.self_attn.q_proj.bias"] {
                let shape = try result.info(name).shape
                let exact = try quantized.float32(name, shape: shape)
                let expected = dtype == .f16 ? exact.map { Float(Float16($0)) } : exact
                #expect(try result.float32(name, shape: shape) == expected, "\(name)")
            }
        }
    }

    /// Infinities are never written: neither of dequantized weights nor of what is copied.
    @Test(arguments: ["model.layers.1.mlp.down_proj.weight", "model.norm.weight", "model.embed_tokens.weight"])
    func valuesTooLargeForTheType(_ tensor: String) throws {
        try copied("models/qwen2-tied") { source in
            try setFirst(of: tensor, in: source, to: [0x62, 0x7F])
            let folder = source.deletingLastPathComponent()
            let (packed, plain) = (folder.appending(path: "q"), folder.appending(path: "plain"))
            try quantize(source, packed, QuantizationScheme(bits: 8, groupSize: 32))
            let quantized = try Checkpoint(directory: packed)
            #expect(
                wording { try ModelDequantizer(quantized, dtype: .f16).write(to: plain) }
                    == "\(packed.path): \(tensor) holds 1 value too large for F16; use --dtype bf16 or f32")
            #expect(try files(folder) == ["model", "q"])
            for dtype in [DType.bf16, .f32] {
                try ModelDequantizer(quantized, dtype: dtype).write(to: plain, overwrite: true)
            }
        }
    }

    @Test func tiedHeadBecomesUntied() throws {
        try temporaryDirectory { directory in
            let source = try ordinary("models/qwen2-tied", in: directory)
            let output = directory.appending(path: "q")
            try quantize(source, output, Self.schemes[0], head: true)
            let after = try Checkpoint(directory: output)
            try after.validate()
            #expect(!after.configuration.tiedEmbeddings)
            #expect(try after.quantization?.scheme(for: "lm_head") == Self.schemes[0])
            #expect(after.tensors["model.embed_tokens.weight"] != nil)
        }
    }

    @Test(arguments: [
        ("F16", Data([0x01, 0x7C]), "NaN"), ("F16", Data([0, 0xFC]), "-inf"), ("F16", Data([0, 0x7C]), "inf"),
    ])
    func weightsThatAreNotFinite(_ dtype: String, _ bits: Data, _ value: String) throws {
        for tensor in ["model.layers.1.mlp.up_proj.weight", "model.norm.weight", "model.embed_tokens.weight"] {
            try temporaryDirectory { directory in
                let source = try ordinary("checkpoints/f16-untied", in: directory)
                let entry = try #require(try Checkpoint(directory: source).files[0].entries[tensor])
                let handle = try FileHandle(forWritingTo: source.appending(path: "model.safetensors"))
                try handle.seek(toOffset: UInt64(entry.range.lowerBound + 2 * (entry.info.count - 5)))
                try handle.write(contentsOf: bits)
                try handle.close()
                let said = try #require(refusal(source, directory.appending(path: "q")))
                let place =
                    entry.info.shape.count == 2 && tensor.contains("mlp")
                    ? "the first at [63, 27]" : "element \(entry.info.count - 5)"
                #expect(said.contains(tensor) && said.contains(place) && said.contains(value), "got: \(said)")
                #expect(try files(directory) == ["model"])
            }
        }
    }

    @Test func scaleTooWideForItsType() throws {
        // The distance of the two is no F16.
        let values: [Float16] = [65504, -65504] + [Float16](repeating: 0, count: 30)
        let said = values.withUnsafeBytes { bytes in
            wording {
                _ = try PackedWeight.quantizing(
                    bytes, module: "m", rows: 1, columns: 32, dtype: .f16, scheme: Self.schemes[2])
            }
        }
        #expect(
            said
                == "m: the range of m.weight, row 0, group 0 is too wide for a scale in F16; use --symmetric, or convert the checkpoint to F32"
        )
    }

    @Test func indivisibleColumnsAreAllNamed() throws {
        try temporaryDirectory { directory in
            let output = directory.appending(path: "q")
            let model = fixture("checkpoints/f16-untied")
            let said = try #require(refusal(model, output, QuantizationScheme(bits: 4, groupSize: 64)))
            let kinds = [
                "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
                "mlp.up_proj",
            ]
            let names = (0..<2).flatMap { layer in kinds.map { "model.layers.\(layer).\($0) (32)" } }
            let list = "groups of 64 do not divide the columns of 12 layers: " + names.joined(separator: ", ")
            #expect(said.contains(list + "; use --group-size 32 or channel"), "got: \(said)")
            let all = try #require(refusal(model, output, QuantizationScheme(bits: 4, groupSize: 128)))
            #expect(
                all.contains("the columns of 14 layers: ") && all.contains("model.layers.1.mlp.down_proj (64)"),
                "got: \(all)")
            #expect(try files(directory) == [])
        }
    }

    /// Also where the groups differ: a second run must not turn up other layers.
    @Test func indivisibleColumnsOfAllSizesAreNamed() throws {
        let checkpoint = try Checkpoint(directory: fixture("checkpoints/f16-untied"))
        var plan = QuantizationPlan(checkpoint.configuration, scheme: QuantizationScheme(bits: 4, groupSize: 128))
        try plan.override("o_proj=int8:g64")
        let said = try #require(wording { _ = try ModelQuantizer(checkpoint, recipe: QuantizationRecipe(plan: plan)) })
        #expect(said.contains(": groups do not divide the columns of 14 layers: "), "got: \(said)")
        for layer in checkpoint.configuration.decoderLinearLayers {
            let size = layer.module.hasSuffix("o_proj") ? 64 : 128
            #expect(said.contains("\(layer.module) (\(layer.columns), groups of \(size))"), "got: \(said)")
        }
        #expect(said.hasSuffix("; give them groups of 32 or channel"), "got: \(said)")
    }

    @Test func refusesWhatIsThere() throws {
        try temporaryDirectory { directory in
            let source = try ordinary("checkpoints/f16-untied", in: directory)
            let output = directory.appending(path: "q")
            try quantize(source, output, Self.schemes[1])
            let before = try Checkpoint(directory: output).digest()
            #expect(
                refusal(source, output, Self.schemes[3])
                    == "\(output.path): exists already; delete it, choose another name, or give --force")
            #expect(try Checkpoint(directory: output).digest() == before)
            #expect(refusal(source, output, Self.schemes[3], force: true) == nil)
            #expect(try Checkpoint(directory: output).digest() != before)

            #expect(
                refusal(output, directory.appending(path: "qq"))?.contains(
                    "the checkpoint is already quantized; expected F32, F16 or BF16 weights, got compressed-tensors; start from the original checkpoint"
                ) == true)
            #expect(
                refusal(source, source, force: true)?.contains("the output would replace the checkpoint that is read")
                    == true)
            let other = directory.appending(path: "other")
            try FileManager.default.createDirectory(at: other, withIntermediateDirectories: true)
            try Data().write(to: other.appending(path: "letter.txt"))
            #expect(refusal(source, other, force: true)?.contains("is a directory without config.json") == true)
            #expect(try files(directory) == ["model", "other", "q"])
        }
    }

    /// The source is not replaced, by whatever links it is reached, nor a directory that holds it.
    @Test func refusesItsSourceBehindALink() throws {
        try temporaryDirectory { directory in
            let source = try ordinary("checkpoints/f16-untied", in: directory)
            let packed = directory.appending(path: "q")
            try quantize(source, packed, Self.schemes[1])
            try FileManager.default.copyItem(
                at: source.appending(path: "config.json"), to: directory.appending(path: "config.json"))
            func link(_ name: String, to target: URL) throws -> URL {
                let url = directory.appending(path: name)
                try FileManager.default.createSymbolicLink(at: url, withDestinationURL: target)
                return url
            }
            let (model, again) = (try link("a", to: source), try link("b", to: packed))
            func digests() throws -> [String] { try [source, packed].map { try Checkpoint(directory: $0).digest() } }
            let before = try digests()
            let refused = "the output would replace the checkpoint that is read; choose another --output"
            for (from, output) in [(source, model), (model, source), (model, model), (source, directory)] {
                #expect(refusal(from, output, force: true) == "\(output.path): \(refused)")
                let said = wording {
                    try ModelQuantizer.check(Checkpoint(directory: from), output: output, overwrite: true)
                }
                #expect(said == "\(output.path): \(refused)")
            }
            for (from, output) in [(packed, again), (again, packed), (packed, directory)] {
                let said = wording {
                    try ModelDequantizer(Checkpoint(directory: from)).write(to: output, overwrite: true)
                }
                #expect(said == "\(output.path): \(refused)")
            }
            #expect(try digests() == before)
            // A link to another model is one that may be replaced.
            #expect(refusal(source, again, force: true) == nil)
        }
    }

    @Test func tensorsThatAreNotTheModels() throws {
        try copied("checkpoints/f16-untied") { directory in
            try editJSON(directory.appending(path: "config.json")) { $0["num_hidden_layers"] = 3 }
            let output = directory.deletingLastPathComponent().appending(path: "q")
            #expect(refusal(directory, output)?.contains("missing model.layers.2.input_layernorm.weight") == true)
            #expect(try files(directory.deletingLastPathComponent()) == ["model"])
        }
    }

    // MARK: Values

    private func restored(_ values: [Float], _ scheme: QuantizationScheme, rows: Int = 1) throws -> (
        PackedWeight, [Float]
    ) {
        let packed = try values.withUnsafeBytes {
            try PackedWeight.quantizing($0, rows: rows, columns: values.count / rows, dtype: .f32, scheme: scheme)
                .weight
        }
        return (packed, (0..<rows).flatMap { packed.dequantized(row: $0) })
    }

    @Test(arguments: schemes)
    func zerosStayZeros(_ scheme: QuantizationScheme) throws {
        let (packed, values) = try restored([Float](repeating: 0, count: 128), scheme, rows: 2)
        #expect(values.allSatisfy { $0 == 0 })
        #expect(packed.scales.allSatisfy { $0 > 0 && $0.isFinite }, "a scale that can be divided by")
    }

    @Test(arguments: schemes, [Float(0.3), -2.5e-5, 1e4, -1e-38])
    func constantRowsAreWithinHalfAStep(_ scheme: QuantizationScheme, _ value: Float) throws {
        let (packed, values) = try restored([Float](repeating: value, count: 64), scheme)
        // Half a step and fp32's own rounding. Symmetric: the step is absmax/7.5, and 7 steps are the most.
        for restored in values {
            #expect(abs(restored - value) <= packed.scales[0] * 0.5001, "\(scheme.label) \(value): \(restored)")
        }
    }

    /// An outlier of 1e4 spoils its own group, and no other.
    @Test(arguments: schemes)
    func outlier(_ scheme: QuantizationScheme) throws {
        var values = (0..<64).map { Float($0 % 13 - 6) / 100 }
        values[37] = 1e4
        let (packed, result) = try restored(values, scheme)
        let size = scheme.groupSize ?? 64
        for (index, pair) in zip(values, result).enumerated() {
            #expect(abs(pair.0 - pair.1) <= packed.scales[index / size] * 0.5001, "\(scheme.label) at \(index)")
        }
        if size == 32 { #expect(packed.scales[0] < 0.02 && packed.scales[1] > 30) }
    }
}
