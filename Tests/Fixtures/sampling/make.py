"""What Hugging Face transformers draws from: python3 make.py → goldens.json. Needs torch and transformers."""
import json
import pathlib

import torch
from transformers import (MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper,
                          TopKLogitsWarper, TopPLogitsWarper)

generator = torch.Generator().manual_seed(7)
logits = (torch.randn(64, generator=generator) * 3).to(torch.float32)
seen = [3, 5, 8, 13, 21, 34, int(logits.argmax())]
cases = []
for temperature in (0.7, 1.0, 1.8):
    for top_k in (0, 1, 5, 40):
        for top_p in (1.0, 0.9, 0.3):
            for min_p in (0.0, 0.05, 0.4):
                for penalty in (1.0, 1.4, 0.8):
                    scores = logits[None].clone()
                    ids = torch.tensor([seen])
                    # The order in which generate() applies them.
                    if penalty != 1:
                        scores = RepetitionPenaltyLogitsProcessor(penalty)(ids, scores)
                    scores = TemperatureLogitsWarper(temperature)(ids, scores)
                    if top_k:
                        scores = TopKLogitsWarper(top_k)(ids, scores)
                    if top_p < 1:
                        scores = TopPLogitsWarper(top_p)(ids, scores)
                    if min_p:
                        scores = MinPLogitsWarper(min_p)(ids, scores)
                    p = scores.double().softmax(-1)[0]
                    kept = sorted((i for i in range(64) if p[i] > 0), key=lambda i: -p[i])
                    cases.append({"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p,
                                  "penalty": penalty, "tokens": kept, "first": round(float(p[kept[0]]), 9),
                                  "last": round(float(p[kept[-1]]), 9)})
goldens = {"logits": [float(x) for x in logits], "seen": seen, "cases": cases}
pathlib.Path(__file__).with_name("goldens.json").write_text(json.dumps(goldens, separators=(",", ":")) + "\n")
