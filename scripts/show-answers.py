#!/usr/bin/env python3
"""Prints the first answer of each task and language in a results.jsonl, to be read: labels with their confidence, then the text.

    show-answers.py RESULTS
"""
import json
import sys

shown = set()
with open(sys.argv[1], encoding="utf-8") as results:
    for answer in map(json.loads, results):
        kind = answer["task"], answer["language"]
        if kind in shown:
            continue
        shown.add(kind)
        labels = ", ".join(f"{name} {choice['label']} {choice['confidence']:.2f}" for name, choice in answer["choices"].items())
        text = answer.get("analysis") or answer.get("answer")
        print("\n    ".join(filter(None, [answer["id"], labels, text])))
