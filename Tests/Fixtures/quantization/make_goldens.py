"""Writes goldens.json: what compressed-tensors makes of small matrices, bit for bit.

    python3 make_goldens.py

Needs torch and compressed-tensors 0.20. Re-recording changes nothing unless the reference changed.
"""

import base64
import json
import os

import compressed_tensors
import torch
from compressed_tensors.compressors.pack_quantized import PackedQuantizationCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from compressed_tensors.quantization.utils import calculate_qparams

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
COLUMNS = 128


def rows(dtype):
    """Rows of every kind; 13 of them, so that zero points leave a tail in both packings."""
    g = torch.Generator().manual_seed(20261124)
    n = lambda scale: torch.randn(COLUMNS, generator=g) * scale
    info = torch.finfo(dtype)
    ties = torch.arange(COLUMNS, dtype=torch.float32).remainder(16) / 2 - 4
    ties[::32] = 7.5  # scale 1 in int4: every quotient that ends in .5 is a tie
    outlier = n(0.02)
    outlier[[5, 70]] = torch.tensor([3.0, -2.5])
    sparse = torch.zeros(COLUMNS)
    sparse[40] = -0.3
    denormal = n(1.0) * info.tiny * 0.05
    smallest = torch.zeros(COLUMNS)
    smallest[::3] = info.tiny * info.eps
    smallest[1::3] = -info.tiny * info.eps
    kinds = [
        n(0.02),
        n(0.02) + 0.01,
        torch.zeros(COLUMNS),
        torch.full((COLUMNS,), 0.125),
        torch.full((COLUMNS,), -0.3),
        outlier,
        sparse,
        denormal,
        smallest,
        n(0.05).abs() + 0.01,
        -n(0.05).abs() - 0.01,
        ties,
        n(1.0).clamp(-3, 3) * (info.max / 8),
    ]
    return torch.stack(kinds).to(dtype)


def reference(weight, bits, symmetric, group):
    """qparams of amin and amax, then the package's own compressor and decompressor."""
    args = QuantizationArgs(
        num_bits=bits,
        symmetric=symmetric,
        strategy="channel" if group is None else "group",
        group_size=group,
    )
    groups = weight.unflatten(-1, (-1, group or weight.shape[1]))
    scale, zero_point = calculate_qparams(groups.amin(-1), groups.amax(-1), args)
    assert scale.dtype == weight.dtype
    scheme = QuantizationScheme(targets=["Linear"], weights=args)
    state = {"weight": weight, "weight_scale": scale, "weight_zero_point": zero_point}
    packed = PackedQuantizationCompressor.compress(state, scheme)
    restored = PackedQuantizationCompressor.decompress(packed, scheme)["weight"]
    return packed, restored


def text(tensor):
    return base64.b64encode(bytes(tensor.detach().clone(memory_format=torch.contiguous_format).untyped_storage())).decode()


def case(name, dtype, weight, bits, symmetric, group, restore):
    packed, restored = reference(weight, bits, symmetric, group)
    assert symmetric == ("weight_zero_point" not in packed)
    assert packed["weight_shape"].tolist() == list(weight.shape)
    return {
        "weight": name,
        "dtype": dtype,
        "bits": bits,
        "symmetric": symmetric,
        "group_size": group,
        "packed_shape": list(packed["weight_packed"].shape),
        "scale_shape": list(packed["weight_scale"].shape),
        "packed": text(packed["weight_packed"]),
        "scale": text(packed["weight_scale"]),
        "zero_point": None if symmetric else text(packed["weight_zero_point"]),
        "zero_point_shape": None if symmetric else list(packed["weight_zero_point"].shape),
        "dequantized": text(restored) if restore else None,
    }


def main():
    torch.set_num_threads(1)
    weights, cases = {}, []
    for label, dtype in DTYPES.items():
        g = torch.Generator().manual_seed(7)
        matrices = {
            f"kinds-{label}": (rows(dtype), [32, 64, 128, None]),
            # Columns that fill neither a word nor a vector of eight.
            f"odd-{label}": ((torch.randn(5, 37, generator=g) * 0.05).to(dtype), [None]),
            f"one-{label}": (torch.tensor([[-0.7]]).to(dtype), [None]),
        }
        for name, (weight, groups) in matrices.items():
            weights[name] = {"shape": list(weight.shape), "data": text(weight)}
            for group in groups:
                for bits in (4, 8):
                    for symmetric in (True, False):
                        restore = group in (32, None)
                        cases.append(case(name, label, weight, bits, symmetric, group, restore))
    out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "goldens.json")
    document = {
        "reference": f"compressed-tensors {compressed_tensors.__version__}, torch {torch.__version__}",
        "weights": weights,
        "cases": cases,
    }
    with open(out, "w") as file:
        json.dump(document, file, indent=0)
        file.write("\n")
    print(f"{len(cases)} cases, {os.path.getsize(out)} bytes")


if __name__ == "__main__":
    main()
