"""Sets qbench engine beside llama.cpp and OpenVINO, interleaved, on the same weights and threads; writes Reports/peers.md.

    python3 peers.py MODEL… [--rounds 5] [--threads 2]     (make peers builds what this needs)

Each round runs the engines once, each after a warm-up of its own, in turns; the ratio is taken round by round, and
its median is what counts: whatever else the machine does, it does to all.
"""

import argparse
import json
import statistics
import subprocess
import sys
import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TARGETS = {  # issue: medians of ratios against llama.cpp, two threads
    ("int8", "prefill 512"): 2.5, ("int4", "prefill 512"): 2.2,
    ("int8", "decode"): {"small": 1.6, "1.5B": 1.35}, ("int4", "decode"): {"small": 1.6, "1.5B": 1.4},
    ("int8", "decode ×16"): 2.5, ("int4", "decode ×16"): 2.5,
}
PAIRS = [("int8", "8", "Q8_0"), ("int4", "4", "Q4_0")]


def call(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


def quantized(model, bits, cache):
    out = cache / f"{model.name}-int{bits}-g64"
    if not (out / "config.json").exists():
        call(ROOT / ".build/release/qquant", "quantize", model, "--output", out, "--bits", bits, "--group-size", "64")
    return out


def converted(model, kind, cache):
    out = cache / f"{model.name}.{kind}.gguf"
    if not out.exists():
        part = out.with_suffix(".part")
        call(sys.executable, Path(__file__).with_name("to_gguf.py"), model, part, kind)
        part.rename(out)
    return out


def ours(model, threads, prefill, decode, batches):
    figures = json.loads(call(
        ROOT / ".build/release/qbench", "engine", model, "--stages", 1, "--threads", threads, "--prefill", prefill,
        "--decode", decode, "--batch", batches, "--repetitions", 1, "--json"))
    result = {row["name"]: row["seconds"][0] for row in figures["rows"]}
    return figures, result | {"load": figures["loadSeconds"], "memory": figures["peakMemoryBytes"]}


def peer(script, path, threads, prefill, decode, batches):
    return json.loads(call(sys.executable, Path(__file__).with_name(script), path, threads, prefill, decode, batches))


def for_openvino(model, kind, cache):
    """A GGUF file with its tokenizer within, as OpenVINO wants it; None where the model has none."""
    if not (model / "tokenizer.json").exists():
        return None
    out = cache / f"{model.name}.tokenizer.{kind}.gguf"
    if not out.exists():
        call(ROOT / ".build/release/qquant", "export", model, out, "--gguf", kind)
    return out


def tokens(name, prefill, decode):
    if name.startswith("prefill"):
        return prefill
    return (decode - 1) * (int(name.split("×")[1]) if "×" in name else 1)


def measure(model, arguments, lines):
    config = json.loads((model / "config.json").read_text())
    size = "1.5B" if config["hidden_size"] >= 1024 else "small"
    prefill, decode = arguments.prefill, arguments.decode
    sizes = (arguments.threads, prefill, decode, arguments.batches)
    for label, bits, kind in PAIRS:
        mine, other = quantized(model, bits, arguments.cache), converted(model, kind, arguments.cache)
        third = for_openvino(model, kind, arguments.cache)
        rounds = []
        for number in range(arguments.rounds):
            print(f"{model.name} {label}: round {number + 1} of {arguments.rounds}", file=sys.stderr)
            figures, a = ours(mine, *sizes)
            openvino = peer("openvino_peer.py", third, *sizes) if third else None
            rounds.append((a, peer("llamacpp.py", other, *sizes), figures, openvino))
        figures = rounds[-1][2]
        lines += [
            f"## {model.name}, {label} (group 64) against {kind}", "",
            f"Kernels {figures['machine']['kernelSet']}; int8 peak of the machine "
            f"{figures['speed']['productsPerSecond'] / 1e9:.0f} GMAC/s, reads "
            f"{figures['speed']['readBytesPerSecond'] / 1e9:.1f} GB/s.", "",
            "| | ours | share of the machine | llama.cpp | ratio (rounds) | target |"
            + (" OpenVINO | ratio (rounds) |" if third else ""), "|---|---|---|---|---|---|" + ("---|---|" if third else "")]
        for name in [n for n in rounds[0][0] if n not in ("load", "memory")]:
            def column(i):
                speed = tokens(name, prefill, decode) / statistics.median(r[i][name] for r in rounds)
                ratios = [r[i][name] / r[0][name] for r in rounds]
                shown = f"{speed:.1f} tok/s | **{statistics.median(ratios):.2f}** ({min(ratios):.2f}–{max(ratios):.2f})"
                return statistics.median(ratios), shown

            target = TARGETS.get((label, name))
            target = target[size] if isinstance(target, dict) else target
            ratio, llama = column(1)
            speed = tokens(name, prefill, decode) / statistics.median(r[0][name] for r in rounds)
            verdict = "" if target is None else f"≥ {target} {'met' if ratio >= target else 'MISSED'}"
            rows = [next(r for r in f["rows"] if r["name"] == name) for _, _, f, _ in rounds]
            share = f"{100 * statistics.median(r['shareOfPeak'] for r in rows):.0f} % of peak"
            if not name.startswith("prefill"):
                share += f", {100 * statistics.median(r['shareOfBandwidth'] for r in rows):.0f} % of reading"
            lines.append(
                f"| {name} | {speed:.1f} tok/s | {share} | {llama} | {verdict} |"
                + (f" {column(3)[1]} |" if third else ""))
        for name, unit, scale in [("load", "s", 1), ("memory", "MB", 1e6)]:
            a, p, *o = (
                statistics.median(r[i][name] for r in rounds) / scale for i in ((0, 1, 3) if third else (0, 1)))
            line = f"| {name} | {a:.2f} {unit} | | {p:.2f} {unit} | {p / a:.2f} | |"
            lines.append(line + (f" {o[0]:.2f} {unit} | {o[0] / a:.2f} |" if third else ""))
        lines.append("")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prefill", type=int, default=512)
    parser.add_argument("--decode", type=int, default=128)
    parser.add_argument("--batches", default="1,4,8,16,32")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache/peers-models")
    parser.add_argument("--output", type=Path, default=ROOT / "Reports/peers.md")
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    import llama_cpp
    import openvino_genai

    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "?")
    lines = [
        "# Beside llama.cpp and OpenVINO", "",
        f"`make peers`, {datetime.date.today()}; {cpu}, {arguments.threads} threads, one stage; llama.cpp as "
        f"llama-cpp-python {llama_cpp.__version__} builds it natively; OpenVINO GenAI {openvino_genai.__version__} on the same kind of GGUF file, for models with a "
        f"tokenizer, which it wants within the file. The engines in turns, {arguments.rounds} rounds, each run after a "
        "warm-up; speeds are medians, the ratio is the median of the rounds' ratios. KV cache: ours fp32, llama.cpp's fp16, "
        "OpenVINO's 8 bits (their defaults). Memory is the process's peak, Python's share included in the others'. "
        "OpenVINO unpacks and compiles the model as it loads.", ""]
    for model in arguments.models:
        measure(model, arguments, lines)
    arguments.output.write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
