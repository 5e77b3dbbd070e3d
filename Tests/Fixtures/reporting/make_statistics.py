"""Goldens for Sources/Reporting/Statistics: python3 make_statistics.py > statistics.json  (needs numpy and scipy)

SciPy and NumPy compute everything but the bootstrap, whose generator and order of draws are written out here a second
time; SciPy's own bootstrap checks that the interval is a sensible one."""
import json

import numpy as np
from scipy import stats

rng = np.random.default_rng(20261124)
samples = {
    "one": [3.25],
    "two": [1.0, 2.0],
    "ties": [1.0, 2.0, 2.0, 2.0, 3.0, 5.0, 5.0],
    "normal": rng.normal(100, 15, 101).tolist(),
    "latency": rng.lognormal(5, 0.6, 700).round(3).tolist(),
    "far": (1e12 + rng.normal(0, 1, 64)).tolist(),
}


def splitmix(seed):
    state, mask = seed, (1 << 64) - 1
    while True:
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        yield z ^ (z >> 31)


def bootstrap(values, seed, resamples, statistic):
    draw, n = splitmix(seed), len(values)
    found = [statistic([values[(next(draw) * n) >> 64] for _ in range(n)]) for _ in range(resamples)]
    return [float(np.quantile(found, q, method="inverted_cdf")) for q in (0.025, 0.975)]


descriptive = []
for name, x in samples.items():
    row = {"name": name, "values": x, "mean": float(np.mean(np.array(x, dtype=np.longdouble))),
           "median": float(np.median(x)),
           "percentiles": {p: float(np.percentile(x, float(p[1:]), method="inverted_cdf"))
                           for p in ("p1", "p50", "p75", "p90", "p95", "p99", "p99.9")}}
    if len(x) > 1:
        row["mad"] = float(stats.median_abs_deviation(x, scale=1.0))
        row["deviation"] = float(np.std(np.array(x, dtype=np.longdouble), ddof=1))
    if 1 < len(x) <= 101:
        row["bootstrap"] = bootstrap(x, 99, 200, lambda v: float(np.mean(v)))
    descriptive.append(row)

x = np.array(samples["normal"])
ci = stats.bootstrap((x,), np.mean, confidence_level=0.95, method="percentile", n_resamples=9999, rng=1).confidence_interval

pairs = {
    "exact": ([1.1, 2.2, 3.3, 4.4], [2.5, 3.5, 5.5, 6.5, 7.5]),
    "exact-extreme": ([1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]),
    "exact-wide": (rng.normal(0, 1, 8).tolist(), rng.normal(0.8, 1, 300).tolist()),
    "small-ties": ([1.0, 2.0, 2.0, 3.0], [2.0, 3.0, 3.0, 4.0, 5.0]),
    "large": (rng.lognormal(5, 0.5, 200).tolist(), rng.lognormal(5.1, 0.5, 180).tolist()),
    "large-ties": (rng.integers(0, 12, 90).astype(float).tolist(), rng.integers(1, 14, 120).astype(float).tolist()),
    "far-apart": (rng.normal(0, 1, 60).tolist(), rng.normal(9, 1, 60).tolist()),
    "equal": ([5.0] * 20, [5.0] * 20),
    "same": (list(range(30)), list(range(30))),
}
tests = []
for name, (a, b) in pairs.items():
    r = stats.mannwhitneyu(a, b, alternative="two-sided", method="auto")
    # SciPy gives NaN where all values are equal in some versions; there is no evidence then.
    p = float(r.pvalue)
    tests.append({"name": name, "first": [float(v) for v in a], "second": [float(v) for v in b],
                  "u": float(r.statistic), "p": 1.0 if np.isnan(p) else p})

required = []
for tail in (0.5, 0.1, 0.05, 0.01, 0.001):
    for misses in (0, 1, 5):
        n = misses + 1
        while stats.binom.cdf(misses, n, tail) > 0.01:
            n += 1
        required.append({"tenThousandths": round((1 - tail) * 10000), "misses": misses, "samples": n})

wilson = []
for k, n in ((0, 10), (10, 10), (5, 10), (94, 100), (1, 3), (9931, 10000)):
    i = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    wilson.append({"successes": k, "trials": n, "low": float(i.low), "high": float(i.high)})

print(json.dumps({"descriptive": descriptive, "scipyBootstrap": [float(ci.low), float(ci.high)], "mannWhitney": tests,
                  "required": required, "wilson": wilson}))
