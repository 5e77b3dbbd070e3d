"""Golden values of the metrics, by scikit-learn, numpy and scipy: python3 make_metrics.py > metrics.json"""
import json

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

rng = np.random.default_rng(7)
labels = ["positive", "neutral", "negative", "never"]
logits = rng.normal(size=(200, 4)) * 3
logits[:, 3] -= 30
p = np.exp(logits - logits.max(1, keepdims=True))
p /= p.sum(1, keepdims=True)
truth = np.where(rng.random(200) < 0.6, p.argmax(1), rng.integers(0, 3, 200))
said = p.argmax(1)
confidence = p.max(1)
correct = said == truth
ece = 0.0
for low in np.arange(10) / 10:
    inside = (confidence > low) & (confidence <= low + 0.1 + 1e-12)
    if inside.any():
        ece += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
logp = np.log(np.maximum(p, 1e-300))


def loss(log_t):
    z = logp / np.exp(log_t)
    z = z - z.max(1, keepdims=True)
    return -(z[np.arange(200), truth] - np.log(np.exp(z).sum(1))).sum()


series = np.cumsum(rng.normal(size=60))
actual, forecast = rng.normal(size=20), rng.normal(size=20)
print(json.dumps({
    "labels": labels, "probabilities": p.tolist(), "truth": truth.tolist(), "said": said.tolist(),
    "accuracy": accuracy_score(truth, said), "macroF1": f1_score(truth, said, average="macro"),
    "confusion": confusion_matrix(truth, said, labels=range(4)).tolist(), "ece": ece,
    "brier": float(((p - np.eye(4)[truth]) ** 2).sum(1).mean()),
    "temperature": float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded",
                                                options={"xatol": 1e-10}).x)),
    "series": series.tolist(), "actual": actual.tolist(), "forecast": forecast.tolist(),
    "maseOne": float(np.abs(actual - forecast).mean() / np.abs(np.diff(series)).mean()),
    "maseThree": float(np.abs(actual - forecast).mean() / np.abs(series[3:] - series[:-3]).mean()),
}))
