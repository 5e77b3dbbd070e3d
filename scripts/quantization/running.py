"""How far llama.cpp's logits are from the full model's, as both run: activations rounded to int8 by llama.cpp as by us.

    reference = running.logits_of_transformers(MODEL, TEXT, tokens, FILE)      once a model, in fp32, kept in FILE
    running.compare(GGUF, reference) -> {"kl_mean": …, "same_top1": …} as `qquant compare --json` says them

Windows, the positions that count and the block bootstrap are those of `qquant compare`, so that the figures stand in one
table; the code is not, so that they check each other.
"""

import sys
from typing import NamedTuple

import llama_cpp as L
import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

WINDOW, RUN, DRAWS = 256, 32, 200


class Reference(NamedTuple):
    windows: np.ndarray  # [windows, WINDOW] token ids
    logits: np.ndarray  # [windows, WINDOW - 1, vocabulary]


def logits_of_transformers(model, text, tokens, file):
    ids = Tokenizer.from_file(f"{model}/tokenizer.json").encode(
        open(text, encoding="utf-8").read(), add_special_tokens=False).ids[:tokens]
    windows = np.array(ids[:len(ids) // WINDOW * WINDOW], np.int32).reshape(-1, WINDOW)
    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    logits = np.memmap(file, np.float32, "w+", shape=(len(windows), WINDOW - 1, network.config.vocab_size))
    with torch.no_grad():
        for index, window in enumerate(windows):
            logits[index] = network(torch.tensor(window[None].astype(np.int64))).logits[0, :-1].numpy()
    return Reference(windows, logits)


def compare(path, reference):
    divergences, same = [], []
    for window, expected, got in zip(reference.windows, reference.logits, logits_of_llama(path, reference.windows)):
        p, q = (torch.log_softmax(torch.from_numpy(np.asarray(x)).double(), dim=-1) for x in (expected, got))
        divergences.append((p.exp() * (p - q)).sum(-1).numpy())
        same.append((p.argmax(-1) == q.argmax(-1)).double().numpy())
    return {"kl_mean": estimate(np.concatenate(divergences)), "same_top1": estimate(np.concatenate(same))}


def logits_of_llama(path, windows):
    """[WINDOW - 1, vocabulary] of each window, which starts without a past."""
    model = L.llama_model_load_from_file(path.encode(), L.llama_model_default_params())
    if not model:
        sys.exit(f"llama.cpp cannot load {path}")
    vocabulary = L.llama_vocab_n_tokens(L.llama_model_get_vocab(model))
    parameters = L.llama_context_default_params()
    parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = WINDOW
    context = L.llama_init_from_model(model, parameters)
    batch = L.llama_batch_init(WINDOW, 0, 1)
    try:
        for window in windows:
            L.llama_memory_clear(L.llama_get_memory(context), True)
            batch.n_tokens = WINDOW
            for position, token in enumerate(window):
                batch.token[position] = int(token)
                batch.pos[position] = position
                batch.n_seq_id[position] = 1
                batch.seq_id[position][0] = 0
                batch.logits[position] = True
            if L.llama_decode(context, batch) != 0:
                sys.exit(f"llama.cpp cannot run {path}")
            rows = np.ctypeslib.as_array(L.llama_get_logits(context), shape=(WINDOW, vocabulary))
            yield rows[:-1].copy()
    finally:
        L.llama_batch_free(batch)
        L.llama_free(context)
        L.llama_model_free(model)


def estimate(values):
    """The mean, and its standard error by a bootstrap of runs of neighbouring tokens."""
    random = np.random.default_rng(1)
    runs = len(values) // RUN
    means = [values[(random.integers(0, len(values) - RUN + 1, runs)[:, None] + np.arange(RUN)).ravel()].mean()
             for _ in range(DRAWS)]
    return {"value": values.mean(), "standard_error": np.std(means, ddof=1) if runs >= 4 else None}
