#!/usr/bin/env python3
"""Proves that checkpoints after llm-compressor's conventions load and run, and that others are refused by name.

    python3 llm_compressor.py path/to/qquant path/to/qinfer

Writes small Llama checkpoints with the package's own packing: W4A16 in groups of 128, symmetric and asymmetric; W8A16
per channel; ignore lists with re:; mixed groups; tied and untied heads. For each:
1. `qquant dequantize` gives what was packed, bit for bit.
2. The logits of `qinfer generate --compute fp32` are transformers' within EXACT of their standard deviation; as it runs by
   default, with activations in int8, they err by at most ROUNDING of it (r.m.s.). Symmetric checkpoints are loaded by
   AutoModelForCausalLM itself; asymmetric ones it cannot load (see Tests/Parity/quantized_logits.py), so there the plain model
   gets what compressed-tensors' PackedQuantizationCompressor makes of them.
Then configurations that this runtime does not run: `qquant inspect` must fail and name the setting.
Exit 1 where one of these fails.
"""

import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import torch
import transformers
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "Parity"))
from quantized_logits import decompressed

TOKENIZER = TESTS / "Fixtures/models/qwen2-tied"
HIDDEN, VOCABULARY = 256, 320
PROMPT = torch.randint(0, VOCABULARY, (48,), generator=torch.Generator().manual_seed(5)).tolist()
# Measured: at most 1.1e-5, and 0.015 to 0.033.
EXACT, ROUNDING = 1e-4, 0.05
LINEAR = {"self_attn.q_proj": 256, "self_attn.k_proj": 128, "self_attn.v_proj": 128, "self_attn.o_proj": 256,
          "mlp.gate_proj": 256, "mlp.up_proj": 256, "mlp.down_proj": 256}
CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
          "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
          "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "vocab_size": VOCABULARY,
          "hidden_act": "silu", "torch_dtype": "float16", "bos_token_id": 0, "eos_token_id": 1}


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"FAIL {' '.join(command[:2])}: {result.stderr.strip()}")


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
        # Of about unit gain, as the packed ones are: logits of an overdriven network would be chaos.
        values = torch.randn(*shape, generator=generator) * shape[-1] ** -0.5
        tensors[name] = expected[name] = (values if len(shape) > 1 else 1 + values).half()

    def linear(module, rows):
        scheme = packed(module)
        if not scheme:
            return plain(module + ".weight", rows, HIDDEN)
        bits = scheme["num_bits"]
        size = scheme["group_size"] or HIDDEN
        half = 1 << (bits - 1)
        q = torch.randint(-half, half, (rows, HIDDEN), generator=generator, dtype=torch.int8)
        scale = ((torch.rand(rows, HIDDEN // size, generator=generator) / 50 + 0.001) * 8 / half).half()
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
                    "quantization_status": "compressed", "version": "0.20.0", "sparsity_config": {}, "transform_config": {},
                    "global_compression_ratio": None, "kv_cache_scheme": None,
                    "ignore": ignore, "config_groups": groups}
    os.makedirs(folder, exist_ok=True)
    save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    config = {**CONFIG, "tie_word_embeddings": tied, "quantization_config": quantization}
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(TOKENIZER / name, folder)
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


@torch.no_grad()
def reference(folder, tensors, config):
    """transformers' logits of the packed checkpoint."""
    if not any(name.endswith("_zero_point") for name in tensors):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    else:
        settings = {key: value for key, value in config.items() if key not in ("quantization_config", "torch_dtype")}
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**settings)).float()
        plain = {name: tensor.float() for name, tensor in tensors.items() if ".weight_" not in name}
        model.load_state_dict(plain | decompressed(folder, torch.float32), strict=not config["tie_word_embeddings"])
        model.tie_weights()
    return model.eval()(torch.tensor([PROMPT])).logits[0]


def logits(qinfer, folder, compute):
    trace = os.path.join(folder, "trace.h5")
    run(qinfer, "generate", folder, "--prompt-tokens", ",".join(map(str, PROMPT)), "--max-tokens", "1", "--stages", "1",
        "--threads", "1", "--compute", compute, "--trace", trace, "--trace-level", "logits", "--force")
    with h5py.File(trace) as file:
        rows = torch.from_numpy(file["requests/prompt/logits"][()]).float()
    return rows[:len(PROMPT)]


def accepted(qquant, qinfer, folder, groups, ignore, packed, tied):
    """What is wrong with a checkpoint, and the figures."""
    source, target = os.path.join(folder, "packed"), os.path.join(folder, "plain")
    expected, config = write(source, groups, ignore, packed, tied)
    run(qquant, "dequantize", source, "--output", target, "--dtype", "f32", "--force")
    got = load_file(os.path.join(target, "model.safetensors"))
    problems = [f"{name}: other weights" for name in expected
                if name not in got or not torch.equal(got[name].float(), expected[name].float())]
    problems += [f"{name}: unexpected" for name in got.keys() - expected.keys()]
    right = reference(source, load_file(os.path.join(source, "model.safetensors")), config)
    spread = right.std()
    exact = float((logits(qinfer, source, "fp32") - right).abs().max() / spread)
    rounding = float((logits(qinfer, source, "auto") - right).square().mean().sqrt() / spread)
    if not exact <= EXACT:
        problems.append("other logits than transformers'")
    if not 0 < rounding <= ROUNDING:
        problems.append("other logits with int8 activations")
    return problems, (f"{len(expected)} weights; logits deviate by {spread:.2f}, are transformers' within {exact:.0e} of that, "
                      f"{rounding:.3f} with int8 activations")


def main(qquant, qinfer):
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        for name, case in ACCEPTED.items():
            problems, figures = accepted(qquant, qinfer, folder, *case)
            failures += problems
            print(f"{'FAIL' if problems else 'ok  '} {name}: {figures}", *problems[:4], sep="\n     ", flush=True)
        for name, word, change in refusals():
            source = os.path.join(folder, "refused")
            _, config = write(source, {"group_0": group(copy.deepcopy(W4))}, ["lm_head"], HEAD(W4), True)
            change(config["quantization_config"])
            with open(os.path.join(source, "config.json"), "w") as file:
                json.dump(config, file)
            result = subprocess.run([qquant, "inspect", source], capture_output=True, text=True)
            ok = result.returncode == 1 and word in result.stderr
            failures += [] if ok else [name]
            print(f"{'ok  ' if ok else 'FAIL'} refused: {name}: {result.stderr.strip().replace(source, 'MODEL')}")
    print(f"{len(ACCEPTED)} conventions run to transformers' logits, {len(refusals())} settings are refused by name; "
          f"{len(failures)} failures")
    sys.exit(len(failures) > 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
