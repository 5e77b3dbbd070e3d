#!/usr/bin/env python3
"""Sets our quantization methods beside llama.cpp's, by one ruler: `qquant compare`.

    python3 report.py QQUANT REPORT.md TOKENS NAME=MODEL=TEXT=CALIBRATION[=TOKENS]…

For each MODEL (a full checkpoint) and each method in METHODS and PEERS: bits per weight, KL, top-1, perplexity, size,
time. llama.cpp's files are made by its own llama_model_quantize from an F16 file, with and without an importance matrix of
the same calibration text (imatrix.py). All are judged twice: by their weights alone, in fp32, and as they run, with int8
activations: ours by `qquant compare`, llama.cpp's by its own logits (running.py). QUANTIZATION_METHODS, lines of "NAME | arguments of qquant quantize", replaces METHODS; {Q4_0}, {Q4_K_M}
and {Q8_0} stand for the bits per weight of llama.cpp's files, {C} for the calibration's arguments. TEXT and CALIBRATION
must not overlap. Sensitivities are measured once a model. Sections of other models that REPORT.md has already stay.

Prose comes from notes.md beside this script: what stands there under "## MODEL" goes into the model's section, what stands
under "# TITLE" to the end. What the figures come to beside the targets is said by this script.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "peers"))
try:
    import llama_cpp as L
    import imatrix
    import running
    import to_gguf
except ImportError:
    # Then Q8_0 and Q4_0 are what `qquant export` makes of the full model, rounded as ggml does, and there is no Q4_K_M.
    L = None

METHODS = [
    ("int8 g32, rtn", "--bits 8 --group-size 32 --embedding int8:g32 {HEAD8}"),
    ("int8 g32, mse", "--bits 8 --group-size 32 --embedding int8:g32 {HEAD8} --method mse"),
    ("int8 g32, gptq", "--bits 8 --group-size 32 --embedding int8:g32 {HEAD8} --method gptq {C}"),
    ("int8 g32, gptq, compensated",
     "--bits 8 --group-size 32 --embedding int8:g32 {HEAD8} --method gptq --compensation 0.5 {C}"),
    ("int8 g32, gptq, compensated, embedding and head kept", "--bits 8 --group-size 32 --method gptq --compensation 0.5 {C}"),
    ("int8 g32, gptq, compensated, 32768 tokens, embedding and head kept",
     "--bits 8 --group-size 32 --method gptq --compensation 0.5 --calibration-tokens 32768 {C}"),
    ("int4 g128, rtn", "--bits 4 --group-size 128 --embedding int8:g32 {HEAD8}"),
    ("int4 g128, mse", "--bits 4 --group-size 128 --embedding int8:g32 {HEAD8} --method mse"),
    ("int4 g128, gptq", "--bits 4 --group-size 128 --embedding int8:g32 {HEAD8} --method gptq {C}"),
    ("int4 g64, rtn", "--bits 4 --group-size 64 --embedding int8:g32 {HEAD8}"),
    ("int4 g64, mse", "--bits 4 --group-size 64 --embedding int8:g32 {HEAD8} --method mse"),
    ("int4 g64, imatrix", "--bits 4 --group-size 64 --embedding int8:g32 {HEAD8} --method imatrix {C}"),
    ("int4 g64, awq", "--bits 4 --group-size 64 --embedding int8:g32 {HEAD8} --method awq {C}"),
    ("int4 g64, gptq", "--bits 4 --group-size 64 --embedding int8:g32 {HEAD8} --method gptq {C}"),
    ("int4 g64, gptq, compensated",
     "--bits 4 --group-size 64 --embedding int8:g32 {HEAD8} --method gptq --compensation 0.5 {C}"),
    ("int4 g64, gptq, compensated, int8 activations seen",
     "--bits 4 --group-size 64 --embedding int8:g32 {HEAD8} --method gptq --compensation 0.5 --activations int8 {C}"),
    ("int4 g64, awq+gptq", "--bits 4 --group-size 64 --embedding int8:g32 {HEAD8} --method gptq --smooth {C}"),
    ("int4 g32, gptq", "--bits 4 --group-size 32 --embedding int8:g32 {HEAD8} --method gptq {C}"),
    ("mixed at Q4_0's bits, gptq", "--target-bpw {Q4_0} --method gptq {C} {S}"),
    ("mixed at Q4_K_M's bits, gptq", "--target-bpw {Q4_K_M} --method gptq {C} {S}"),
    ("mixed at Q4_K_M's bits, gptq, compensated", "--target-bpw {Q4_K_M} --method gptq --compensation 0.5 {C} {S}"),
]
PEERS = (["llama.cpp Q8_0", "llama.cpp Q4_0", "llama.cpp Q4_0, imatrix", "llama.cpp Q4_K_M", "llama.cpp Q4_K_M, imatrix"]
         if L else ["Q8_0 by qquant export", "Q4_0 by qquant export"])


NOTES = Path(__file__).resolve().parent / "notes.md"


def notes():
    """{heading with its #s: paragraphs} of notes.md."""
    found, lines = {}, []
    for line in NOTES.read_text().splitlines() if NOTES.exists() else []:
        if line.startswith(("# ", "## ")):
            lines = found.setdefault(line.strip(), [])
        else:
            lines.append(line)
    return {heading: "\n".join(lines).strip() for heading, lines in found.items()}


def marked(text):
    return ["<!-- notes.md -->", "", text, "", "<!-- end of notes.md -->", ""] if text else []


def methods():
    lines = os.environ.get("QUANTIZATION_METHODS", "").strip()
    return [tuple(part.strip() for part in line.split("|", 1)) for line in lines.splitlines()] or METHODS


def compare(qquant, model, candidate, text, tokens, *flags):
    command = [qquant, "compare", model, candidate, "--text", text, "--tokens", tokens, "--json", *flags]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def type_of(title):
    """Q4_K_M of "llama.cpp Q4_K_M, imatrix" and "Q4_0 by qquant export"."""
    return next(word.strip(",") for word in title.split() if word.startswith("Q"))


def llama_quantize(source, target, title, matrix):
    parameters = L.llama_model_quantize_default_params()
    parameters.ftype = getattr(L, "LLAMA_FTYPE_MOSTLY_" + type_of(title))
    if title.endswith("imatrix"):
        # What the array points to lives until the call returns.
        parameters.imatrix, kept = imatrix.as_parameter(matrix)
    if L.llama_model_quantize(source.encode(), target.encode(), parameters) != 0:
        sys.exit(f"llama.cpp cannot quantize {source}")


class Row(NamedTuple):
    name: str
    alone: dict
    seconds: float
    as_run: dict | None

    def kl(self):
        return self.alone["kl_mean"]["value"]

    def markdown(self):
        alone, run = self.alone, self.as_run
        cells = [self.name, f"{alone['bits_per_weight']:.2f}", f"{alone['tensor_bytes'] / 1e6:.1f}", f"{self.seconds:.1f}",
                 shown(alone["kl_mean"], digits=6), f"{alone['kl_p99']['value']:.4f}", shown(alone["same_top1"], 100, 2),
                 shown(alone["candidate_perplexity"], digits=3), shown(alone["ln_ratio"], digits=4),
                 shown(run["kl_mean"], digits=6) if run else "", shown(run["same_top1"], 100, 2) if run else ""]
        return "| " + " | ".join(cells) + " |"


def shown(figure, scale=1, digits=4):
    error = figure["standard_error"]
    return f"{scale * figure['value']:.{digits}f}" + (f" ± {scale * error:.{digits}f}" if error is not None else "")


# What is aimed at: ours, the peer, and how much of its mean KL ours may have.
TARGETS = [
    ("int4 g64, gptq", "llama.cpp Q4_0", 0.8),
    ("mixed at Q4_0's bits, gptq", "llama.cpp Q4_0", 0.8),
    ("mixed at Q4_0's bits, gptq", "llama.cpp Q4_0, imatrix", None),
    ("mixed at Q4_K_M's bits, gptq", "llama.cpp Q4_K_M", 1.0),
    ("mixed at Q4_K_M's bits, gptq, compensated", "llama.cpp Q4_K_M, imatrix", None),
    ("int8 g32, gptq, compensated", "llama.cpp Q8_0", 1.0),
    ("int4 g64, mse", "int4 g64, rtn", 1.0),
    ("int4 g64, gptq", "int4 g64, mse", 1.0),
]
TOP = ["int8 g32, gptq, compensated", "int8 g32, gptq, compensated, embedding and head kept",
       "int8 g32, gptq, compensated, 32768 tokens, embedding and head kept", "llama.cpp Q8_0"]


def verdicts(rows):
    """A line for each target whose rows are there, and one for int8's tokens."""
    named, lines = {row.name: row for row in rows}, []
    for ours, peer, most in TARGETS:
        if ours in named and peer in named:
            ratio = named[ours].kl() / named[peer].kl()
            bits = [named[name].alone["bits_per_weight"] for name in (ours, peer)]
            met = "" if most is None else f", at most {most} aimed at: {'met' if ratio <= most else '**missed**'}"
            if most is not None and bits[0] > bits[1] + 0.005:
                met = ", at more bits: not counted"
            lines.append(
                f"- *{ours}* ({bits[0]:.2f} bits) has {ratio:.2f} of the mean KL of *{peer}* ({bits[1]:.2f} bits){met}.")
    tops = [f"{shown(named[name].alone['same_top1'], 100, 2)} % in *{name}* ({named[name].alone['bits_per_weight']:.2f} bits)"
            for name in TOP if name in named]
    return lines + (["- Same top-1 (99.5 % aimed at): " + "; ".join(tops) + "."] if tops else [])


def arguments(text, model, calibration, bits, folder):
    """What stands for {…}. An untied head is quantized like the embedding; a tied one is the embedding."""
    tied = json.loads((Path(model) / "config.json").read_text()).get("tie_word_embeddings", False)
    return text.format(
        C=f"--calibration {calibration}", S=f"--sensitivities {folder}/sensitivities.json",
        HEAD8="" if tied else "--quantize-head --override lm_head=int8:g32", **bits).split()


def section(qquant, tokens, name, model, text, calibration):
    rows, peers, refused, bits = [], [], [], {}
    with tempfile.TemporaryDirectory() as folder:
        full = os.path.join(folder, "f16.gguf")
        if L:
            to_gguf.main(model, full, "F16")
            matrix = imatrix.measure(model, calibration)
            reference = running.logits_of_transformers(model, text, int(tokens), os.path.join(folder, "logits"))
        for title in PEERS:
            target = os.path.join(folder, "peer.gguf")
            began = time.time()
            if L:
                llama_quantize(full, target, title, matrix)
            else:
                subprocess.run([qquant, "export", model, target, "--gguf", type_of(title), "--force"], check=True, capture_output=True)
            seconds = time.time() - began
            result = compare(qquant, model, target, text, tokens)
            # Rounded down: at equal or fewer bits.
            bits.setdefault(type_of(title), int(result["bits_per_weight"] * 1000) / 1000)
            peers.append(Row(title, result, seconds, running.compare(target, reference) if L else None))
            print(peers[-1].markdown(), file=sys.stderr, flush=True)
        for title, flags in methods():
            if any(f"{{{name}}}" in flags for name in ("Q4_0", "Q4_K_M", "Q8_0") if name not in bits):
                continue
            target = os.path.join(folder, "model")
            began = time.time()
            made = subprocess.run(
                [qquant, "quantize", model, "--output", target, "--force",
                 *arguments(flags, model, calibration, bits, folder)], capture_output=True, text=True)
            if made.returncode != 0:
                # Of "error: PLACE: problem: every layer" the problem.
                problem = (made.stderr.strip().splitlines() or ["killed"])[-1].split(": ", 2)[-1].split(":")[0]
                refused.append(f"- *{title}* is refused: {problem}.")
                print(refused[-1], file=sys.stderr, flush=True)
                continue
            seconds = time.time() - began
            alone = compare(qquant, model, target, text, tokens, "--compute", "fp32")
            rows.append(Row(title, alone, seconds, compare(qquant, model, target, text, tokens)))
            print(rows[-1].markdown(), file=sys.stderr, flush=True)
        rows += peers
        one = compare(qquant, model, model, text, "512")
    head = ["method", "bits/weight", "MB", "s", "KL mean", "KL p99", "top-1, %", "perplexity", "ln ratio",
            "KL as it runs", "top-1 as it runs, %"]
    return [f"## {name}", "", *marked(notes().get(f"## {name}")),
            f"Text: {os.path.basename(text)}, {rows[0].alone['tokens']} tokens predicted in windows of 256; "
            f"perplexity of the full model {rows[0].alone['reference_perplexity']['value']:.3f}, "
            f"of itself against itself KL {one['kl_mean']['value']:.0e}.", "",
            "| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *(row.markdown() for row in rows), "",
            *verdicts(rows), *refused, ""]


def main(qquant, report, tokens, models):
    if L:
        quiet = L.llama_log_callback(lambda *_: None)
        L.llama_log_set(quiet, None)
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    lines = [
        "# Quantization", "",
        f"Made by `make quantization-report` on {platform.machine()}, {cpu}, {os.cpu_count()} cores. "
        "Every figure is from `qquant compare`, ± its standard error (block bootstrap, runs of 32 tokens).", "",
        "Bits per weight are over all tensors, embedding and head included; a tied embedding counts once. Embedding: as the "
        "method column says, else int8 g32 in ours (a budget chooses it) and llama.cpp's own choice in its. *KL*, *top-1*, "
        "*perplexity* are of the weights alone, in fp32, for all alike; *as it runs* is with int8 activations: in ours by the "
        "runtime, whose head is int8 too, in llama.cpp's by llama.cpp, against transformers' logits. *imatrix*: with an "
        "importance matrix of the same calibration text, which transformers measured; its time is not counted. *s* is the "
        "time to quantize.", "",
    ]
    ends = {heading: [f"#{heading}", "", *marked(text)] for heading, text in notes().items() if heading.startswith("# ")}
    sections = sections_of(report)
    for spec in models:
        name, model, text, calibration, *fewer = spec.split("=")
        sections[name] = section(qquant, fewer[0] if fewer else tokens, name, model, text, calibration)
        # An hour's work is not lost with the next model's.
        Path(report).write_text("\n".join(lines + sum(sections.values(), []) + sum(ends.values(), [])))


def sections_of(report):
    """{model: lines} of the report that is there: what is not measured anew stays."""
    sections, lines = {}, []
    for line in Path(report).read_text().splitlines() if Path(report).exists() else []:
        if line.startswith("## "):
            lines = sections.setdefault(line[3:], [])
        lines.append(line)
    return {name: lines for name, lines in sections.items() if "# " + name not in notes()}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
