#!/usr/bin/env python3
"""Trains the embedded model from nothing on rendered requests of the train split, on a CPU; goes on where it was stopped.

    train.py MODEL_FOLDER RENDERED LABELS --work FOLDER [--steps 5000] [--threads 2] [--seed 1]

Qwen2 architecture; Muon for the layers' matrices, AdamW for the embedding, biases and norms; one cycle of the learning rate.
The loss is taken on answers alone, of which labels weigh more than words. Each pass over the requests words them anew, and prompts grow: at first most of the lines
that the answer does not need are left out, so that where to look is learned on short prompts. Every 50th request is held
back, and judged on the way. `work` holds the checkpoint (every 5 minutes), loss.csv and held-back.csv. At the end the
weights are written to MODEL_FOLDER in bf16.
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
TOKENS_PER_STEP = 4096
PEAK = 4e-3
WARM_UP = 100
GROWN = 0.5
"""The share of the training after which prompts are whole."""
LABEL_WEIGHT = 3.0
"""What a label's token weighs in the loss, where a word of the text weighs one: words may be chosen, labels are right or wrong."""


def batches(rows, tokenizer, rand, progress):
    """Padded batches of nearly equal lengths, for ever: (tokens, targets, weights), targets −100 where nothing is learned."""
    while True:
        order = list(range(len(rows)))
        rand.shuffle(order)
        for start in range(0, len(order), 384):
            missing = 0.85 * max(0.0, 1 - progress() / GROWN)
            drawn = [
                encoded(rows[index], example(*rows[index], rand, augment=True, missing=missing), tokenizer)
                for index in order[start:start + 384]]
            drawn.sort(key=lambda pair: len(pair[0]))
            groups, group = [], []
            for pair in drawn:
                if group and (len(group) + 1) * len(pair[0]) > TOKENS_PER_STEP:
                    groups.append(group)
                    group = []
                group.append(pair)
            groups.append(group)
            rand.shuffle(groups)
            yield from map(padded, groups)


def encoded(row, pair, tokenizer):
    """(tokens, how many of them are the prompt's, how many after those are labels)."""
    prompt, answer = (tokenizer.encode(text).ids for text in pair)
    labels = pair[1].rsplit("\n", 1)[0] if row[0]["task"] != "ask" else ""
    return prompt + answer, len(prompt), len(tokenizer.encode(labels).ids)


def padded(group):
    """(tokens, targets, weights), of shape [requests, longest]."""
    length = max(len(tokens) for tokens, _, _ in group)
    tokens = torch.zeros(len(group), length, dtype=torch.long)
    targets = torch.full((len(group), length), -100)
    weights = torch.ones(len(group), length)
    for place, (ids, given, labels) in enumerate(group):
        tokens[place, :len(ids)] = torch.tensor(ids)
        targets[place, given:len(ids)] = torch.tensor(ids[given:])
        weights[place, given:given + labels] = LABEL_WEIGHT
    return tokens, targets, weights


def scores(model, tokens, targets):
    """(logits, wanted) of the answers' tokens; the head is computed for those positions alone. Padding stands on the right,
    where a causal model does not look."""
    hidden = model.model(input_ids=tokens).last_hidden_state[:, :-1]
    wanted = targets[:, 1:]
    learned = wanted != -100
    return model.lm_head(hidden[learned]), wanted[learned], learned


@torch.no_grad()
def judged(model, held, tokenizer):
    """(loss, share of tokens right, share of answers right in all of their labels' tokens), on requests never trained on."""
    model.eval()
    loss, right, count, whole = 0.0, 0, 0, 0
    for start in range(0, len(held), 24):
        group = held[start:start + 24]
        tokens, targets, _ = padded(group)
        logits, wanted, learned = scores(model, tokens, targets)
        loss += torch.nn.functional.cross_entropy(logits, wanted, reduction="sum").item()
        hits = torch.zeros_like(learned)
        hits[learned] = logits.argmax(-1) == wanted
        right, count = right + hits.sum().item(), count + len(wanted)
        for place, (_, given, labels) in enumerate(group):
            whole += hits[place, given - 1:given - 1 + labels].all().item()
    model.train()
    return loss / count, right / count, whole / len(held)


class Muon(torch.optim.Optimizer):
    """Momentum whose matrices are made orthogonal (K. Jordan et al., 2024), with updates of AdamW's size (J. Liu et al., 2025).
    In fp32, and matrices of one shape together: PyTorch's own rounds to bf16, which few CPUs compute in."""

    def __init__(self, matrices, lr, momentum=0.95, weight_decay=0.02):
        super().__init__(matrices, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = {}
            for matrix in group["params"]:
                shapes.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in shapes.items():
                gradients = torch.stack([m.grad for m in matrices])
                state = self.state[matrices[0]]
                average = state.setdefault("average", torch.zeros_like(gradients))
                average.lerp_(gradients, 1 - group["momentum"])
                updates = self.orthogonal(gradients.lerp(average, group["momentum"]))
                for matrix, update in zip(matrices, updates):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.add_(update, alpha=-group["lr"] * 0.2 * max(shape) ** 0.5)

    @staticmethod
    def orthogonal(batch):
        """Newton-Schulz iterations of the fifth order."""
        tall = batch.size(-2) > batch.size(-1)
        x = batch.mT if tall else batch
        x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
        for _ in range(5):
            square = x @ x.mT
            x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
        return x.mT if tall else x


def optimizers(model):
    matrices = [p for name, p in model.named_parameters() if p.dim() > 1 and "layers" in name]
    others = [p for name, p in model.named_parameters() if not (p.dim() > 1 and "layers" in name)]
    return [
        Muon(matrices, lr=PEAK),
        torch.optim.AdamW(others, lr=PEAK, betas=(0.9, 0.98), weight_decay=0.0)]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("rendered")
    options.add_argument("labels")
    options.add_argument("--work", type=pathlib.Path, required=True)
    options.add_argument("--steps", type=int, default=5000)
    options.add_argument("--threads", type=int, default=os.cpu_count())
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    given.work.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(given.folder / "tokenizer.json"))
    rows = list(read(given.rendered, given.labels))
    held = []
    for row in rows[::50]:
        held.append(encoded(row, example(*row, random.Random(0), augment=False), tokenizer))
    rows = [row for place, row in enumerate(rows) if place % 50]
    config = Qwen2Config(vocab_size=tokenizer.get_vocab_size(), **CONFIGURATION)
    config._attn_implementation = "sdpa"
    model = Qwen2ForCausalLM(config)
    optimizing = optimizers(model)
    step, spent, tokens_seen = 0, 0.0, 0
    state = given.work / "checkpoint.pt"
    if state.exists():
        saved = torch.load(state)
        model.load_state_dict(saved["model"])
        for optimizer, kept in zip(optimizing, saved["optimizers"]):
            optimizer.load_state_dict(kept)
        step, spent, tokens_seen = saved["step"], saved["spent"], saved["tokens"]
        print(f"goes on at step {step}, minute {spent / 60:.1f}", flush=True)
    source = batches(rows, tokenizer, random.Random(given.seed * 1_000_003 + step), lambda: step / given.steps)

    def save():
        torch.save({
            "model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizing], "step": step, "spent": spent,
            "tokens": tokens_seen}, str(state) + ".new")
        os.replace(str(state) + ".new", state)

    since, recent, saved_at = time.time(), [], time.time()
    with open(given.work / "loss.csv", "a", newline="") as losses, open(given.work / "held-back.csv", "a", newline="") as judgements:
        while step < given.steps:
            share = step / given.steps
            rate = PEAK * min(1.0, (step + 1) / WARM_UP) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))
            for optimizer in optimizing:
                for group in optimizer.param_groups:
                    group["lr"] = rate
            tokens, targets, weights = next(source)
            logits, wanted, learned = scores(model, tokens, targets)
            weights = weights[:, 1:][learned]
            loss = (torch.nn.functional.cross_entropy(logits, wanted, reduction="none") * weights).sum() / weights.sum()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizing:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            recent.append(loss.item())
            step, tokens_seen = step + 1, tokens_seen + tokens.numel()
            now = time.time()
            spent, since = spent + now - since, now
            if step % 20 == 0:
                csv.writer(losses).writerow([step, tokens_seen, f"{spent / 60:.2f}", f"{sum(recent) / len(recent):.4f}", f"{rate:.6f}"])
                losses.flush()
                print(f"step {step} of {given.steps}, {tokens_seen / 1e6:.2f} M tokens, minute {spent / 60:.1f}, loss {sum(recent) / len(recent):.4f}", flush=True)
                recent = []
            if step % 500 == 0 or step == given.steps:
                found = judged(model, held, tokenizer)
                csv.writer(judgements).writerow([step, f"{spent / 60:.2f}", *(f"{value:.4f}" for value in found)])
                judgements.flush()
                print("held back: loss {:.4f}, tokens {:.2%}, labels {:.2%}".format(*found), flush=True)
            if now - saved_at > 300:
                save()
                saved_at = now
    save()
    model.to(torch.bfloat16).save_pretrained(given.folder, safe_serialization=True)


if __name__ == "__main__":
    main()
