#!/usr/bin/env python3
"""Proves that checkpoints after llm-compressor's conventions load, and that others are refused by name.

    python3 llm_compressor.py path/to/qquant

Writes small Llama checkpoints with the package's own packing: W4A16 in groups of 128, symmetric and asymmetric; W8A16
per channel; ignore lists with re:; mixed groups; tied and untied heads. `qquant dequantize` must give what was packed, bit for
bit. Then configurations that this runtime does not run: `qquant inspect` must fail and name the setting.
Exit 1 where one of these fails.
"""

import copy
import json
import os
import subprocess
import sys
import tempfile

import torch
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
from safetensors.torch import load_file, save_file

HIDDEN, VOCABULARY = 256, 64
LINEAR = {"self_attn.q_proj": 256, "self_attn.k_proj": 128, "self_attn.v_proj": 128, "self_attn.o_proj": 256,
          "mlp.gate_proj": 256, "mlp.up_proj": 256, "mlp.down_proj": 256}
CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
          "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
          "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "vocab_size": VOCABULARY,
          "hidden_act": "silu", "torch_dtype": "float16", "bos_token_id": 0, "eos_token_id": 1}


def weights(bits, symmetric=True, group=128):
    return {"num_bits": bits, "type": "int", "symmetric": symmetric, "strategy": "group" if group else "channel",
            "group_size": group, "dynamic": False, "actorder": None, "block_structure": None, "observer": "minmax",
            "observer_kwargs": {}}


def group(scheme, targets=("Linear",)):
    return {"targets": list(targets), "weights": scheme, "input_activations": None, "output_activations": None}


def write(folder, groups, ignore, packed, tied):
    """packed(module) gives the module's scheme or None. Returns the expected weights."""
    generator = torch.Generator().manual_seed(3)
    tensors, expected = {}, {}

    def plain(name, *shape):
        tensors[name] = expected[name] = torch.randn(*shape, generator=generator).half()

    def linear(module, rows):
        scheme = packed(module)
        if not scheme:
            return plain(module + ".weight", rows, HIDDEN)
        bits = scheme["num_bits"]
        size = scheme["group_size"] or HIDDEN
        half = 1 << (bits - 1)
        q = torch.randint(-half, half, (rows, HIDDEN), generator=generator, dtype=torch.int8)
        scale = (torch.rand(rows, HIDDEN // size, generator=generator) / 50 + 0.001).half()
        zero = torch.zeros(rows, HIDDEN // size, dtype=torch.int8)
        if not scheme["symmetric"]:
            zero = torch.randint(-half, half, zero.shape, generator=generator, dtype=torch.int8)
            tensors[module + ".weight_zero_point"] = pack_to_int32(zero, bits, packed_dim=0).contiguous()
        tensors[module + ".weight_packed"] = pack_to_int32(q, bits).contiguous()
        tensors[module + ".weight_scale"] = scale
        tensors[module + ".weight_shape"] = torch.tensor([rows, HIDDEN])
        wide = lambda t: t.repeat_interleave(size, 1).float()
        expected[module + ".weight"] = (q.float() - wide(zero)) * wide(scale)

    plain("model.embed_tokens.weight", VOCABULARY, HIDDEN)
    plain("model.norm.weight", HIDDEN)
    for layer in range(2):
        plain(f"model.layers.{layer}.input_layernorm.weight", HIDDEN)
        plain(f"model.layers.{layer}.post_attention_layernorm.weight", HIDDEN)
        for name, rows in LINEAR.items():
            linear(f"model.layers.{layer}.{name}", rows)
    if not tied:
        linear("lm_head", VOCABULARY)
    quantization = {"quant_method": "compressed-tensors", "format": "pack-quantized",
                    "quantization_status": "compressed", "global_compression_ratio": None, "kv_cache_scheme": None,
                    "ignore": ignore, "config_groups": groups}
    os.makedirs(folder, exist_ok=True)
    save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    config = {**CONFIG, "tie_word_embeddings": tied, "quantization_config": quantization}
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file)
    return expected, config


W4, W4A, W8 = weights(4), weights(4, symmetric=False), weights(8, group=None)
HEAD = lambda scheme: lambda module: None if module == "lm_head" else scheme
ACCEPTED = {
    "W4A16 g128 symmetric, untied": ({"group_0": group(W4)}, ["lm_head"], HEAD(W4), False),
    "W4A16 g128 asymmetric, tied": ({"group_0": group(W4A)}, ["lm_head"], HEAD(W4A), True),
    "W8A16 channel, quantized head": ({"group_0": group(W8)}, [], lambda module: W8, False),
    "ignore with re:": ({"group_0": group(W4)}, ["re:.*self_attn.*", "lm_head"],
                        lambda module: W4 if ".mlp." in module else None, True),
    "mixed groups": ({"group_0": group(W4, [r"re:.*mlp\.(gate|up)_proj$"]),
                      "group_1": group(W8, [r"re:.*self_attn\..*", r"re:.*down_proj$"])}, ["lm_head"],
                     lambda m: None if m == "lm_head" else W4 if "gate" in m or "up_proj" in m else W8, True),
}


def changed(**changes):
    scheme = copy.deepcopy(W4)
    scheme.update(changes)
    return scheme


def refusals():
    """Name, what the message must hold, and the change to the quantization's configuration."""
    def with_group(**parts):
        def change(quantization):
            quantization["config_groups"]["group_0"].update(parts)
        return change

    def at_top(**parts):
        return lambda quantization: quantization.update(parts)

    activations = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "tensor", "dynamic": False}
    return [
        ("fp8", "float", with_group(weights=changed(num_bits=8, type="float", strategy="channel", group_size=None))),
        ("fp8 by format", "float-quantized", at_top(format="float-quantized")),
        ("nvfp4", "nvfp4-pack-quantized", at_top(format="nvfp4-pack-quantized")),
        ("W8A8 static", "input_activations", with_group(input_activations=activations)),
        ("activation order with g_idx", "actorder", with_group(weights=changed(actorder="group"))),
        ("three bits", "num_bits", with_group(weights=changed(num_bits=3))),
        ("a quantized KV cache", "kv_cache_scheme", at_top(kv_cache_scheme=activations)),
        ("another method", "gptq", at_top(quant_method="gptq")),
    ]


def main(qquant):
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for name, (groups, ignore, packed, tied) in ACCEPTED.items():
            source, target = os.path.join(folder, "packed"), os.path.join(folder, "plain")
            expected, _ = write(source, groups, ignore, packed, tied)
            result = subprocess.run([qquant, "dequantize", source, "--output", target, "--dtype", "f32", "--force"],
                                    capture_output=True, text=True)
            if result.returncode != 0:
                failed = True
                print(f"FAIL {name}: {result.stderr.strip()}")
                continue
            got = load_file(os.path.join(target, "model.safetensors"))
            different = [n for n in expected if not torch.equal(got[n].float(), expected[n].float())]
            ok = set(got) == set(expected) and not different
            failed |= not ok
            print(f"{'ok  ' if ok else 'FAIL'} {name}: {len(expected) - len(different)} of {len(expected)} tensors equal")
        for name, word, change in refusals():
            source = os.path.join(folder, "refused")
            _, config = write(source, {"group_0": group(copy.deepcopy(W4))}, ["lm_head"], HEAD(W4), True)
            change(config["quantization_config"])
            with open(os.path.join(source, "config.json"), "w") as file:
                json.dump(config, file)
            result = subprocess.run([qquant, "inspect", source], capture_output=True, text=True)
            ok = result.returncode == 1 and word in result.stderr
            failed |= not ok
            print(f"{'ok  ' if ok else 'FAIL'} refused: {name}: {result.stderr.strip().replace(source, 'MODEL')}")
    sys.exit(failed)


if __name__ == "__main__":
    main(sys.argv[1])
