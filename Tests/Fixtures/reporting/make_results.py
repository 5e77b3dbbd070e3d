"""Made-up benchmark results for looking at a report: python3 make_results.py [REQUESTS] > results.json

Nothing here was measured. The file is written from the schema's description, not by the tool."""
import json
import random
import sys

count = int(sys.argv[1]) if len(sys.argv) > 1 else 700
slow = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
rng = random.Random(7)
requests, clock = [], 0.0
free = [0.0] * 16
for i in range(count):
    clock += rng.expovariate(12.4 / 1000)
    slot = min(range(16), key=lambda s: free[s])
    prompt = rng.choice([64, 72, 80, 96, 118, 140, 180, 233]) + rng.randrange(12)
    output = rng.randrange(18, 40)
    begin = max(clock, free[slot])
    prefill = prompt * rng.gauss(1.9, 0.1) * slow
    tpot = abs(rng.gauss(19, 1.6)) * slow + (12 if rng.random() < 0.03 else 0)
    decode = tpot * (output - 1)
    end = begin + prefill + decode
    free[slot] = end
    r = {"id": f"epoch-{104 + i % 128}-{i:04d}", "status": "succeeded", "arrivalMs": round(clock, 3),
         "queueMs": round(begin - clock, 3), "prefillMs": round(prefill, 3), "decodeMs": round(decode, 3),
         "totalMs": round(end - clock, 3), "ttftMs": round(begin - clock + prefill, 3), "tpotMs": round(tpot, 4),
         "promptTokens": prompt, "outputTokens": output}
    if rng.random() < 0.009:
        r = {"id": r["id"], "status": "failed", "arrivalMs": r["arrivalMs"], "totalMs": r["totalMs"],
             "error": "prompt of 2113 tokens does not fit the context of 2048"}
    requests.append(r)
wall = max(r["arrivalMs"] + r["totalMs"] for r in requests) / 1000
stages = [
    {"index": 0, "layers": "embedding, 0–9", "threads": 1, "utilization": 0.864, "cpuSeconds": 51.2,
     "residentBytes": 41_300_000, "peakBytes": 118_400_000, "handedOverBytes": 210_763_776},
    {"index": 1, "layers": "10–20", "threads": 1, "utilization": 0.811, "cpuSeconds": 47.9,
     "residentBytes": 22_900_000, "peakBytes": 99_100_000, "handedOverBytes": 210_763_776},
    {"index": 2, "layers": "21–29, norm, head", "threads": 1, "utilization": 0.648, "cpuSeconds": 38.1,
     "residentBytes": 52_000_000, "peakBytes": 131_700_000}]
share = lambda k, n: {"low": max(0, k / n - 0.03), "high": min(1, k / n + 0.03), "confidence": 0.95}
print(json.dumps({
    "schema": {"name": "qubic-benchmark-results", "version": 1},
    "tool": {"name": "qbench", "version": "0.1.0", "commit": "424edcd0c5f2"},
    "startedAt": "2026-11-24T02:00:00Z", "wallSeconds": round(wall, 3),
    "machine": {"cpu": "Made-up Processor 9000 @ 2.80GHz", "architecture": "x86_64", "cores": 2,
                "memoryBytes": 25_200_000_000, "operatingSystem": "Debian GNU/Linux 12 (bookworm), Linux 6.1.0",
                "kernelSet": "avx2", "compiler": "Swift 6.3"},
    "model": {"name": "SmolLM2-135M-Instruct", "digest": "3f1c" * 16, "scheme": "int4, groups of 64, symmetric",
              "parameters": 134_515_008, "bytes": 116_200_000},
    "configuration": {"stages": 3, "threadsPerStage": 1, "batch": 16, "scenario": "server", "transport": "threads",
                      "seed": 42, "maxTokens": 48, "requestsPerSecond": 12.4, "warmupRequests": 16,
                      "dataset": {"path": "Datasets/recorded", "digest": "9ab2" * 16, "items": 128}},
    "requests": requests, "stages": stages,
    "quality": [
        {"name": "sentiment-agreement", "title": "Sentiment", "kind": "agreement", "value": 120 / 128, "count": 128,
         "interval": share(120, 128), "note": "int4 against fp32, same prompts"},
        {"name": "top1-agreement", "title": "Top-1 token", "kind": "agreement", "value": 0.962, "count": 8192,
         "interval": {"low": 0.9577, "high": 0.9659, "confidence": 0.95}, "note": "teacher-forced on fp32’s text"}],
    "observations": [{"name": "trace-completeness", "value": 1}, {"name": "machine-noise", "value": 0.013}],
    "targets": [], "notes": ["These results are made up, to look at a report."]}, ensure_ascii=False, indent=1))
