#!/usr/bin/env python3
"""Trains the embedded model from nothing on rendered requests of the train split, on a CPU; goes on where it was stopped.

    train.py MODEL_FOLDER RENDERED LABELS --work FOLDER [--minutes 140] [--threads 2] [--seed 1]

Qwen2 architecture, AdamW, one cycle of the learning rate over the time given; the loss is taken on answers alone. Each pass
over the requests words them anew. `work` holds the checkpoint (every five minutes) and loss.csv. At the end the weights
are written to MODEL_FOLDER in bf16.
"""
import argparse
import csv
import math
import os
import pathlib
import random
import time

import torch
from tokenizers import Tokenizer
from transformers import Qwen2Config, Qwen2ForCausalLM

from dataset import example, read

CONFIGURATION = dict(
    hidden_size=128, num_hidden_layers=12, num_attention_heads=4, num_key_value_heads=2, intermediate_size=512,
    max_position_embeddings=1024, rope_theta=10_000.0, rms_norm_eps=1e-6, tie_word_embeddings=True, use_sliding_window=False,
    bos_token_id=None, eos_token_id=2, pad_token_id=0)
TOKENS_PER_STEP = 6144
PEAK = 3e-3


def batches(rows, tokenizer, rand):
    """Padded batches of nearly equal lengths, for ever: (tokens, targets), targets −100 where nothing is learned."""
    while True:
        order = list(range(len(rows)))
        rand.shuffle(order)
        for start in range(0, len(order), 512):
            drawn = []
            for index in order[start:start + 512]:
                prompt, answer = example(*rows[index], rand, augment=True)
                given, wanted = tokenizer.encode(prompt).ids, tokenizer.encode(answer).ids
                drawn.append((given + wanted, len(given)))
            drawn.sort(key=lambda pair: len(pair[0]))
            groups, group = [], []
            for pair in drawn:
                if group and (len(group) + 1) * len(pair[0]) > TOKENS_PER_STEP:
                    groups.append(group)
                    group = []
                group.append(pair)
            groups.append(group)
            rand.shuffle(groups)
            for group in groups:
                length = max(len(tokens) for tokens, _ in group)
                tokens = torch.zeros(len(group), length, dtype=torch.long)
                targets = torch.full((len(group), length), -100)
                for place, (ids, given) in enumerate(group):
                    tokens[place, :len(ids)] = torch.tensor(ids)
                    targets[place, given:len(ids)] = torch.tensor(ids[given:])
                yield tokens, targets


def loss_of(model, tokens, targets):
    """Mean over the answers' tokens; the head is computed for those positions alone. Padding stands on the right, where a
    causal model does not look."""
    hidden = model.model(input_ids=tokens).last_hidden_state[:, :-1]
    wanted = targets[:, 1:]
    learned = wanted != -100
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[learned]), wanted[learned])


def main():
    options = argparse.ArgumentParser()
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("rendered")
    options.add_argument("labels")
    options.add_argument("--work", type=pathlib.Path, required=True)
    options.add_argument("--minutes", type=float, default=140)
    options.add_argument("--threads", type=int, default=os.cpu_count())
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    given.work.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(given.folder / "tokenizer.json"))
    rows = list(read(given.rendered, given.labels))
    config = Qwen2Config(vocab_size=tokenizer.get_vocab_size(), **CONFIGURATION)
    config._attn_implementation = "sdpa"
    model = Qwen2ForCausalLM(config)
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}], lr=PEAK, betas=(0.9, 0.98))
    step, spent, tokens_seen = 0, 0.0, 0
    state = given.work / "checkpoint.pt"
    if state.exists():
        saved = torch.load(state)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        step, spent, tokens_seen = saved["step"], saved["spent"], saved["tokens"]
        print(f"goes on at step {step}, minute {spent / 60:.1f}", flush=True)
    source = batches(rows, tokenizer, random.Random(given.seed * 1000 + step))

    def save():
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "spent": spent, "tokens": tokens_seen}, str(state) + ".new")
        os.replace(str(state) + ".new", state)

    total = given.minutes * 60
    since, recent, saved_at = time.time(), [], time.time()
    with open(given.work / "loss.csv", "a", newline="") as file:
        log = csv.writer(file)
        while spent < total:
            # Warm up over two minutes, then a cosine down to a fiftieth, by the time spent: a busy machine gets fewer steps.
            share = spent / total
            rate = PEAK * min(1.0, (spent + 1) / 120) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))
            for group in optimizer.param_groups:
                group["lr"] = rate
            tokens, targets = next(source)
            loss = loss_of(model, tokens, targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            recent.append(loss.item())
            step, tokens_seen = step + 1, tokens_seen + tokens.numel()
            now = time.time()
            spent, since = spent + now - since, now
            if step % 20 == 0:
                log.writerow([step, tokens_seen, f"{spent / 60:.2f}", f"{sum(recent) / len(recent):.4f}", f"{rate:.6f}"])
                file.flush()
                print(f"step {step}, {tokens_seen / 1e6:.2f} M tokens, minute {spent / 60:.1f} of {given.minutes:g}, loss {sum(recent) / len(recent):.4f}", flush=True)
                recent = []
            if now - saved_at > 300:
                save()
                saved_at = now
    save()
    model.to(torch.bfloat16).save_pretrained(given.folder, safe_serialization=True)


if __name__ == "__main__":
    main()
