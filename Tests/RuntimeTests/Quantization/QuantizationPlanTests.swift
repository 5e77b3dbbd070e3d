import Foundation
import Runtime
import Testing

/// Which layer gets which scheme: overrides, budgets, and what config.json says of it.
@Suite struct QuantizationPlanTests {
    private func model() throws -> Checkpoint { try Checkpoint(directory: fixture("checkpoints/f16-untied")) }
    private let int4 = QuantizationScheme(bits: 4, groupSize: 32)
    private let int8 = QuantizationScheme(bits: 8, groupSize: 32)

    @Test func schemesAreWrittenAndRead() {
        for scheme in RoundingPropertyTests.schemes { #expect(QuantizationScheme(name: scheme.name) == scheme) }
        for text in ["", "int4", "int5:g32", "int4:g33", "int4:g32:symmetric", "int4:g32:asymmetric:x", "INT4:g32"] {
            #expect(QuantizationScheme(name: text) == nil, "\(text)")
        }
    }

    @Test func overrides() throws {
        var plan = QuantizationPlan(try model().configuration, scheme: int4)
        try plan.override("down_proj=int8:g32")
        try plan.override(#"layers\.0\.self_attn\.(q|k|v)_proj$=keep"#)
        #expect(plan["model.layers.1.mlp.down_proj"] == int8)
        #expect(plan["model.layers.0.self_attn.k_proj"] == nil)
        #expect(plan["model.layers.1.self_attn.k_proj"] == int4)
        try plan.validate()
        #expect(
            wording { try plan.override("dwon_proj=int8:g32") }
                == "--override dwon_proj=int8:g32: it matches no module; expected a name such as model.layers.0.self_attn.q_proj"
        )
        #expect(
            wording { try plan.override("down_proj") }?.contains("it has no scheme; expected REGEX=int8:g32") == true)
        #expect(wording { try plan.override("down_proj=int3") }?.contains("the scheme is unknown") == true)
        #expect(wording { try plan.override("(=int8:g32") }?.contains("cannot be used") == true)
    }

    /// The last that finds a module has its say; one to which that leaves nothing is a mistake, as one that finds nothing.
    @Test func overridesBehindOthers() throws {
        let model = try model().configuration
        var plan = QuantizationPlan(model, scheme: int4)
        let found = try plan.override(["mlp=int8:g32", "layers.0.mlp=keep"])
        #expect(plan["model.layers.0.mlp.up_proj"] == nil && plan["model.layers.1.mlp.up_proj"] == int8)
        #expect(found.count == 3 * model.layers)
        #expect(found["model.layers.0.mlp.up_proj"] == .some(nil) && found["model.layers.1.mlp.up_proj"] == int8)
        func said(_ texts: [String]) -> String? {
            wording {
                var plan = QuantizationPlan(model, scheme: int4)
                try plan.override(texts)
            }
        }
        #expect(
            said(["layers.0.mlp=keep", "mlp=int8:g32"])
                == "--override layers.0.mlp=keep: it has no effect: all that it finds is found by others behind it; expected narrow overrides behind broad ones, got --override mlp=int8:g32 behind it"
        )
        let several = said(["mlp=int8:g32", "up_proj|gate_proj=keep", "down_proj=int4:g32"])
        #expect(
            several?.hasSuffix("got --override up_proj|gate_proj=keep --override down_proj=int4:g32 behind it") == true,
            "got: \(several ?? "nothing")")
        #expect(said(["mlp=int8:g32", "mlp=int8:g32"])?.hasPrefix("--override mlp=int8:g32: it has no effect") == true)
    }

    /// Only an override that names the head, or it and the embedding, takes a tied head from its embedding.
    @Test func aBroadOverrideLeavesATiedHead() throws {
        let tied = try Checkpoint(directory: fixture("models/qwen2-tied")).configuration
        var plan = QuantizationPlan(tied, scheme: int4)
        try plan.override(".*=int8:g32")
        #expect(plan["model.embed_tokens"] == int8 && plan["lm_head"] == nil)
        var other = QuantizationPlan(tied)
        #expect(try !other.override([".*=int8:g32"]).keys.contains("lm_head"))
        #expect(try other.override(["lm_head=int8:g32"]) == ["lm_head": int8])
        try plan.override("embed_tokens|lm_head=int8:g32")
        #expect(plan["lm_head"] == int8)
        // By now it has a scheme of its own.
        try plan.override(".*=int4:g32")
        #expect(plan["lm_head"] == int4)
        var untied = QuantizationPlan(try model().configuration, scheme: int4)
        try untied.override(".*=int8:g32")
        #expect(untied["lm_head"] == int8)
    }

    /// Of the embedding's groups --group-size says nothing.
    @Test func indivisibleEmbedding() throws {
        let checkpoint = try model()
        let plan = QuantizationPlan(
            checkpoint.configuration, scheme: int4, embedding: QuantizationScheme(bits: 8, groupSize: 64))
        let said = wording { _ = try ModelQuantizer(checkpoint, recipe: QuantizationRecipe(plan: plan)) }
        #expect(
            said?.hasSuffix("1 layer: model.embed_tokens (32); give it groups of 32 or channel") == true,
            "got: \(said ?? "nothing")")
    }

    @Test func fusedLayersShareAScheme() throws {
        let checkpoint = try model()
        var plan = QuantizationPlan(checkpoint.configuration, scheme: int4)
        try plan.override("layers.1.mlp.up_proj=int8:g32")
        let said = wording { _ = try ModelQuantizer(checkpoint, recipe: QuantizationRecipe(plan: plan)) }
        #expect(
            said?.contains(
                "expected one scheme for model.layers.1.mlp.gate_proj, model.layers.1.mlp.up_proj, got int4 g32, int8 g32"
            ) == true, "got: \(said ?? "nothing")")
        #expect(said?.hasPrefix("--override: layers that are computed together") == true, "got: \(said ?? "nothing")")
    }

    /// What is written is read back as it was meant, module by module, and runs.
    @Test func mixedSchemesRoundTrip() throws {
        let checkpoint = try Checkpoint(directory: fixture("models/qwen2-tied"))
        var plan = QuantizationPlan(
            checkpoint.configuration, scheme: QuantizationScheme(bits: 4, groupSize: 32),
            embedding: QuantizationScheme(bits: 8, groupSize: 32))
        try plan.override("down_proj=int8:channel")
        try plan.override("o_proj=keep")
        try plan.override("layers.1.self_attn.[qkv]_proj=int4:g32:asymmetric")
        try temporaryDirectory { directory in
            let output = directory.appending(path: "q")
            _ = try ModelQuantizer(checkpoint, recipe: QuantizationRecipe(plan: plan, method: .mse)).write(to: output)
            let after = try Checkpoint(directory: output)
            try after.validate()
            let quantization = try #require(try after.quantization)
            for layer in plan.modules {
                #expect(try quantization.scheme(for: layer.module) == plan[layer.module], "\(layer.module)")
                guard let scheme = plan[layer.module] else { continue }
                #expect(after.tensors[layer.weight] == nil)
                _ = try PackedWeight(reading: layer, from: after, scheme: scheme)
            }
            let plain = directory.appending(path: "plain")
            try ModelDequantizer(after).write(to: plain)
            try Checkpoint(directory: plain).validate()
        }
    }

    // MARK: Budgets

    /// Sensitivities by hand: the first layer hurts most.
    private func sensitivities(
        _ checkpoint: Checkpoint, digest: String? = nil, version: Int = 2
    ) throws -> Sensitivities {
        let model = checkpoint.configuration
        let sets: [JSONValue] = (0..<model.layers).flatMap { layer in
            [
                ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"], ["self_attn.o_proj"],
                ["mlp.gate_proj", "mlp.up_proj"], ["mlp.down_proj"],
            ].map { names -> JSONValue in
                let kl = layer == 0 ? 0.5 : 0.01
                return [
                    "modules": .array(names.map { .string("model.layers.\(layer).\($0)") }),
                    "choices": [
                        ["scheme": "int4:g32", "output_error": 0.1, "kl": .number(kl)],
                        ["scheme": "int8:g32", "output_error": 0.001, "kl": .number(kl / 100)],
                    ],
                ]
            }
        }
        let json: JSONValue = [
            "format": "qquant-sensitivities", "version": .integer(version),
            "source_sha256": .string(try digest ?? checkpoint.digest()), "calibration_sha256": "",
            "calibration_tokens": 8192, "calibration_window": 256, "calibration_seed": "18446744073709551615",
            "tokens": 512, "wanted_tokens": 600, "method": "imatrix", "sets": .array(sets),
        ]
        return try Sensitivities(
            json: json, place: "s.json", sourceDigest: try checkpoint.digest(),
            modules: Set(QuantizationPlan(model).modules.map(\.module)))
    }

    @Test func budgetsAreKeptAndUsedWhereItHurts() throws {
        let checkpoint = try model()
        let found = try sensitivities(checkpoint)
        #expect(
            try Sensitivities(
                json: found.json, place: "", sourceDigest: found.sourceDigest,
                modules: Set(QuantizationPlan(checkpoint.configuration).modules.map(\.module))) == found)
        func size(_ plan: QuantizationPlan) throws -> Int {
            try ModelQuantizer(checkpoint, recipe: QuantizationRecipe(plan: plan)).plan.bytesAfter
        }
        let all4 = try size(QuantizationPlan(checkpoint.configuration, scheme: int4))
        let all8 = try size(QuantizationPlan(checkpoint.configuration, scheme: int8))
        var earlier = Double.infinity
        for bytes in stride(from: all4, through: all8, by: max(1, (all8 - all4) / 6)) {
            let (plan, divergence) = try Budget.plan(checkpoint, found, limit: .bytes(bytes))
            #expect(try size(plan) <= bytes)
            #expect(divergence <= earlier)
            earlier = divergence
            try plan.validate()
            // Layer 0 hurts more for every byte of the same layer's.
            for layer in plan.modules where layer.module.contains("layers.1.") && plan[layer.module] != int4 {
                #expect(plan[layer.module.replacing("layers.1.", with: "layers.0.")] != int4, "\(layer.module)")
            }
        }
        let said = wording { _ = try Budget.plan(checkpoint, found, limit: .bytes(all4 - 1)) }
        #expect(said?.contains("no choice of schemes is that small; expected at least \(all4) bytes") == true)
        let bits = Double(all4 * 8) / Double(checkpoint.tensors.values.reduce(0) { $0 + $1.count })
        #expect(try size(Budget.plan(checkpoint, found, limit: .bitsPerWeight(bits + 0.001)).plan) == all4)
    }

    @Test func overridesBindABudget() throws {
        let checkpoint = try model()
        let fixed: [String: QuantizationScheme?] = [
            "model.layers.0.mlp.down_proj": int8, "model.layers.1.self_attn.o_proj": nil,
        ]
        let (plan, _) = try Budget.plan(checkpoint, sensitivities(checkpoint), limit: .bytes(1 << 30), fixed: fixed)
        #expect(plan["model.layers.0.mlp.down_proj"] == int8)
        #expect(plan["model.layers.1.self_attn.o_proj"] == nil)
    }

    /// A tied head that an override separates has no tensor in the source, and yet takes its room.
    @Test func aSeparateHeadCountsInABudget() throws {
        let checkpoint = try Checkpoint(directory: fixture("models/qwen2-tied"))
        let found = try sensitivities(checkpoint)
        let smallest = QuantizationPlan(checkpoint.configuration, scheme: int4, head: int8)
        let bytes = try ModelQuantizer(checkpoint, recipe: QuantizationRecipe(plan: smallest)).plan.bytesAfter
        let fixed: [String: QuantizationScheme?] = ["lm_head": int8]
        #expect(try Budget.plan(checkpoint, found, limit: .bytes(bytes), fixed: fixed).plan == smallest)
        let said = wording { _ = try Budget.plan(checkpoint, found, limit: .bytes(bytes - 1), fixed: fixed) }
        #expect(said?.contains("expected at least \(bytes) bytes") == true, "got: \(said ?? "planned")")
    }

    @Test func modulesWithoutSensitivityAreNamed() throws {
        let (tied, untied) = (try Checkpoint(directory: fixture("models/qwen2-tied")), try model())
        #expect(try sensitivities(tied).unknown(of: tied.configuration).map(\.module) == ["model.embed_tokens"])
        #expect(
            try sensitivities(untied).unknown(of: untied.configuration).map(\.module)
                == ["model.embed_tokens", "lm_head"])
    }

    @Test func sensitivitiesOfAnotherModel() throws {
        let checkpoint = try model()
        #expect(
            wording { _ = try sensitivities(checkpoint, digest: "0") }
                == "s.json: the sensitivities are of another model; delete it, and it is measured anew")
        #expect(
            wording { _ = try sensitivities(checkpoint, version: 1) }
                == "s.json: the sensitivities are in another version of the format; expected 2, got 1; delete it, and it is measured anew"
        )
    }
}
