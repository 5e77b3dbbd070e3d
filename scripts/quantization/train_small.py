#!/usr/bin/env python3
"""Trains a small Llama in full precision on text at hand, to judge quantization by.

    python3 train_small.py OUTPUT [MINUTES]

The text is English that every Debian system with Python holds: the licences and copyright files under /usr/share and
the documentation strings of Python's library. The last twentieth is kept back and written to OUTPUT/held-out.txt; some
of what it learns from is written to OUTPUT/calibration.txt. Widths are multiples of 256, so that every block format of
llama.cpp fits. About 4 million parameters.
"""

import ast
import random
import sys
import time
import sysconfig
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

LIMIT = 12_000_000  # characters
WINDOW, BATCH, VOCABULARY = 128, 8, 2048


def texts():
    """Each text once, in a fixed order."""
    seen = set()
    found = sorted(Path("/usr/share/common-licenses").glob("*")) + sorted(Path("/usr/share/doc").glob("*/copyright"))
    for path in found:
        text = path.read_text(errors="ignore")
        if text[:2000] not in seen:
            seen.add(text[:2000])
            yield text
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        try:
            tree = ast.parse(path.read_text(errors="ignore"))
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and (text := ast.get_docstring(node)):
                if len(text) > 200:
                    yield text


def main(output, minutes):
    torch.manual_seed(1)
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    parts, size = [], 0
    for text in texts():
        parts.append(text)
        size += len(text)
        if size > LIMIT:
            break
    generator = torch.Generator().manual_seed(1)
    random.Random(1).shuffle(parts)
    cut = len(parts) * 19 // 20
    held_out = "\n\n".join(parts[cut:])
    (output / "held-out.txt").write_text(held_out)
    (output / "calibration.txt").write_text("\n\n".join(parts[:cut])[:600_000])

    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(parts[:cut], vocab_size=VOCABULARY, special_tokens=["<|endoftext|>"], show_progress=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>")
    tokenizer.save_pretrained(output)
    tokens = torch.tensor(bpe.encode("\n\n".join(parts[:cut])).ids)
    print(f"{size} characters, {len(tokens)} tokens to learn from", file=sys.stderr)

    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=256, intermediate_size=768, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=1024, rope_theta=10000.0, tie_word_embeddings=False,
        bos_token_id=0, eos_token_id=0))
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05, betas=(0.9, 0.95))
    began, step = time.time(), 0
    while (share := (time.time() - began) / (60 * minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 50) * max(0.05, 1 - share)
        starts = torch.randint(0, len(tokens) - WINDOW, (BATCH,), generator=generator)
        batch = torch.stack([tokens[s:s + WINDOW] for s in starts])
        loss = model(input_ids=batch, labels=batch).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step += 1
        if step % 50 == 0:
            print(f"step {step}: loss {loss.item():.3f}", file=sys.stderr)
    model.save_pretrained(output)
    print(f"{output}: {step} steps, loss {loss.item():.3f}")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 5)
