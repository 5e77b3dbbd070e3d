#!/usr/bin/env python3
"""Makes the checkpoints of this folder with transformers, and goldens.json and configs.json.

    python3 make.py

goldens.json: FNV-1a of each tensor in fp32, as torch converts it. configs.json: config.json in the spellings that
occur, and what transformers makes of each: sizes, biases (from the model's own parameters), rope.
"""

import json
import os
import shutil

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

HERE = os.path.dirname(os.path.abspath(__file__))


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def tiny(**more):
    sizes = dict(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        vocab_size=40, max_position_embeddings=64,
    )
    return {**sizes, **more}


def checkpoint(name, dtype, tied, shards, **sizes):
    torch.manual_seed(len(name))
    model = AutoModelForCausalLM.from_config(LlamaConfig(**tiny(tie_word_embeddings=tied, **sizes)), dtype=dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape).to(dtype))
            parameter.view(-1)[:3] = torch.tensor([torch.finfo(dtype).max, torch.finfo(dtype).tiny * torch.finfo(dtype).eps, -0.0])
    path = os.path.join(HERE, name)
    shutil.rmtree(path, ignore_errors=True)
    model.save_pretrained(path, max_shard_size="4KB" if shards else "1GB")
    return {
        key: {"shape": list(value.shape), "F32": fnv(value.float().numpy().tobytes())}
        for key, value in model.state_dict().items()
        if not (tied and key == "lm_head.weight")
    }


BASE = {
    "llama": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", **tiny()},
    "qwen2": {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu", **tiny()},
    "mistral": {
        "architectures": ["MistralForCausalLM"], "model_type": "mistral", "hidden_act": "silu", "sliding_window": None,
        **tiny(),
    },
}
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
VARIANTS = [
    ("llama", {}),
    ("llama", {"rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3", **LLAMA3}}),
    ("llama", {"rope_theta": 500000, "rope_scaling": {"type": "llama3", **LLAMA3}}),
    ("llama", {"rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, **LLAMA3}}),
    ("llama", {"rope_scaling": {"type": "linear", "factor": 4.0}}),
    ("llama", {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 12345.0}}),
    ("llama", {"rope_parameters": {"rope_type": "default", "rope_theta": 7.5e5}}),
    ("llama", {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    ("llama", {"head_dim": 12, "num_key_value_heads": 2}),
    ("llama", {"torch_dtype": "bfloat16", "rms_norm_eps": 1e-5}),
    ("llama", {"dtype": "float16", "rope_scaling": None, "num_key_value_heads": None}),
    ("qwen2", {"rope_theta": 1000000.0, "use_sliding_window": False, "sliding_window": 4096, "max_window_layers": 2}),
    ("qwen2", {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}, "layer_types": ["full_attention"] * 2}),
    ("qwen2", {"tie_word_embeddings": True, "torch_dtype": "float32"}),
    ("mistral", {"rope_theta": 1e6, "head_dim": 6}),
    ("mistral", {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}, "dtype": "bfloat16"}),
]


def variant(family, change):
    given = {**BASE[family], **change}
    config = AutoConfig.for_model(**given)
    with torch.device("meta"):
        names = dict(AutoModelForCausalLM.from_config(config).named_parameters())
    shape = lambda name: list(names[f"model.layers.0.{name}.weight"].shape)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    assert shape("self_attn.k_proj")[0] == config.num_key_value_heads * head
    return {
        "config": given,
        "expected": {
            "family": family,
            "headDim": head,
            "kvHeads": config.num_key_value_heads,
            "rmsEpsilon": config.rms_norm_eps,
            "dtype": str(config.dtype or torch.float32).removeprefix("torch."),
            "tied": config.tie_word_embeddings,
            "qkvBias": "model.layers.0.self_attn.q_proj.bias" in names,
            "outputBias": "model.layers.0.self_attn.o_proj.bias" in names,
            "mlpBias": "model.layers.0.mlp.up_proj.bias" in names,
            "rope": dict(config.rope_parameters),
        },
    }


def main():
    goldens = {
        "f32-tied": checkpoint("f32-tied", torch.float32, True, False),
        "f16-untied": checkpoint(
            "f16-untied", torch.float16, False, False, hidden_size=32, intermediate_size=64  # groups of 32
        ),
        "bf16-sharded": checkpoint("bf16-sharded", torch.bfloat16, False, True),
    }
    configs = [variant(*v) for v in VARIANTS]
    for name, document in [("goldens.json", goldens), ("configs.json", {"transformers": transformers.__version__, "configs": configs})]:
        with open(os.path.join(HERE, name), "w") as file:
            json.dump(document, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
