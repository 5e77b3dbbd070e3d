#!/usr/bin/env python3
"""What transformers makes of the embedded model: chat prompts' token ids, and the greedy tokens that follow.

    make.py QINFER      writes goldens.json beside this file; needs torch and transformers

The prompts are what `qinfer render` prints for the first labelled requests of the synthetic sample. PreTrainedTokenizerFast reads
tokenizer.json as it is; AutoTokenizer of transformers 5 puts Qwen2's own cutting in the place of what the file says.
"""
import json
import pathlib
import subprocess
import sys

import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

ROOT = pathlib.Path(__file__).resolve().parents[3]
MODEL = ROOT / "Datasets/models/qubic-tiny"
COUNT = 48


def main():
    rendered = subprocess.run(
        [sys.argv[1], "render", "--prompts", MODEL / "prompts", "--snapshots", ROOT / "Datasets/synthetic-sample/requests.test.jsonl"],
        capture_output=True, check=True, text=True).stdout
    tokenizer = PreTrainedTokenizerFast.from_pretrained(MODEL)
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
    goldens = []
    for row in map(json.loads, rendered.splitlines()[:10]):
        text = tokenizer.apply_chat_template(row["messages"], tokenize=False, add_generation_prompt=True)
        prompt = tokenizer(text)["input_ids"]
        with torch.no_grad():
            tokens = model.generate(torch.tensor([prompt]), max_new_tokens=COUNT, do_sample=False)[0, len(prompt):].tolist()
        goldens.append({"id": row["id"], "text": text, "prompt": prompt, "greedy": tokens, "says": tokenizer.decode(tokens)})
    text = json.dumps(goldens, ensure_ascii=False, indent=1) + "\n"
    (pathlib.Path(__file__).parent / "goldens.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
