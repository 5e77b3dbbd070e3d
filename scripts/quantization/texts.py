#!/usr/bin/env python3
"""Texts to calibrate quantization with and to judge it by, which do not overlap.

    texts.py english OUTPUT                              OUTPUT/{train,calibration,held-out}.txt
    texts.py network QINFER SET OUTPUT                   the same for the embedded model

English is what every Debian system with Python holds: the licences and copyright files under /usr/share and the documentation
strings of Python's library; a twentieth is held out, and what is calibrated with is the first of what train_english.py trains
on. The network's are labelled requests of SET (`make synthetic`) with
their answers, in the model's chat template: the calibration split's to calibrate with, the test split's held out.
"""
import ast
import pathlib
import random
import subprocess
import sys
import sysconfig

LIMIT = 12_000_000  # characters
ROOT = pathlib.Path(__file__).resolve().parents[2]


def texts_at_hand():
    """Each text once, in a fixed order."""
    seen = set()
    found = sorted(pathlib.Path("/usr/share/common-licenses").glob("*")) + sorted(pathlib.Path("/usr/share/doc").glob("*/copyright"))
    for path in found:
        text = path.read_text(errors="ignore")
        if text[:2000] not in seen:
            seen.add(text[:2000])
            yield text
    for path in sorted(pathlib.Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        try:
            tree = ast.parse(path.read_text(errors="ignore"))
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and (text := ast.get_docstring(node)):
                if len(text) > 200:
                    yield text


def english(output):
    parts, size = [], 0
    for text in texts_at_hand():
        parts.append(text)
        size += len(text)
        if size > LIMIT:
            break
    random.Random(1).shuffle(parts)
    cut = len(parts) * 19 // 20
    train = "\n\n".join(parts[:cut])
    (output / "held-out.txt").write_text("\n\n".join(parts[cut:]))
    (output / "calibration.txt").write_text(train[:600_000])
    (output / "train.txt").write_text(train)


def network(output, qinfer, labelled):
    sys.path.insert(0, str(ROOT / "Datasets/training"))
    from dataset import example, read
    for split, name in (("calibration", "calibration.txt"), ("test", "held-out.txt")):
        requests = f"{labelled}/requests.{split}.jsonl"
        rendered = output / f"{split}.rendered.jsonl"
        with open(rendered, "w") as file:
            subprocess.run([qinfer, "render", "--prompts", ROOT / "Datasets/training/prompts", "--snapshots", requests], stdout=file, check=True)
        rand = random.Random(1)
        pairs = [example(row, truth, rand, augment=False) for row, truth in read(rendered, requests.replace(".jsonl", ".labels.jsonl"))]
        (output / name).write_text("".join(prompt + answer + "\n" for prompt, answer in pairs[:600]))
        rendered.unlink()


if __name__ == "__main__":
    kind, output = sys.argv[1], pathlib.Path(sys.argv[-1])
    output.mkdir(parents=True, exist_ok=True)
    english(output) if kind == "english" else network(output, *sys.argv[2:-1])
