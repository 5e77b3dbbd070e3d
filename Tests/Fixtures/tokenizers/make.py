#!/usr/bin/env python3
"""Small byte-level BPE tokenizers with the pipelines of the supported families, and what Hugging Face's `tokenizers`
makes of the tests' corpora.

    python3 make.py            writes <name>.json (the tokenizers) and goldens.json beside this file
    python3 make.py --check    makes them anew and compares: exit 1 on a difference

Made with tokenizers 0.23.3.
"""

import hashlib
import json
import sys
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).resolve().parent

CORPORA = {
    "english": "The Qubic network's 676 computors reached quorum; it isn't slow, they've said: we'll see, I'd bet. "
    "Don't STOP'LL—'tis 3.14159 of 1,000,000 (≈ one million)…",
    "traditional": "目前網路狀況如何？第 231 週期的刻度品質為 97.35%，活躍地址約 59.2 萬個，價格持平。",
    "simplified": "目前网络状况如何？第 231 周期的刻度质量为 97.35%，活跃地址约 59.2 万个，价格持平。",
    "japanese-korean": "ネットワークは正常です。네트워크는 정상입니다.",
    "code": "func f(_ x: [Int]) -> Int {\n\treturn x.map { $0 * 2 }.reduce(0, +)  // sum\n}\n\nif (a != b && c) { s += \"\\n\"; }\r\n#include <stdio.h>\r\n",
    "emoji": "👩‍👩‍👧‍👦 👍🏽 🇹🇼 ❤️‍🔥 1️⃣ \U0001FAE8 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "combining": "e\u0301 a\u0323\u0302 ṩ s\u0323\u0307 \u1100\u1161\u11a8 각 Å \u212b ﬁ Ω \u2126 q\u0307\u0323",
    "right-to-left": "שלום עולם، مرحبا بالعالم ١٢٣ \u202eabc\u202c",
    "control": "a\x00b\x01\x02\x7f\x1b[31mred\x1b[0m\u0085\u2028\u2029\ufeff\u200b\u00ad",
    "whitespace": "  two   three    four\n\n\nlines \n \n\t\ttabs \u00a0nbsp\u3000wide \u2003em  \r\n\r\nend   ",
    "numbers": "0 1 12 123 1234 12345 123456 3.14 1,234,567 0x1F 1e-5 ²³ ½ Ⅷ ٣٤ ७८९ 第12345號",
    "special": "<|im_start|>user\nhi<|im_end|>\n<|im_start|> assistant<s>x</s>< s><mark> a <mark>b<mark>  c marker <WORD> x<WORD>y",
    "empty": "",
    "space": " ",
    "newline": "\n",
}

GPT2 = None  # ByteLevel's own
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_level(**options):
    return pre_tokenizers.ByteLevel(**({"add_prefix_space": False, "use_regex": False} | options))


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


PIPELINES = {
    # gpt2: ByteLevel with its own regex, and a space before the text
    "gpt2": (None, byte_level(add_prefix_space=True, use_regex=True)),
    "llama3": (None, pre_tokenizers.Sequence([split(LLAMA3), byte_level()])),
    "qwen2": (normalizers.NFC(), pre_tokenizers.Sequence([split(QWEN2), byte_level()])),
    # DeepSeek-R1-Distill-Qwen's: numbers by three, CJK runs, then the rest
    "deepseek": (normalizers.Sequence([]), pre_tokenizers.Sequence([
        split(r"\p{N}{1,3}"), split(r"[一-龥぀-ゟ゠-ヿ]+"),
        split(r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"),
        byte_level()])),
    # SmolLM2's: every digit alone, then ByteLevel's regex
    "smollm": (None, pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(use_regex=True)])),
    "digits": (normalizers.NFC(), pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=False), byte_level()])),
    # The behaviours of Split, none of them a family's
    "split-removed": (None, pre_tokenizers.Sequence([split(r"\s+", "removed"), byte_level()])),
    "split-previous": (None, pre_tokenizers.Sequence([split(r"[.,;、，。]", "merged_with_previous"), byte_level()])),
    "split-next": (None, pre_tokenizers.Sequence([split(r" ", "merged_with_next"), byte_level()])),
    "split-contiguous": (None, pre_tokenizers.Sequence([split(r"\p{N}", "contiguous"), byte_level()])),
    "split-inverted": (None, pre_tokenizers.Sequence([split(r"[\p{L}\p{N}_]+|[^\p{L}\p{N}_\s]+", "removed", True), byte_level()])),
}

# Which of them begin a text with <s>, or end it with </s>.
AFFIXES = {"llama3": "<s> $A", "deepseek": "<s> $A", "split-next": "<s> $A </s>"}
FULL = ["gpt2", "llama3", "qwen2", "deepseek", "smollm"]


def make(name):
    normalizer, pre_tokenizer = PIPELINES[name]
    tokenizer = Tokenizer(models.BPE(ignore_merges=name == "llama3"))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700 if name in FULL else 420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
        special_tokens=["<s>", "</s>", "<|im_start|>", "<|im_end|>"])
    tokenizer.train_from_iterator([CORPORA[c] for c in sorted(CORPORA) for _ in range(3)], trainer)
    tokenizer.add_tokens([
        AddedToken("<mark>", lstrip=True, rstrip=name != "qwen2", normalized=False),
        AddedToken("marker", single_word=True, normalized=True), AddedToken("<WORD>", single_word=True, normalized=False),
        AddedToken("ṩ", normalized=True)])
    if name in AFFIXES:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=AFFIXES[name], pair="$A $B", special_tokens=[("<s>", 0), ("</s>", 1)])
    text = json.loads(tokenizer.to_str())
    if name in ("gpt2", "split-removed"):  # the older spelling
        text["model"]["merges"] = [" ".join(pair) for pair in text["model"]["merges"]]
    return json.dumps(text, ensure_ascii=False, separators=(",", ":"))


def random_text():
    """100 kB of random bytes, decoded as UTF-8 with replacements; half of them from a few that make words and characters.
    TokenizerTests.swift makes the same."""
    some, data, state = b" abcdef\n0123456789\xe4\xbd\xa0\xe5\xa5\xbd", bytearray(), 1
    for _ in range(100_000):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        draw = state >> 33
        data.append(draw >> 8 & 255 if draw & 1 else some[(draw >> 8) % len(some)])
    return data.decode("utf-8", "replace")


def digest(ids):
    return hashlib.sha256(b"".join(i.to_bytes(4, "little") for i in ids)).hexdigest()


def goldens(files):
    noise = random_text()
    result = {"corpora": CORPORA, "tokenizers": {}}
    for name, text in files.items():
        tokenizer = Tokenizer.from_str(text)
        texts = {}
        for corpus, content in CORPORA.items():
            ids = tokenizer.encode(content).ids
            texts[corpus] = {
                "ids": ids, "bare": len(tokenizer.encode(content, add_special_tokens=False).ids),
                "text": tokenizer.decode(ids, skip_special_tokens=True), "all": tokenizer.decode(ids, skip_special_tokens=False)}
        ids = tokenizer.encode(noise).ids
        result["tokenizers"][name] = {
            "size": max(tokenizer.get_vocab().values()) + 1, "texts": texts, "noise": digest(ids), "noiseCount": len(ids),
            "noiseText": hashlib.sha256(tokenizer.decode(ids).encode()).hexdigest()}
    return json.dumps(result, ensure_ascii=False, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    made = {f"{name}.json": make(name) for name in PIPELINES}
    made["goldens.json"] = goldens({name.removesuffix(".json"): text for name, text in made.items()})
    if sys.argv[1:] == ["--check"]:
        wrong = [n for n, text in made.items() if (HERE / n).read_bytes() != text.encode()]
        sys.exit(f"differ: {wrong}" if wrong else 0)
    for name, text in made.items():
        (HERE / name).write_bytes(text.encode())
