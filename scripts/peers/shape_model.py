"""A checkpoint of DeepSeek-R1-Distill-Qwen-1.5B's exact shape with random weights in BF16, for speed and memory.

    python3 shape_model.py DIR

Uses nothing but the standard library: weights are drawn once and repeated, since only their sizes matter here.
"""

import array
import json
import random
import struct
import sys
from pathlib import Path

LAYERS, HIDDEN, HEADS, KV_HEADS, INTERMEDIATE, VOCABULARY = 28, 1536, 12, 2, 8960, 151936
HEAD_DIM = HIDDEN // HEADS
CONFIG = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "intermediate_size": INTERMEDIATE,
    "vocab_size": VOCABULARY, "max_position_embeddings": 131072, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
    "hidden_act": "silu", "tie_word_embeddings": False, "use_sliding_window": False, "torch_dtype": "bfloat16",
    "bos_token_id": 151646, "eos_token_id": 151643,
}


def shapes():
    yield "model.embed_tokens.weight", [VOCABULARY, HIDDEN]
    for layer in range(LAYERS):
        p = f"model.layers.{layer}."
        yield p + "input_layernorm.weight", [HIDDEN]
        for name, rows in [("q", HEADS * HEAD_DIM), ("k", KV_HEADS * HEAD_DIM), ("v", KV_HEADS * HEAD_DIM)]:
            yield p + f"self_attn.{name}_proj.weight", [rows, HIDDEN]
            yield p + f"self_attn.{name}_proj.bias", [rows]
        yield p + "self_attn.o_proj.weight", [HIDDEN, HEADS * HEAD_DIM]
        yield p + "post_attention_layernorm.weight", [HIDDEN]
        yield p + "mlp.gate_proj.weight", [INTERMEDIATE, HIDDEN]
        yield p + "mlp.up_proj.weight", [INTERMEDIATE, HIDDEN]
        yield p + "mlp.down_proj.weight", [HIDDEN, INTERMEDIATE]
    yield "model.norm.weight", [HIDDEN]
    yield "lm_head.weight", [VOCABULARY, HIDDEN]


def bf16(value):
    return struct.unpack("<I", struct.pack("<f", value))[0] >> 16


def main(directory):
    directory = Path(directory)
    target = directory / "model.safetensors"
    if (directory / "config.json").exists():
        print(f"shape-model: {directory} is there")
        return
    directory.mkdir(parents=True, exist_ok=True)
    draw = random.Random(1)
    # A prime number of values: no two rows of a matrix begin alike.
    block = array.array("H", (bf16(draw.gauss(0, 0.02)) for _ in range(1_000_003))).tobytes()
    one = struct.pack("<H", bf16(1.0))
    header, offset = {}, 0
    for name, shape in shapes():
        size = 2
        for dimension in shape:
            size *= dimension
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(target, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        position = 0
        for name, info in header.items():
            left = info["data_offsets"][1] - info["data_offsets"][0]
            if "norm" in name:
                f.write(one * (left // 2))
                continue
            while left > 0:
                piece = block[position:position + left]
                f.write(piece)
                left -= len(piece)
                position = (position + len(piece)) % len(block)
    (directory / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    print(f"shape-model: {directory}, {target.stat().st_size / 1e9:.2f} GB")


if __name__ == "__main__":
    main(sys.argv[1])
