"""What llama.cpp calls an importance matrix: of each linear layer's inputs the mean square, column by column, as
transformers computes them in fp32 over a calibration text.

    imatrix.measure(MODEL, TEXT, tokens) -> {GGUF name of the weight: fp32 array}
    imatrix.as_parameter(that) -> what llama_model_quantize_params.imatrix takes, and what must outlive it
"""

import ctypes

import llama_cpp as L
import numpy as np
import to_gguf
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM
from transformers.utils import logging

WINDOW = 256
logging.disable_progress_bar()


def measure(model, text, tokens=8192):
    ids = Tokenizer.from_file(f"{model}/tokenizer.json").encode(
        open(text, encoding="utf-8").read(), add_special_tokens=False).ids[:tokens]
    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    sums, rows = {}, {}

    def hook(name):
        def add(_, inputs):
            x = inputs[0].reshape(-1, inputs[0].shape[-1]).double()
            sums[name] = sums.get(name, 0) + (x * x).sum(0)
            rows[name] = rows.get(name, 0) + x.shape[0]
        return add

    for name, module in network.named_modules():
        # As llama-imatrix does by default, the head is left out.
        if isinstance(module, torch.nn.Linear) and name.startswith("model.layers."):
            module.register_forward_pre_hook(hook(to_gguf.gguf_name(name + ".weight")))
    with torch.no_grad():
        for begin in range(0, len(ids) - 1, WINDOW):
            network.model(torch.tensor([ids[begin:begin + WINDOW]]))
    return {name: (total / rows[name]).float().numpy() for name, total in sums.items()}


def as_parameter(matrix):
    array = (L.llama_model_imatrix_data * (len(matrix) + 1))()
    kept = []
    for entry, (name, values) in zip(array, matrix.items()):
        values = np.ascontiguousarray(values, np.float32)
        kept.append((name.encode(), values))
        entry.name = kept[-1][0]
        entry.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        entry.size = len(values)
    return array, kept
