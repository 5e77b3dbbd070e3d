#!/usr/bin/env python3
"""A byte-level BPE over the training texts: digits alone; a prompt line's name, the word for a number's range and a slot may
each be one token though they are several words, which makes prompts a third shorter. All else is cut into words, so that news
and questions in other words than the training's still are words.

    train_tokenizer.py FOLDER RENDERED LABELS [--vocabulary 5120]
"""
import argparse
import json
import pathlib
import random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from dataset import TEMPLATE, example, read
from make_prompts import CHOICES

# What is cut out whole: a slot, the name of a line, what ends it (unit and word); else words and digits.
WHOLE = [r" ?\[[^\[\]\n]+\]", r"(?<=\n)[\p{L}\p{N}' %]+[:：]", r"(?:(?<=\p{N})(?: [\p{L}%]+){1,2})?[,，][\p{L} ]*\p{L}(?![^\n])"]
WORDS = [r"'(?:[sdmt]|ll|ve|re)", r" ?\p{L}+", r" ?\p{N}", r"[,，]", r" ?[^\s\p{L}\p{N},，]+", r"\s+(?!\S)", r"\s+"]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("rendered")
    options.add_argument("labels")
    options.add_argument("--vocabulary", type=int, default=5120)
    given = options.parse_args()
    rand = random.Random(0)

    def texts():
        for row, truth in read(given.rendered, given.labels):
            prompt, answer = example(row, truth, rand, augment=False)
            yield prompt + answer
        for choices in CHOICES.values():
            for _, _, chinese, english in choices:
                for label in chinese + english:
                    yield from ["\n" + label + "\n"] * 50

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex("|".join(WHOLE + WORDS)), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts(), trainers.BpeTrainer(
        vocab_size=given.vocabulary, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    given.folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(given.folder / "tokenizer.json"))
    special = lambda text: {"content": text, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    (given.folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "bos_token": None,
        "added_tokens_decoder": {str(i): special(text) for i, text in enumerate(SPECIAL)},
        "model_max_length": 1024, "clean_up_tokenization_spaces": False, "chat_template": TEMPLATE,
    }, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
