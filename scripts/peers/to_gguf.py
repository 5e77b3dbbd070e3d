"""Writes a Hugging Face directory as GGUF for llama.cpp: linear layers in one type, without a vocabulary.

    python3 to_gguf.py MODEL OUT.gguf Q8_0|Q4_0|F16

The embedding (and with it a tied head) is Q8_0 in a Q4_0 file, as our int4 models run theirs in int8.
"""

import json
import sys
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

ARCHITECTURES = {"LlamaForCausalLM": "llama", "MistralForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2"}
NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}
TOP = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
       "lm_head.weight": "output.weight"}


def tensors(model):
    """Name and fp32 values of each tensor, one after the other."""
    for file in sorted(Path(model).glob("*.safetensors")):
        with open(file, "rb") as f:
            header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
            start = f.tell()
            for name, info in header.items():
                if name == "__metadata__":
                    continue
                begin, end = info["data_offsets"]
                f.seek(start + begin)
                raw = f.read(end - begin)
                if info["dtype"] == "BF16":
                    values = (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
                else:
                    values = np.frombuffer(raw, {"F16": np.float16, "F32": np.float32}[info["dtype"]]).astype(np.float32)
                yield name, values.reshape(info["shape"])


def permute(values, heads):
    """Rotary halves as llama.cpp's llama architecture expects them."""
    shape = values.shape
    return values.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def gguf_name(name):
    if name in TOP:
        return TOP[name]
    _, _, layer, rest = name.split(".", 3)
    module, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{NAMES[module]}.{kind}"


def main(model, out, kind):
    config = json.loads((Path(model) / "config.json").read_text())
    architecture = ARCHITECTURES[config["architectures"][0]]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    rope = config.get("rope_parameters") or {}
    w = gguf.GGUFWriter(out, architecture)
    w.add_context_length(config["max_position_embeddings"])
    w.add_embedding_length(config["hidden_size"])
    w.add_block_count(config["num_hidden_layers"])
    w.add_feed_forward_length(config["intermediate_size"])
    w.add_head_count(heads)
    w.add_head_count_kv(kv_heads)
    w.add_layer_norm_rms_eps(config["rms_norm_eps"])
    w.add_rope_freq_base(config.get("rope_theta", rope.get("rope_theta", 10000.0)))
    w.add_rope_dimension_count(config.get("head_dim") or config["hidden_size"] // heads)
    w.add_vocab_size(config["vocab_size"])
    w.add_tokenizer_model("no_vocab")
    for name, values in tensors(model):
        target = gguf_name(name)
        if architecture == "llama" and ".q_proj." in name:
            values = permute(values, heads)
        if architecture == "llama" and ".k_proj." in name:
            values = permute(values, kv_heads)
        if values.ndim == 1:
            w.add_tensor(target, values)
        else:
            type = Type.Q8_0 if kind == "Q4_0" and target in ("token_embd.weight", "output.weight") else Type[kind]
            w.add_tensor(target, gguf.quantize(np.ascontiguousarray(values), type), raw_dtype=type)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
