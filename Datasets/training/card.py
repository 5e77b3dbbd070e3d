#!/usr/bin/env python3
"""Writes the model card of the embedded model, from what was measured, and keeps the training's figures beside the weights.

    card.py MODEL_FOLDER RUN_FOLDER RESULTS_JSON

RUN_FOLDER is the trainer's `--work`; RESULTS_JSON is what `qbench run` wrote for int8 with `--also` fp32 and int4, on the test
split's labelled requests. What was out of the ordinary about one training is told in the model's own history.md.
"""
import csv
import hashlib
import json
import pathlib
import shutil
import sys


def percent(figure):
    return f"{100 * figure['value']:.1f} %" if figure else "–"


def with_interval(figure):
    spread = figure.get("interval")
    return percent(figure) + (f" ({100 * spread['low']:.1f}–{100 * spread['high']:.1f})" if spread else "")


def by_task(models, baselines):
    """Accuracy of every choice and language, of every model, beside the baselines."""
    names = [model["scheme"] for model in models]
    lines = ["| task · label | " + " | ".join(f"{n}, en | {n}, zh" for n in names) + " | majority | alone |", "|---" * (2 * len(names) + 3) + "|"]
    for place, choice in enumerate(models[0]["choices"]):
        cells = []
        for model in models:
            languages = model["choices"][place]["languages"]
            cells += [percent(languages.get(code)) for code in ("en", "zh")]
        base = next((b for b in baselines if (b["task"], b["name"]) == (choice["task"], choice["name"])), {})
        cells += [percent(base.get("majority")), percent(base.get("detector"))]
        lines.append(f"| {choice['task']} · {choice['name']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def overall(models):
    lines = ["| | labels right | worst ECE | grounded numbers | as first written |", "|---|---|---|---|---|"]
    for model in models:
        ece = max((c["ece"]["value"] for c in model["choices"] if c.get("ece")), default=None)
        numbers = sum(g["numbers"] for g in model["grounding"])
        rate = sum(g["numbers"] * g["rate"]["value"] for g in model["grounding"] if g.get("rate")) / max(numbers, 1)
        free = [(g["numbers"], g["freeRate"]["value"]) for g in model["grounding"] if g.get("freeRate")]
        first = sum(n * v for n, v in free) / max(sum(n for n, _ in free), 1)
        lines.append(f"| {model['scheme']} | {with_interval(model['accuracy'])} | {ece:.3f} | {100 * rate:.1f} % of {numbers} | {100 * first:.1f} % |")
    return "\n".join(lines)


def main():
    folder, run, results = map(pathlib.Path, sys.argv[1:4])
    for name in ("loss.csv", "held-back.csv"):
        shutil.copy(run / name, folder / name)
    with open(folder / "loss.csv") as file:
        last = list(csv.reader(file))[-1]
    with open(folder / "held-back.csv") as file:
        held = list(csv.reader(file))[-1]
    report = json.loads(results.read_text())
    tasks = report["tasks"]
    models = tasks["models"]
    config = json.loads((folder / "config.json").read_text())
    weights = (folder / "model.safetensors").read_bytes()
    parameters = (len(weights) - 8 - int.from_bytes(weights[:8], "little")) // 2
    told = folder / "history.md"
    history = f"\n{told.read_text()}" if told.exists() else ""
    text = f"""---
language: [en, zh]
library_name: transformers
pipeline_tag: text-generation
---

# qubic-tiny

A small language model that reads facts of the Qubic network and answers in English or Traditional Chinese: labels, and a sentence
or two, in which `[Tick]` stands for the value of the prompt's line `Tick: …`; `qinfer` puts it in. Trained from nothing; it knows nothing else.

| | |
|---|---|
| architecture | Qwen2 (biases on q, k, v; {config['num_attention_heads']} heads, {config['num_key_value_heads']} of keys and values), {config['num_hidden_layers']} layers of {config['hidden_size']}, MLP of {config['intermediate_size']}, tied embedding |
| parameters | {parameters:,}, in bf16, {len(weights):,} bytes |
| tokenizer | byte-level BPE of {config['vocab_size']:,} entries, digits alone; a prompt line's name, its ending and a slot are one token each; ChatML |
| model.safetensors | sha256: {hashlib.sha256(weights).hexdigest()} |

## Data

30 000 requests of the train split of `qinfer synthesize` (Datasets/README.md says what of it is real): facts of a moment of a
recording in which incidents were injected, the labels from what was injected, the words by `Datasets/training/wording.py`, new
ones in each pass. Splits are by epoch; no request of the test split was seen. Lines of facts are left out at random, more of them
at first; in one of ten examples a value is out of the range of the training, and labels are then drawn at random, so that the
model is unsure there and says so; in two of five about news a headline orders a label, which stays what it is; three in ten
analyses of quiet moments show what a single body or an epoch's summary does.

## Recipe

`Datasets/training/train.py`: Muon for the layers' matrices, AdamW for the rest, one cosine cycle, loss on answers alone (labels' tokens three times), seed 1.
{int(last[0]):,} steps, {int(last[1]) / 1e6:.1f} M tokens, {float(last[2]):.0f} minutes on two shared cores of a CPU (AVX2). Final loss {last[3]} a token of
the answers; on requests held back from the train split {held[2]}, {100 * float(held[3]):.1f} % of the tokens as worded, all labels of a request right in
{100 * float(held[4]):.1f} %. `loss.csv`: step, tokens, minutes, loss, learning rate; `held-back.csv`: step, minutes, loss, tokens right, labels right.
{history}
## Measured

By `qbench run` on {report['configuration']['dataset'].get('items', 0):,} labelled requests of the test split, 95 % bootstrap intervals in brackets:

{overall(models)}

{by_task(models, tasks.get('baselines', []))}

*Majority* always says the most frequent label of this very set; *alone* is the detector without any model.
Confidence is calibrated for each task on the calibration split (`calibration.json`, by `qbench calibrate`).

## Limits

It reads the prompts beside it (`prompts/`) and nothing else. In transformers 5 it wants `PreTrainedTokenizerFast`: `AutoTokenizer`
gives every `qwen2` the cutting of Qwen2, and so other tokens than it was trained on. The future holds incidents that nothing
announces, so `direction` cannot be right always. Its data are synthetic, hung on the real epochs 104 to 231; whatever lies far
outside (ticks of ten seconds, a price of 0, epoch 9 999) is called out of range, with a low confidence; a prediction in English,
whose prompt shows the epoch alone of these, misses it at times. An epoch's summary (mean tick time and transition, no more) is mostly called negative, at low confidence: too
few were shown. It may state a number that is a fact and not the one that is meant.
"""
    (folder / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
