#!/usr/bin/env python3
"""Writes a checkpoint of DeepSeek-R1-Distill-Qwen-1.5B's shapes with random BF16 weights, in two shards, to measure with.

    python3 synthetic_checkpoint.py DIR [LAYERS]

3.5 GB with all 28 layers. It has no tokenizer.
"""

import json
import os
import sys

import torch
from safetensors.torch import save_file

HIDDEN, INNER, VOCABULARY, HEADS, KV = 1536, 8960, 151936, 12, 2
CONFIG = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu", "hidden_size": HIDDEN,
    "intermediate_size": INNER, "num_attention_heads": HEADS, "num_key_value_heads": KV, "vocab_size": VOCABULARY,
    "max_position_embeddings": 131072, "rms_norm_eps": 1e-6, "rope_theta": 10000, "tie_word_embeddings": False,
    "torch_dtype": "bfloat16", "use_sliding_window": False, "bos_token_id": 151646, "eos_token_id": 151643,
}


def main(path, layers=28):
    os.makedirs(path, exist_ok=True)
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: (torch.randn(shape, generator=generator, dtype=torch.float32) * 0.02).bfloat16()
    index, total = {}, 0

    def save(number, tensors):
        nonlocal total
        name = f"model-{number:05}-of-00002.safetensors"
        save_file(tensors, os.path.join(path, name), metadata={"format": "pt"})
        index.update({key: name for key in tensors})
        total += sum(t.numel() * 2 for t in tensors.values())

    save(1, {"model.embed_tokens.weight": random(VOCABULARY, HIDDEN), "lm_head.weight": random(VOCABULARY, HIDDEN)})
    tensors = {"model.norm.weight": torch.ones(HIDDEN).bfloat16()}
    width = HIDDEN // HEADS
    for layer in range(layers):
        at = f"model.layers.{layer}."
        for norm in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{at}{norm}.weight"] = torch.ones(HIDDEN).bfloat16()
        for name, rows in [("q", HIDDEN), ("k", KV * width), ("v", KV * width)]:
            tensors[f"{at}self_attn.{name}_proj.weight"] = random(rows, HIDDEN)
            tensors[f"{at}self_attn.{name}_proj.bias"] = random(rows)
        tensors[f"{at}self_attn.o_proj.weight"] = random(HIDDEN, HIDDEN)
        for name, shape in [("gate", (INNER, HIDDEN)), ("up", (INNER, HIDDEN)), ("down", (HIDDEN, INNER))]:
            tensors[f"{at}mlp.{name}_proj.weight"] = random(*shape)
    save(2, tensors)
    with open(os.path.join(path, "model.safetensors.index.json"), "w") as file:
        json.dump({"metadata": {"total_size": total}, "weight_map": index}, file)
    with open(os.path.join(path, "config.json"), "w") as file:
        json.dump({**CONFIG, "num_hidden_layers": layers}, file, indent=2)
    print(f"{path}: {total} bytes")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
