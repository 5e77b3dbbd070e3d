#!/usr/bin/env python3
"""Every activation of `qinfer generate --trace --trace-level full` against transformers, read with h5py.

    python3 trace_transformers.py path/to/qinfer MODEL [MODEL…]

The largest absolute difference of each point; exit 1 where one is above 1e-3 for a value of order one, that is above
1e-3 · max(1, the point's largest magnitude in transformers). The model is computed in fp32 on both sides.
"""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import h5py
import numpy as np

from transformers_activations import capture, load

LIMIT = 1e-3
COUNT = 8


def trace(qinfer, model, prompt, folder):
    path = Path(folder) / "trace.h5"
    layers = json.loads((Path(model) / "config.json").read_text())["num_hidden_layers"]
    command = [qinfer, "generate", model, "--prompt-tokens", ",".join(map(str, prompt)), "--max-tokens", str(COUNT)]
    command += ["--compute", "fp32", "--trace", path, "--trace-level", "full", "--stages", str(min(3, layers))]
    subprocess.run([str(c) for c in command], check=True, capture_output=True)
    return h5py.File(path)["requests/prompt"]


def compare(group, points):
    """Largest difference and magnitude, by the point's name without its layer."""
    worst = defaultdict(lambda: [0.0, 0.0])
    for name, expected in points.items():
        got, expected = group[name][...], expected.numpy()
        assert got.shape == expected.shape, f"{name}: {got.shape}, expected {expected.shape}"
        kind = "layers/*/" + name.split("/")[-1] if name.startswith("layers/") else name
        worst[kind][0] = max(worst[kind][0], float(np.abs(got - expected).max()))
        worst[kind][1] = max(worst[kind][1], float(np.abs(expected).max()))
    return worst


def main(qinfer, models):
    failed = False
    for model in models:
        vocabulary = json.loads((Path(model) / "config.json").read_text())["vocab_size"]
        prompt = [(7 * i + 11) % (vocabulary - 8) + 4 for i in range(24)]
        with tempfile.TemporaryDirectory() as folder:
            group = trace(qinfer, model, prompt, folder)
            tokens = group["tokens"][...].tolist()
            points = capture(load(model), tokens)
            names = []
            group.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
            missing = set(points) - set(names)
            print(f"{Path(model).name}: {len(tokens)} positions, {len(points)} datasets" + (f", MISSING {missing}" if missing else ""))
            failed |= bool(missing)
            for kind, (difference, largest) in sorted(compare(group, {n: p for n, p in points.items() if n not in missing}).items()):
                wrong = not difference <= LIMIT * max(1, largest)
                failed |= wrong
                print(f"  {kind:24} {difference:.2e} of {largest:9.3f}{'  TOO LARGE' if wrong else ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
