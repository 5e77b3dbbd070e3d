#!/usr/bin/env python3
"""Greedy tokens of `qinfer generate --compute fp32 --json` against transformers, for checkpoints that it loads.

    python3 smollm2_transformers.py path/to/qinfer MODEL [MODEL…]

A compressed-tensors checkpoint is loaded through the package of that name. Exit 1 on a difference.
"""

import json
import subprocess
import sys

import torch
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
        same = ours == theirs
        wrong += not same
        print(f"{path}: {'equal' if same else 'DIFFERENT'}, {len(ours)} greedy tokens")
        if not same:
            print(f"  ours   {ours}\n  theirs {theirs}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
