#!/usr/bin/env python3
"""Sets `qquant quantize --method mse` beside the search of llm-compressor's MSE observer, int4 symmetric.

    python3 mse_observer.py QQUANT MODEL…

Of each MODEL's first, middle and last decoder layer, in groups of 64 and of 128 columns where they divide a layer's: the
sums of squared errors and of |errors| to the power 2.4, which is what theirs minimizes, ours over theirs. Below 1 ours is
closer. Theirs is given the weights once in the checkpoint's dtype, as llm-compressor loads them, and once in fp32, where its
sums and scales keep more digits.

The observer's package pins versions that this environment has not; `observed` is its search (observers/mse_quant.py with
its defaults: shrinking by 0 to 0.19 in steps of 0.01, giving up after 5 that better no group) with compressed-tensors' own
functions. Where llmcompressor is installed, its observer must choose the same scales.
Exit 1 where ours loses more in squared error, or the observer chooses otherwise.
"""

import os
import subprocess
import sys
import tempfile

import torch
from compressed_tensors.compressors.pack_quantized import PackedQuantizationCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from compressed_tensors.quantization.lifecycle import fake_quantize
from compressed_tensors.quantization.utils import calculate_qparams
from safetensors import safe_open

try:
    from llmcompressor.observers import Observer
except ImportError:
    Observer = None

MAXSHRINK, GRID, PATIENCE, NORM = 0.20, 100, 5, 2.4


@torch.no_grad()
def observed(weight, args):
    """The weights that are left by the scales of the observer's search."""
    groups = weight.unflatten(1, (-1, args.group_size))
    token = args.model_copy(update={"strategy": "token"})
    low, high = groups.amin(-1), groups.amax(-1)
    best, least, stale = torch.zeros_like(low), torch.full_like(low, torch.finfo(weight.dtype).max), 0
    for step in range(int(MAXSHRINK * GRID)):
        shrink = 1 - step / GRID
        scale, zero = calculate_qparams(low * shrink, high * shrink, args)
        tried = fake_quantize(groups, scale[..., None], zero[..., None], token)
        error = (tried - groups).abs().pow(NORM).sum(-1)
        better = error < least
        best, least = torch.where(better, scale, best), torch.where(better, error, least)
        stale = 0 if better.any() else stale + 1
        if stale == PATIENCE:
            break
    if Observer:
        observer = Observer.load_from_registry("memoryless_mse", base_name="weight", args=args.model_copy(deep=True))
        if not torch.equal(observer(weight).get_qparams()["scale"], best):
            sys.exit("llm-compressor's observer chooses other scales")
    return fake_quantize(weight.float(), best.float(), torch.zeros_like(best), args)


def chosen(file, group):
    """Weights of the first, middle and last decoder layer whose columns `group` divides, and the modules that it does not."""
    names = [name for name in file.keys() if name.endswith("_proj.weight")]
    divides = {name: file.get_slice(name).get_shape()[1] % group == 0 for name in names}
    number = lambda name: int(name.split(".")[2])
    last = max(map(number, names))
    layers = [name for name in names if divides[name] and number(name) in (0, last // 2, last)]
    return layers, sorted({name.split(".")[-2] for name in names if not divides[name]})


def losses(plain, packed, names, group):
    """Of ours, theirs, and theirs in fp32: the sums of squared errors and of their powers of 2.4."""
    args = QuantizationArgs(num_bits=4, symmetric=True, strategy="group", group_size=group, observer="memoryless_mse")
    scheme = QuantizationScheme(targets=["Linear"], weights=args)
    sums = torch.zeros(3, 2, dtype=torch.float64)
    for name in names:
        weight = plain.get_tensor(name)
        state = {f"weight_{part}": packed.get_tensor(f"{name}_{part}") for part in ("packed", "scale", "shape")}
        state["weight_shape"] = torch.Size(state["weight_shape"].tolist())
        state["weight_scale"] = state["weight_scale"].float()
        ours = PackedQuantizationCompressor.decompress(state, scheme)["weight"]
        for row, tried in enumerate((ours, observed(weight, args), observed(weight.float(), args))):
            error = (tried.double() - weight.double()).abs()
            sums[row] += torch.stack([error.square().sum(), error.pow(NORM).sum()])
    return sums


def main(qquant, models):
    torch.set_num_threads(1)
    worst = 0.0
    print("| model | layers | group | theirs in | squared error | 2.4-norm |\n" + "| --- " * 6 + "|")
    for model in models:
        for group in (64, 128):
            with tempfile.TemporaryDirectory() as folder, safe_open(f"{model}/model.safetensors", "pt") as plain:
                names, others = chosen(plain, group)
                arguments = ["--bits", "4", "--group-size", str(group), "--method", "mse"]
                arguments += [word for module in others for word in ("--override", f"{module}=int4:g64")]
                subprocess.run([qquant, "quantize", model, "--output", f"{folder}/packed", *arguments],
                               check=True, stdout=subprocess.DEVNULL)
                with safe_open(f"{folder}/packed/model.safetensors", "pt") as packed:
                    ours, *theirs = losses(plain, packed, names, group)
            for dtype, their in zip(("the checkpoint's dtype", "fp32"), theirs):
                squares, powers = (ours / their).tolist()
                worst = max(worst, squares)
                print(f"| {os.path.basename(model)} | {len(names)} | {group} | {dtype} | {squares:.3f} | {powers:.3f} |",
                      flush=True)
    print(f"qquant's mse loses at most {worst:.3f} of what the search of llm-compressor's observer loses in squared error"
          + ("; its own observer chooses as the search here does" if Observer else ""))
    sys.exit(worst > 1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
