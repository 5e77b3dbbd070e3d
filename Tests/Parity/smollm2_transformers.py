#!/usr/bin/env python3
"""Greedy tokens and logits of `qinfer generate --compute fp32` against transformers, for checkpoints that it loads.

    python3 smollm2_transformers.py path/to/qinfer MODEL [MODEL…]

A compressed-tensors checkpoint is loaded through the package of that name. Exit 1 on another token,
or on a logit of the prompt that differs by more than 1e-3.
"""

import json
import subprocess
import sys
import tempfile

import torch
from quantized_logits import TOLERANCE, our_logits
from transformers import AutoModelForCausalLM

PROMPT_TOKENS = [504, 3575, 282, 4649, 314]
COUNT = 20


def main(qinfer, models):
    wrong = 0
    for path in models:
        command = [qinfer, "generate", path, "--prompt-tokens", ",".join(map(str, PROMPT_TOKENS))]
        command += ["--max-tokens", str(COUNT), "--compute", "fp32", "--json"]
        ours = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)["tokens"]
        model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
        tokens = list(PROMPT_TOKENS)
        with torch.no_grad():
            for _ in range(COUNT):
                tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
        theirs = tokens[len(PROMPT_TOKENS):][: len(ours)]
        with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
            logits, positions = our_logits(qinfer, path, folder, PROMPT_TOKENS)
            expected = model(torch.tensor([PROMPT_TOKENS])).logits[0]
            worst = max(float((logits[i] - expected[p]).abs().max()) for i, p in enumerate(positions) if p < len(expected))
        same = ours == theirs
        wrong += not (same and worst <= TOLERANCE)
        print(f"{path}: {'equal' if same else 'DIFFERENT'}, {len(ours)} greedy tokens; logits within {worst:.2e}")
        if not same:
            print(f"  ours   {ours}\n  theirs {theirs}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
