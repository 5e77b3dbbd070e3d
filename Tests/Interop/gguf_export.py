#!/usr/bin/env python3
"""Proves `qquant export` by the gguf package and by llama.cpp.

    python3 gguf_export.py path/to/qquant MODEL…

Each MODEL is a plain checkpoint, exported as it is and quantized after RECIPES, or a quantized one. For each checkpoint
and each of Q8_0, Q4_0 and Q4_1:
1. Every tensor has the type it should and, as gguf.quants dequantizes it, equals bit for bit what the checkpoint holds:
   where integers are kept, they with scales and minima rounded to fp16, else gguf.quants.quantize of the weights.
2. A copy of the file whose tensors are dequantized to F32 gives in llama.cpp, with an F32 cache, transformers' logits
   within EXACT of their standard deviation: names, order of rows, biases, heads, rope and settings are right.
3. Where the file has a vocabulary, llama.cpp cuts a text as `tokenizers` does.
4. llama.cpp writes greedily with the file itself what transformers does with the same weights in fp32. It rounds the
   activations of each layer to int8, which moves logits; the r.m.s. of that is measured on the same tokens and must be below
   ROUNDING of the logits' standard deviation. AGREEING of the tokens must be transformers' likeliest, and another one may
   be taken only where the two logits are less than SIGMAS times √2 r.m.s. apart: a difference of two errs by √2 r.m.s.
Exit 1 where one of these fails.
"""

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import llama_cpp as L
import numpy as np
import tokenizers
import torch
import transformers
from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32
from gguf import GGMLQuantizationType as Type
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts/peers"))
import to_gguf

RECIPES = {
    "int8 g32": "--bits 8 --group-size 32",
    "int8 channel, embedding int8": "--bits 8 --group-size channel --embedding int8:g32",
    "int4 g32, head int4": "--bits 4 --group-size 32 --quantize-head",
    "int4 g32 asymmetric": "--bits 4 --group-size 32 --asymmetric",
}
PROMPTS, PROMPT, TOKENS = 2, 16, 96
# Measured: EXACT 1.2e-5; ROUNDING 0.006 to 0.012 for qubic-tiny, 0.019 to 0.030 for random weights, 0.032 to 0.041 for
# SmolLM2's 30 layers; SIGMAS at most 4.7.
EXACT, ROUNDING, AGREEING, SIGMAS = 1e-4, 0.06, 0.9, 6
# The first PROMPTS × PROMPT tokens are prompts; the rest is there to be cut.
TEXT = ("The network agrees on one state for every tick: computers vote, and a tick counts once two thirds of them have seen "
        "the same. Where votes are missing, the tick stays empty and the next one begins.\n\n  网络狀況 don't 3.14 <|im_start|>é 🙂")
# Hugging Face's names by GGUF's.
NAMES, TOP = ({short: long for long, short in names.items()} for names in (to_gguf.NAMES, to_gguf.TOP))


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def checkpoint(model):
    """Its configuration, its plain tensors in fp32, and {name: (integers, scales, zero points or None, bits)}."""
    with open(os.path.join(model, "config.json")) as file:
        config = json.load(file)
    config.pop("quantization_config", None)
    tensors = {}
    for name in sorted(os.listdir(model)):
        if name.endswith(".safetensors"):
            tensors |= load_file(os.path.join(model, name))
    plain = {name: t.float().numpy() for name, t in tensors.items() if ".weight_" not in name}
    packed = {}
    for weight in [name.removesuffix("_packed") for name in tensors if name.endswith("_packed")]:
        words, scales = tensors[weight + "_packed"], tensors[weight + "_scale"].float().numpy()
        shape = torch.Size(tensors[weight + "_shape"].tolist())
        bits, zero = 32 * words.shape[1] // shape[1], tensors.get(weight + "_zero_point")
        if zero is not None:
            zero = unpack_from_int32(zero, bits, torch.Size(scales.shape), packed_dim=0).numpy()
        packed[weight] = (unpack_from_int32(words, bits, shape).numpy(), scales, zero, bits)
    return config, plain, packed


def expected(name, kind, plain, packed):
    """What the file must hold of a tensor, and whether it keeps the checkpoint's integers."""
    if name in plain:
        return (plain[name] if kind == Type.F32 else rounded(plain[name], kind)), False
    integers, scales, zero, bits = packed[name]
    size = integers.shape[1] // scales.shape[1]
    wide = lambda values: np.repeat(values.astype(np.float32), size, 1)
    half = lambda values: values.astype(np.float16)
    offsets = 0 if zero is None else zero.astype(np.float32)
    if size % 32 == 0 and (bits == 4 or kind == Type.Q8_0) and (zero is None or kind == Type.Q4_1):
        if kind == Type.Q4_1:
            return wide(half(scales)) * (integers + np.float32(8)) + wide(half((-8 - offsets) * scales)), True
        return wide(half(scales)) * integers, True
    return rounded((integers - (0 if zero is None else wide(offsets))) * wide(scales), kind), False


def rounded(values, kind):
    return gguf.quants.dequantize(gguf.quants.quantize(values, kind), kind).astype(np.float32)


def read(reader, config):
    """The file's tensors by Hugging Face's names, and the types they have."""
    result, types = {}, {}
    for tensor in reader.tensors:
        if tensor.name == "rope_freqs.weight":
            continue
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


def wrong_tensors(tensors, types, kind, plain, packed):
    """What is wrong with them, and how many keep the checkpoint's integers."""
    wrong = [f"{name}: missing" for name in (plain.keys() | packed.keys()) - tensors.keys()]
    kept = 0
    for name, values in tensors.items():
        linear = ".layers." in name or name == "lm_head.weight" and name in packed
        wanted = Type.F32 if values.ndim == 1 else kind if linear else Type.Q8_0
        right, keeps = expected(name, types[name], plain, packed)
        kept += keeps
        if types[name] != wanted or not np.array_equal(values, right):
            wrong.append(f"{name}: {types[name].name}, apart by {float(np.abs(values - right).max()):.2e}")
    return wrong, kept


def widened(reader, path):
    """A copy of the file with the same settings, all tensors in F32."""
    writer = gguf.GGUFWriter(path, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if field.name != "general.architecture" and not field.name.startswith("GGUF."):
            sub = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=sub)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tokenizer_of(model):
    path = os.path.join(model, "tokenizer.json")
    return tokenizers.Tokenizer.from_file(path) if os.path.exists(path) else None


def prompts_for(model, config):
    """Text where there is a tokenizer, so that a trained model is on its ground, else random tokens."""
    if tokenizer := tokenizer_of(model):
        ids = tokenizer.encode(TEXT, add_special_tokens=False).ids
    else:
        ids = np.random.default_rng(0).integers(0, config["vocab_size"], PROMPTS * PROMPT).tolist()
    return [ids[i * PROMPT:][:PROMPT] for i in range(PROMPTS)]


def llama(path, prompts, given=None, exact=False):
    """TOKENS tokens after each prompt, the given ones or llama.cpp's greedy ones, and its logits for each."""
    model = L.llama_model_load_from_file(path.encode(), L.llama_model_default_params())
    if not model:
        sys.exit(f"llama.cpp cannot load {path}")
    parameters = L.llama_context_default_params()
    parameters.n_ctx, parameters.n_threads, parameters.n_threads_batch = 256, 1, 1
    if exact:
        parameters.type_k = parameters.type_v = Type.F32
        parameters.flash_attn_type = L.LLAMA_FLASH_ATTN_TYPE_DISABLED
    vocabulary = L.llama_vocab_n_tokens(L.llama_model_get_vocab(model))
    tokens, logits = [], []
    for index, prompt in enumerate(prompts):
        context = L.llama_init_from_model(model, parameters)
        feed, written = prompt, []
        for step in range(TOKENS):
            array = (L.llama_token * len(feed))(*feed)
            if L.llama_decode(context, L.llama_batch_get_one(array, len(feed))) != 0:
                sys.exit(f"llama.cpp cannot run {path}")
            logits.append(np.ctypeslib.as_array(L.llama_get_logits_ith(context, -1), (vocabulary,)).copy())
            feed = [given[index][step] if given else int(logits[-1].argmax())]
            written += feed
        tokens.append(written)
        L.llama_free(context)
    L.llama_model_free(model)
    return tokens, np.stack(logits)


@torch.no_grad()
def reference(weights, config, prompts, tokens):
    """transformers' logits for the same tokens, from the file's own weights in fp32."""
    settings = AutoConfig.for_model(**{k: v for k, v in config.items() if k not in ("torch_dtype", "dtype")})
    model = AutoModelForCausalLM.from_config(settings).float().eval()
    state = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in weights.items()}
    missing, extra = model.load_state_dict(state, strict=False)
    assert not extra and missing == ["lm_head.weight"] * config["tie_word_embeddings"], (missing, extra)
    model.tie_weights()
    rows = torch.tensor([a + b for a, b in zip(prompts, tokens)])
    return model(input_ids=rows).logits[:, PROMPT - 1:-1].reshape(-1, config["vocab_size"]).numpy()


def check(qquant, title, model, kind, folder):
    """What is wrong with a checkpoint's file of this type; prints the figures."""
    path, wide = os.path.join(folder, "model.gguf"), os.path.join(folder, "wide.gguf")
    run(qquant, "export", model, path, "--gguf", kind.name, "--force")
    config, plain, packed = checkpoint(model)
    reader = gguf.GGUFReader(path)
    tensors, types = read(reader, config)
    problems, kept = wrong_tensors(tensors, types, kind, plain, packed)

    prompts = prompts_for(model, config)
    tokens, logits = llama(path, prompts)
    right = reference(tensors, config, prompts, tokens)
    spread = float(right.std())
    widened(reader, wide)
    exact = float(np.abs(llama(wide, prompts, tokens, exact=True)[1] - right).max()) / spread
    if not exact <= EXACT:
        problems.append(f"in F32 llama.cpp's logits are {exact:.1e} of their deviation from transformers'")

    vocabulary = "tokenizer.ggml.tokens" in reader.fields
    if vocabulary:
        cut = L.Llama(path, vocab_only=True, verbose=False).tokenize(TEXT.encode(), add_bos=False, special=True)
        if cut != tokenizer_of(model).encode(TEXT, add_special_tokens=False).ids:
            problems.append(f"llama.cpp cuts the text otherwise: {cut}")

    error = np.abs(logits - right)
    rms = float(np.sqrt((error ** 2).mean()))
    if not rms <= ROUNDING * spread:
        problems.append(f"llama.cpp's logits err by {rms / spread:.3f} of their deviation")
    flat = np.array(tokens).ravel()
    gaps = right.max(-1) - right[np.arange(len(flat)), flat]
    equal, bound = int((gaps == 0).sum()), SIGMAS * 2 ** 0.5 * rms
    if equal < AGREEING * len(flat):
        problems.append(f"only {equal} of {len(flat)} greedy tokens are equal")
    if not gaps.max() <= bound:
        problems.append(f"a greedy token differs where logits are {gaps.max():.3f} apart, more than {bound:.3f}")
    print(f"{'FAIL' if problems else 'ok  '} {title} {kind.name}: {len(tensors)} tensors, {kept} with their integers; in F32 "
          f"{exact:.0e}; logit errors {np.median(error):.3f} median, {error.max():.3f} most, {rms / spread:.3f} of the "
          f"deviation; {equal} of {len(flat)} tokens, others {gaps.max():.3f} apart, allowed {bound:.3f}"
          + ("; vocabulary" if vocabulary else ""), *problems[:4], sep="\n     ", flush=True)
    return problems, vocabulary


def main(qquant, models):
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    quiet = L.llama_log_callback(lambda *_: None)
    L.llama_log_set(quiet, ctypes.c_void_p(0))
    outcomes = []
    for model in models:
        name = os.path.basename(os.path.normpath(model))
        with tempfile.TemporaryDirectory() as folder:
            checkpoints = {name: model}
            if not checkpoint(model)[2]:
                for recipe, arguments in RECIPES.items():
                    path = checkpoints[f"{name} {recipe}"] = os.path.join(folder, recipe)
                    run(qquant, "quantize", model, "--output", path, *arguments.split())
            for title, path in checkpoints.items():
                outcomes += [check(qquant, title, path, kind, folder) for kind in (Type.Q8_0, Type.Q4_0, Type.Q4_1)]
    failed = sum(bool(problems) for problems, _ in outcomes)
    print(f"{len(outcomes) - failed} of {len(outcomes)} GGUF files hold the checkpoint and run in llama.cpp as in "
          f"transformers, {sum(vocabulary for _, vocabulary in outcomes)} with a vocabulary")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
