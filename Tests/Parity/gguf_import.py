#!/usr/bin/env python3
"""Proves `qquant import` by two other readers of GGUF: transformers' own conversion, and llama.cpp.

    python3 gguf_import.py path/to/qquant [FILE.gguf…]

Without files, those of Tests/Fixtures/gguf. For each, imported in fp32:
1. transformers loads the directory: model, generation settings and tokenizer.
2. Every weight equals, bit for bit, what transformers' own GGUF conversion makes of the file.
3. Its logits point where llama.cpp's do (cosine ≥ 0.999 at every position: llama.cpp rounds activations to 8 bits).
Exit 1 where one of these fails.
"""

import glob
import os
import subprocess
import sys
import tempfile

import llama_cpp
import numpy
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

HERE = os.path.dirname(os.path.abspath(__file__))
PROMPT = "The network's 231 nodes are healthy."
FIELDS = [
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size",
    "max_position_embeddings", "rms_norm_eps", "tie_word_embeddings",
]


transformers.utils.logging.disable_progress_bar()


def llama_logits(path, tokens):
    llama = llama_cpp.Llama(path, logits_all=True, n_ctx=64, verbose=False)
    llama.eval(tokens)
    return numpy.array(llama.scores[: len(tokens)])


def cosine(a, b):
    return (a * b).sum(-1) / numpy.linalg.norm(a, axis=-1) / numpy.linalg.norm(b, axis=-1)


@torch.no_grad()
def check(qquant, path):
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, "model")
        subprocess.run([qquant, "import", path, "--output", output, "--dtype", "f32"], check=True, capture_output=True)
        model, loading = AutoModelForCausalLM.from_pretrained(output, dtype=torch.float32, output_loading_info=True)
        generation = GenerationConfig.from_pretrained(output)
        tokenizer = AutoTokenizer.from_pretrained(output)
        strays = sum(len(loading[key]) for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
        theirs = AutoModelForCausalLM.from_pretrained(
            os.path.dirname(path), gguf_file=os.path.basename(path), dtype=torch.float32
        )
        # Numbers in fp32, which GGUF keeps them in: 1e-05 is 9.999999747378752e-06 there.
        fields = [f for f in FIELDS if numpy.float32(getattr(model.config, f)) != numpy.float32(getattr(theirs.config, f))]
        expected = theirs.state_dict()
        different = [
            name for name, value in model.state_dict().items()
            if value.shape != expected[name].shape or not torch.equal(value.view(torch.int32), expected[name].view(torch.int32))
        ]
        tokens = tokenizer(PROMPT)["input_ids"]
        assert tokenizer.decode(tokens, skip_special_tokens=True) == PROMPT and generation.eos_token_id is not None
        likeness = cosine(model(torch.tensor([tokens])).logits[0].numpy(), llama_logits(path, tokens)).min()
        right = not strays and not fields and not different and likeness >= 0.999
        print(
            f"{os.path.basename(path)}: {'ok' if right else 'FAILED'}; {len(expected)} tensors, {len(different)} other than "
            f"transformers' {different[:3]}, settings that differ {fields}, strays {strays}, cosine with llama.cpp {likeness:.6f}",
            flush=True,
        )
        return right


def main(qquant, files):
    files = files or sorted(glob.glob(os.path.join(HERE, "..", "Fixtures", "gguf", "*.gguf")))
    return 0 if all([check(qquant, os.path.abspath(path)) for path in files]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
