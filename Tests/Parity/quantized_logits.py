#!/usr/bin/env python3
"""Proves quantized checkpoints by compressed-tensors and transformers.

    python3 quantized_logits.py path/to/qquant path/to/qinfer MODEL

Quantizes MODEL into a temporary folder: with every scheme by rounding to nearest, by gptq (whose files say "actorder") in
each group size that divides MODEL's columns, calibrated on this project's README, and with a scheme of its own for
down_proj. For each:
1. Every layer's weight as the package's own PackedQuantizationCompressor.decompress gives it equals what
   `qquant dequantize` writes, bit for bit but for the sign of zeros, in the scales' dtype and in fp32.
2. transformers' logits equal those of `qinfer generate --compute fp32 --trace` within 1e-3. Symmetric checkpoints are
   loaded by AutoModelForCausalLM itself; asymmetric ones cannot be (transformers 5.23 with compressed-tensors 0.20
   expect unpacked zero points), so there the decompressed weights are put into the plain model.
Exit 1 where one of these fails.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import torch
import transformers
from compressed_tensors.compressors.pack_quantized import PackedQuantizationCompressor
from compressed_tensors.quantization import QuantizationScheme
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

transformers.utils.logging.disable_progress_bar()

PROMPT_TOKENS = [504, 3575, 282, 4649, 314, 253, 6330, 13]
TOLERANCE = 1e-3
SCHEMES = [
    (bits, group, symmetry) for symmetry in ("symmetric", "asymmetric") for bits in (8, 4) for group in ("64", "channel")
]
README = str(Path(__file__).resolve().parent.parent.parent / "README.md")
GPTQ = ["--method", "gptq", "--calibration", README, "--calibration-tokens", "1024"]


def cases(model):
    """(title, arguments of qquant quantize, whether symmetric)"""
    for bits, group, symmetry in SCHEMES:
        yield (f"int{bits} {group} {symmetry}", ["--bits", str(bits), "--group-size", group, f"--{symmetry}"],
               symmetry == "symmetric")
    config = json.loads(Path(model, "config.json").read_text())
    heads = config["num_attention_heads"]
    width = heads * (config.get("head_dim") or config["hidden_size"] // heads)
    columns = (config["hidden_size"], config["intermediate_size"], width)
    for group in (32, 64, 128):
        if any(count % group for count in columns):
            print(f"int4 {group} gptq: left out, {group} does not divide the columns {columns}")
            continue
        yield f"int4 {group} gptq", ["--bits", "4", "--group-size", str(group), *GPTQ], True
    yield "int8 channel gptq", ["--bits", "8", "--group-size", "channel", *GPTQ], True
    mixed = ["--bits", "4", "--group-size", "64", "--override", "down_proj=int8:g32"]
    yield "int4 64, down_proj int8 32", mixed, True
    yield "int4 64, down_proj int8 32, gptq", [*mixed, *GPTQ], True


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def decompressed(path, dtype):
    """{weight name: tensor} of all packed layers; the scales converted to `dtype` first, where one is given."""
    tensors = load_file(os.path.join(path, "model.safetensors"))
    with open(os.path.join(path, "config.json")) as file:
        groups = json.load(file)["quantization_config"]["config_groups"].values()
    # A group of all names the class, else each names its modules.
    schemes = {target: QuantizationScheme(**group) for group in groups for target in group["targets"]}
    weights = {}
    for name in [n for n in tensors if n.endswith(".weight_packed")]:
        module = name.removesuffix(".weight_packed")
        prefix = module + ".weight_"
        state = {"weight_" + n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        state["weight_shape"] = torch.Size(state["weight_shape"].tolist())
        if dtype:
            state["weight_scale"] = state["weight_scale"].to(dtype)
        scheme = schemes[module] if module in schemes else schemes["Linear"]
        weights[module + ".weight"] = PackedQuantizationCompressor.decompress(state, scheme)["weight"]
    return weights


def bits_of(tensor):
    return tensor.contiguous().view(torch.int32 if tensor.dtype == torch.float32 else torch.int16)


def compare_weights(qquant, path, folder):
    """Number of equal weights, of differing ones, and of layers."""
    equal = different = 0
    for name, dtype in [("f16", torch.float16), ("f32", torch.float32)]:
        plain = os.path.join(folder, "plain-" + name)
        run(qquant, "dequantize", path, "--output", plain, "--dtype", name, "--force")
        ours = load_file(os.path.join(plain, "model.safetensors"))
        theirs = decompressed(path, dtype)
        for module, weight in theirs.items():
            assert ours[module].dtype == weight.dtype == dtype and ours[module].shape == weight.shape
            # Of a negative scale, which gptq's refitted ones may be, the package makes zeros of either sign.
            same = (bits_of(ours[module]) == bits_of(weight)) | ((ours[module] == 0) & (weight == 0))
            equal += int(same.sum())
            different += int((~same).sum())
    return equal, different, len(theirs)


@torch.no_grad()
def reference_logits(path, model, symmetric):
    if symmetric:
        network = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    else:
        network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
        missing = network.load_state_dict(decompressed(path, torch.float32), strict=False)
        assert not missing.unexpected_keys
    return network(torch.tensor([PROMPT_TOKENS])).logits[0]


def our_logits(qinfer, path, folder, prompt=PROMPT_TOKENS):
    trace = os.path.join(folder, "trace.h5")
    tokens = ",".join(map(str, prompt))
    run(qinfer, "generate", path, "--prompt-tokens", tokens, "--max-tokens", "1", "--compute", "fp32",
        "--trace", trace, "--trace-level", "logits", "--force")
    with h5py.File(trace) as file:
        request = file["requests/prompt"]
        logits = torch.from_numpy(request["logits"][()]).float()
        positions = request["logits_position"][()].tolist() if "logits_position" in request else range(len(logits))
        return logits, list(positions)


def main(qquant, qinfer, model):
    torch.manual_seed(0)
    failed = 0
    for title, arguments, symmetric in cases(model):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "quantized")
            run(qquant, "quantize", model, "--output", path, *arguments)
            equal, different, layers = compare_weights(qquant, path, folder)
            expected = reference_logits(path, model, symmetric)
            logits, positions = our_logits(qinfer, path, folder)
            # The last row may be that of the generated token.
            rows = [(i, p) for i, p in enumerate(positions) if p < len(PROMPT_TOKENS)]
            worst = max(float((logits[i] - expected[p]).abs().max()) for i, p in rows)
            right = different == 0 and worst <= TOLERANCE
            failed += not right
            print(
                f"{title}: {'ok' if right else 'FAILED'}; {layers} layers, {equal} weights equal bit "
                f"for bit, {different} different; logits of {len(rows)} positions within {worst:.2e}",
                flush=True,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
