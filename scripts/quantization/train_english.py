#!/usr/bin/env python3
"""Trains a small Llama on the English texts at hand, from nothing, in a quarter of an hour on two cores: a model of natural
text that never saw a grid, to judge quantization by.

    train_english.py TEXTS MODEL_FOLDER [--steps 500] [--seed 1]

TEXTS holds train.txt and held-out.txt (texts.py). All widths are multiples of 256, as llama.cpp's K-quants want them. Muon for
the layers' matrices, AdamW for the rest; weights are written in bf16.
"""
import argparse
import json
import math
import pathlib
import sys
import time

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Datasets/training"))
from train import Muon  # noqa: E402: in fp32, where torch's own takes bf16, which this sort of processor emulates

WINDOW, BATCH, WARM_UP, PEAK = 256, 8, 20, 4e-3
CONFIGURATION = dict(
    hidden_size=256, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=4, intermediate_size=768,
    max_position_embeddings=1024, rope_theta=10_000.0, rms_norm_eps=1e-5, tie_word_embeddings=False,
    bos_token_id=None, eos_token_id=0, pad_token_id=0)
SPECIAL = "<|endoftext|>"


def tokenizer_of(text, folder):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(text.split("\n\n"), trainers.BpeTrainer(
        vocab_size=2048, special_tokens=[SPECIAL], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": SPECIAL, "pad_token": SPECIAL, "bos_token": None,
        "model_max_length": 1024, "clean_up_tokenization_spaces": False}, indent=2) + "\n")
    return tokenizer


def loss_of(network, rows):
    logits = network(rows[:, :-1]).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("texts", type=pathlib.Path)
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("--steps", type=int, default=500)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    torch.manual_seed(given.seed)
    given.folder.mkdir(parents=True, exist_ok=True)
    text = (given.texts / "train.txt").read_text()
    tokenizer = tokenizer_of(text, given.folder)
    ids = torch.tensor(tokenizer.encode(text, add_special_tokens=False).ids)
    held_out = torch.tensor(tokenizer.encode((given.texts / "held-out.txt").read_text()).ids[:32 * (WINDOW + 1)])
    print(f"{len(ids)} tokens, {given.steps * BATCH * WINDOW} of which are read")

    network = LlamaForCausalLM(LlamaConfig(vocab_size=tokenizer.get_vocab_size(), **CONFIGURATION))
    matrices = [p for name, p in network.named_parameters() if p.ndim == 2 and ".layers." in name]
    rest = [p for name, p in network.named_parameters() if not (p.ndim == 2 and ".layers." in name)]
    optimizers = [Muon(matrices, lr=PEAK), torch.optim.AdamW(rest, lr=PEAK)]
    began = time.time()
    for step in range(given.steps):
        share = min(1, (step + 1) / WARM_UP) * (0.05 + 0.95 * (1 + math.cos(math.pi * step / given.steps)) / 2)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = PEAK * share
        begins = torch.randint(0, len(ids) - WINDOW, (BATCH,))
        loss = loss_of(network, torch.stack([ids[begin:begin + WINDOW + 1] for begin in begins]))
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if step % 20 == 0:
            print(f"step {step}, {time.time() - began:.0f} s, loss {loss.item():.3f}", flush=True)

    network.eval().to(torch.bfloat16).save_pretrained(given.folder)
    with torch.no_grad():
        print(f"perplexity on held-out text {loss_of(network.float(), held_out.reshape(-1, WINDOW + 1)).exp().item():.1f}")


if __name__ == "__main__":
    main()
