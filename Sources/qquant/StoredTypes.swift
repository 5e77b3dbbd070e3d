import Foundation
import Runtime

/// The types of a GGUF file's layers, embedding and head, which are dequantized before they are compared: Q4_0, Q6_K.
struct StoredTypes {
    private var types: [String: String] = [:]

    /// The file's names of a layer's modules.
    private static let names = [
        "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    ]

    /// Empty for a directory, whose configuration says them.
    init(_ url: URL) throws {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory), !isDirectory.boolValue
        else { return }
        for tensor in try ModelInspection(url).tensors { types[tensor.name] = tensor.dtype }
    }

    /// Of `model.layers.0.self_attn.q_proj`, `model.embed_tokens`, `lm_head`; nil where no GGUF file says it.
    subscript(module: String) -> String? {
        let embedding = types["token_embd.weight"]
        if module == "model.embed_tokens" { return embedding }
        if module == "lm_head" { return types["output.weight"] ?? embedding }
        let parts = module.split(separator: ".", maxSplits: 3)
        guard parts.count == 4, parts[0] == "model", parts[1] == "layers", let name = Self.names[String(parts[3])]
        else { return nil }
        return types["blk.\(parts[2]).\(name).weight"]
    }
}
