#!/usr/bin/env python3
"""Proves `qquant export` by the gguf package and by llama.cpp.

    python3 gguf_export.py path/to/qquant MODEL…

For each MODEL (a plain or quantized directory) and each of Q8_0, Q4_0 and Q4_1:
1. Every tensor of the file as gguf.quants dequantizes it equals, bit for bit, what the checkpoint holds: the integers
   times their scales where they are kept, else gguf.quants.quantize of the weights.
2. llama.cpp loads the file, and writes greedily what transformers writes with the same weights in fp32. llama.cpp rounds
   activations to int8, so a token may differ where the two likeliest ones are closer than that rounding: the first
   difference is shown with the distance between the two logits, and fails where that is more than 0.5.
Exit 1 where one of these fails.
"""

import ctypes
import json
import os
import subprocess
import sys
import tempfile

import gguf
import llama_cpp as L
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as Type
from safetensors.torch import load_file
from transformers import LlamaForCausalLM, Qwen2ForCausalLM

transformers.utils.logging.disable_progress_bar()
PROMPT = [504, 3575, 282, 4649, 314, 253, 6330, 13]
TOKENS, TOLERANCE = 24, 0.5
NAMES = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
         "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
TOP = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
       "output.weight": "lm_head.weight"}


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def plain(qquant, model, folder):
    """The weights of a checkpoint in fp32, dequantized where they are packed, and its configuration."""
    with open(os.path.join(model, "config.json")) as file:
        config = json.load(file)
    if quantization := config.pop("quantization_config", None):
        target = os.path.join(folder, "plain")
        run(qquant, "dequantize", model, "--output", target, "--dtype", "f32", "--force")
        model = target
    weights = {}
    for name in sorted(os.listdir(model)):
        if name.endswith(".safetensors"):
            weights |= load_file(os.path.join(model, name))
    scheme = quantization and next(iter(quantization["config_groups"].values()))["weights"]
    return {name: tensor.float().numpy() for name, tensor in weights.items()}, config, scheme


def read(path, config):
    """The file's tensors by Hugging Face's names, and the types they have."""
    result, types = {}, {}
    for tensor in gguf.GGUFReader(path).tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        name = TOP.get(tensor.name)
        if name is None:
            _, layer, module, kind = tensor.name.split(".")
            name = f"model.layers.{layer}.{NAMES[module]}.{kind}"
            heads = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}.get(module)
            if heads and config["model_type"] != "qwen2":
                shape = values.shape
                values = values.reshape(config[heads], shape[0] // config[heads] // 2, 2, *shape[1:])
                values = values.swapaxes(1, 2).reshape(shape)
        result[name], types[name] = values, tensor.tensor_type
    return result, types


def rounded(values, kind):
    return gguf.quants.dequantize(gguf.quants.quantize(values, kind), kind).astype(np.float32)


def kept(scheme, kind):
    if not scheme or (scheme["group_size"] or 32) % 32:
        return False
    if kind == Type.Q8_0:
        return scheme["symmetric"]
    return scheme["num_bits"] == 4 and (scheme["symmetric"] or kind == Type.Q4_1)


def greedy(path, count):
    quiet = L.llama_log_callback(lambda *_: None)
    L.llama_log_set(quiet, ctypes.c_void_p(0))
    model = L.llama_model_load_from_file(path.encode(), L.llama_model_default_params())
    if not model:
        sys.exit(f"llama.cpp cannot load {path}")
    parameters = L.llama_context_default_params()
    parameters.n_ctx, parameters.n_threads, parameters.n_threads_batch = 256, 2, 2
    context = L.llama_init_from_model(model, parameters)
    vocabulary = L.llama_vocab_n_tokens(L.llama_model_get_vocab(model))
    tokens, feed = list(PROMPT), list(PROMPT)
    for _ in range(count):
        array = (L.llama_token * len(feed))(*feed)
        if L.llama_decode(context, L.llama_batch_get_one(array, len(feed))) != 0:
            sys.exit("llama_decode failed")
        logits = np.ctypeslib.as_array(L.llama_get_logits_ith(context, -1), (vocabulary,))
        feed = [int(np.argmax(logits))]
        tokens += feed
    L.llama_free(context)
    L.llama_model_free(model)
    return tokens[len(PROMPT):]


def reference(weights, config, tokens):
    """transformers' logits for each token that llama.cpp wrote, from the file's own weights."""
    kind, settings = {"llama": (LlamaForCausalLM, transformers.LlamaConfig),
                      "qwen2": (Qwen2ForCausalLM, transformers.Qwen2Config)}[config["model_type"]]
    model = kind(settings(**{k: v for k, v in config.items() if k not in ("torch_dtype", "dtype")})).float().eval()
    state = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in weights.items()}
    missing, extra = model.load_state_dict(state, strict=False)
    assert not extra and set(missing) <= {"lm_head.weight"}, (missing, extra)
    model.tie_weights()
    with torch.no_grad():
        return model(input_ids=torch.tensor([PROMPT + tokens])).logits[0, len(PROMPT) - 1:-1]


def main(qquant, models):
    failed = False
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            weights, config, scheme = plain(qquant, model, folder)
            for kind in (Type.Q8_0, Type.Q4_0, Type.Q4_1):
                path = os.path.join(folder, "model.gguf")
                said = run(qquant, "export", model, path, "--gguf", kind.name, "--force").strip()
                tensors, types = read(path, config)
                different, inexact = [], 0.0
                for name, values in tensors.items():
                    expected = weights[name]
                    layer = ".layers." in name and values.ndim == 2
                    if values.ndim == 2 and not (layer and kept(scheme, kind)):
                        expected = rounded(expected, types[name])
                    if np.array_equal(values, expected):
                        continue
                    error = float(np.abs(values - expected).max() / np.abs(expected).max())
                    # The zero point times the scale may need more digits than fp16 has.
                    if layer and scheme and not scheme["symmetric"] and kept(scheme, kind) and error < 2**-10:
                        inexact = max(inexact, error)
                    else:
                        different.append((name, error))
                tokens = greedy(path, TOKENS)
                logits = reference(tensors, config, tokens)
                best = logits.argmax(-1).tolist()
                differing = [i for i, (a, b) in enumerate(zip(best, tokens)) if a != b]
                gap = max([float(logits[i, best[i]] - logits[i, tokens[i]]) for i in differing], default=0.0)
                ok = not different and gap <= TOLERANCE
                failed |= not ok
                print(f"{'ok  ' if ok else 'FAIL'} {os.path.basename(model)} {kind.name}: "
                      f"{len(tensors) - len(different)} of {len(tensors)} tensors as expected"
                      + (f" (minima within {inexact:.1e})" if inexact else "")
                      + f"; {TOKENS - len(differing)} of {TOKENS} greedy tokens"
                      + (f", logits {gap:.3f} apart" if differing else "") + f"; {said.rsplit('; ', 1)[-1]}")
                for name, error in different[:3]:
                    print(f"     {name}: relative error {error:.2e}, {types[name].name}")
    sys.exit(failed)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
