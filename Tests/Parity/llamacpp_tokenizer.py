#!/usr/bin/env python3
"""Tokens of an imported model (`qinfer tokenize`) against llama.cpp's own of the GGUF file that it was imported from.

    python3 llamacpp_tokenizer.py path/to/qinfer FILE.gguf MODEL

Needs llama-cpp-python. llama.cpp knows no normalization, so for a model that asks for NFC its input is normalized
first. Exit 1 on a difference.
"""

import json
import os
import subprocess
import sys
import tempfile
import unicodedata

import llama_cpp

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "Fixtures", "gguf"))
from texts import TEXTS, random_text  # noqa: E402


def ours(qinfer, model, text):
    with tempfile.NamedTemporaryFile("wb", suffix=".txt") as file:
        file.write(text.encode())
        file.flush()
        command = [qinfer, "tokenize", model, "--file", file.name, "--no-special", "--json"]
        answer = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return answer["tokens"], answer["text"]


def main(qinfer, gguf, model):
    texts = dict(TEXTS)
    with open(os.path.join(HERE, "..", "..", "README.md"), encoding="utf-8") as file:
        texts["readme"] = file.read()
    texts["random"] = random_text(20_000)
    texts["special"] = "<|im_start|>system\nYou are <|im_end|> a <|endoftext|>test<|im_start|>"
    with open(os.path.join(model, "tokenizer.json"), encoding="utf-8") as file:
        normalizer = json.load(file)["normalizer"]
    llama = llama_cpp.Llama(gguf, vocab_only=True, verbose=False)
    wrong = total = 0
    for name, text in texts.items():
        if normalizer == {"type": "NFC"}:
            text = unicodedata.normalize("NFC", text)
        theirs = llama.tokenize(text.encode(), add_bos=False, special=True)
        tokens, decoded = ours(qinfer, model, text)
        total += len(tokens)
        problems = []
        if tokens != theirs:
            first = next((i for i, (a, b) in enumerate(zip(tokens, theirs)) if a != b), min(len(tokens), len(theirs)))
            around = slice(max(0, first - 3), first + 5)
            problems.append(f"token {first}: ours {tokens[around]}, llama.cpp {theirs[around]}")
            problems.append(f"before it: {llama.detokenize(theirs[:first])[-40:]!r}")
        # Not `text` itself: SmolLM2's vocabulary lacks some bytes, which both drop.
        if decoded != llama.detokenize(theirs, special=True).decode(errors="replace"):
            problems.append("the tokens decoded are another text")
        wrong += bool(problems)
        print(f"{name}: {'equal' if not problems else 'DIFFERENT'}, {len(tokens)} tokens", *problems, sep="\n  ")
    print(f"{len(texts) - wrong} of {len(texts)} texts equal, {total} tokens")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
