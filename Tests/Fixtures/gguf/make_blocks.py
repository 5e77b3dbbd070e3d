#!/usr/bin/env python3
"""Makes blocks.json: random blocks of the types that Q4_K_M files consist of, and gguf.quants' values of them.

    python3 make_blocks.py

Needs gguf and numpy. Bytes in base64, values as the base64 of little-endian fp32.
"""

import base64
import json
import os

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Q

# Where a block's halves (scale, minimum) stand.
HALVES = {Q.Q5_0: [0], Q.Q5_1: [0, 2], Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208]}
random = np.random.default_rng(5)
result = {}
for kind, halves in HALVES.items():
    blocks = random.integers(0, 256, (3, gguf.GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    for offset in halves:
        blocks[:, offset:offset + 2] = random.normal(0, 0.01, (3, 1)).astype(np.float16).view(np.uint8)
    values = np.concatenate([gguf.quants.dequantize(block, kind).ravel() for block in blocks]).astype("<f4")
    result[kind.name] = {"type": int(kind), "bytes": base64.b64encode(blocks.tobytes()).decode(),
                         "values": base64.b64encode(values.tobytes()).decode()}
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "blocks.json")
with open(path, "w") as file:
    json.dump(result, file, indent=1)
