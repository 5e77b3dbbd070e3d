#!/usr/bin/env python3
"""Makes the GGUF files of this folder and goldens.json, with the `gguf` package, torch-free; tokens by llama.cpp.

    python3 make.py

Needs gguf, numpy, tokenizers, llama-cpp-python. goldens.json holds for each file what an import must give: config.json's
values, and each tensor's shape and FNV-1a hash in F16, BF16 and F32. The hashes are taken of Hugging Face's weights,
quantized and dequantized by gguf.quants before llama.cpp's permutation of q and k is applied to what goes into the file;
so nothing here undoes a permutation. vocabulary.json is a small BPE vocabulary, and tokens.json what llama.cpp makes of
texts.py with it under each pre-tokenizer's name.
"""

import json
import os
import tempfile
import unicodedata

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Q
from texts import TEXTS, random_text
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def vocabulary():
    """Byte-level BPE of 512 tokens, trained on the texts; special tokens last."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(WORDS), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=509, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False, min_frequency=1
    )
    tokenizer.train_from_iterator(list(TEXTS.values()) * 2, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get) + SPECIAL
    merges = [" ".join(merge) for merge in model["merges"]]
    types = [int(gguf.TokenType.NORMAL)] * 509 + [int(gguf.TokenType.CONTROL)] * 3
    return {"tokens": tokens, "types": types, "merges": merges}


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def bf16(values):
    """Round to nearest, ties to even, by gguf itself."""
    return gguf.quants.quantize(values, Q.BF16).tobytes()


def permute(weight, heads):
    """As llama.cpp's convert_hf_to_gguf.py, LlamaModel.permute."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def tensors(spec, rng):
    """(GGUF name, Hugging Face name, weight, type, heads to permute by or None)."""
    hidden, inner, heads, kv, dim = spec["hidden"], spec["inner"], spec["heads"], spec["kv"], spec["dim"]
    is_llama = spec["arch"] == "llama"
    cycle = [Q.F32, Q.F16, Q.BF16, Q.Q8_0, Q.Q4_0, Q.Q4_1]
    place = spec.get("first", 0)

    def matrix(rows, columns):
        weight = (rng.standard_normal((rows, columns)) * 0.1).astype(np.float32)
        weight[0, :32] = 0  # a block of zeros
        weight[-1, 3] = 4.0  # an outlier
        return weight

    def next_type():
        nonlocal place
        place += 1
        return cycle[(place - 1) % len(cycle)]

    yield "token_embd.weight", "model.embed_tokens.weight", matrix(512, hidden), Q.Q8_0, None
    yield "output_norm.weight", "model.norm.weight", rng.random(hidden, np.float32) + 0.5, Q.F32, None
    if spec["untied"]:
        yield "output.weight", "lm_head.weight", matrix(512, hidden), Q.Q4_1, None
    for layer in range(spec["layers"]):
        at, to = f"blk.{layer}", f"model.layers.{layer}"
        yield f"{at}.attn_norm.weight", f"{to}.input_layernorm.weight", rng.random(hidden, np.float32) + 0.5, Q.F32, None
        yield f"{at}.ffn_norm.weight", f"{to}.post_attention_layernorm.weight", rng.random(hidden, np.float32) + 0.5, Q.F32, None
        for name, module, rows, columns, n in [
            ("attn_q", "self_attn.q_proj", heads * dim, hidden, heads),
            ("attn_k", "self_attn.k_proj", kv * dim, hidden, kv),
            ("attn_v", "self_attn.v_proj", kv * dim, hidden, None),
            ("attn_output", "self_attn.o_proj", hidden, heads * dim, None),
            ("ffn_gate", "mlp.gate_proj", inner, hidden, None),
            ("ffn_up", "mlp.up_proj", inner, hidden, None),
            ("ffn_down", "mlp.down_proj", hidden, inner, None),
        ]:
            n = n if is_llama else None
            yield f"{at}.{name}.weight", f"{to}.{module}.weight", matrix(rows, columns), next_type(), n
            if spec.get("bias") and name in ("attn_q", "attn_k", "attn_v"):
                bias = (rng.standard_normal(rows) * 0.1).astype(np.float32)
                yield f"{at}.{name}.bias", f"{to}.{module}.bias", bias, Q.F32, n


def llama3_divisors(dim, theta):
    """rope_freqs.weight as convert_hf_to_gguf.py computes it for Llama 3.1 (factor 8, 1, 4, 8192)."""
    factors = []
    for i in range(0, dim, 2):
        wavelength = 2 * np.pi * theta ** (i / dim)
        if wavelength < 8192 / 4:
            factors.append(1.0)
        elif wavelength > 8192 / 1:
            factors.append(8.0)
        else:
            smooth = (8192 / wavelength - 1) / (4 - 1)
            factors.append(1 / ((1 - smooth) / 8 + smooth))
    return np.array(factors, np.float32)


def add_vocabulary(writer, vocab, pre):
    writer.add_tokenizer_model("gpt2")
    if pre:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(vocab["tokens"])
    writer.add_token_types(vocab["types"])
    writer.add_token_merges(vocab["merges"])
    writer.add_bos_token_id(510)
    writer.add_eos_token_id(511)


def write(name, spec, vocab):
    rng = np.random.default_rng(spec["seed"])
    path = os.path.join(HERE, name)
    writer = gguf.GGUFWriter(path, spec["arch"])
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name("tiny")
    writer.add_block_count(spec["layers"])
    writer.add_context_length(spec["context"])
    writer.add_embedding_length(spec["hidden"])
    writer.add_feed_forward_length(spec["inner"])
    writer.add_head_count(spec["heads"])
    writer.add_head_count_kv(spec["kv"])
    writer.add_layer_norm_rms_eps(spec["epsilon"])
    writer.add_rope_freq_base(spec["theta"])
    writer.add_vocab_size(512)
    if spec["dim"] * spec["heads"] != spec["hidden"]:
        writer.add_key_length(spec["dim"])
        writer.add_value_length(spec["dim"])
    writer.add_rope_dimension_count(spec["dim"])
    if "linear" in spec:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(spec["linear"])
    if "alignment" in spec:
        writer.add_custom_alignment(spec["alignment"])
    add_vocabulary(writer, vocab, spec["pre"])
    if "template" in spec:
        writer.add_chat_template(spec["template"])
    goldens = {}
    for ours, theirs, weight, kind, heads in tensors(spec, rng):
        stored = gguf.quants.quantize(weight, kind)
        values = gguf.quants.dequantize(stored, kind).astype(np.float32)
        assert values.shape == weight.shape
        goldens[theirs] = {
            "type": kind.name,
            "shape": list(weight.shape),
            "F16": fnv(values.astype(np.float16).tobytes()),
            "BF16": fnv(bf16(values)),
            "F32": fnv(values.tobytes()),
        }
        placed = weight if heads is None else permute(weight, heads)
        writer.add_tensor(ours, gguf.quants.quantize(placed, kind), raw_dtype=kind)
    if spec.get("llama3"):
        writer.add_tensor("rope_freqs.weight", llama3_divisors(spec["dim"], spec["theta"]), raw_dtype=Q.F32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if spec["version"] == 2:  # the same bytes but for the number
        with open(path, "r+b") as file:
            file.seek(4)
            file.write((2).to_bytes(4, "little"))
    return {"config": spec["config"], "generation": {"bos_token_id": 510, "eos_token_id": 511}, "tensors": goldens}


def config(spec, **more):
    is_llama = spec["arch"] == "llama"
    return {
        "architectures": ["LlamaForCausalLM" if is_llama else "Qwen2ForCausalLM"],
        "model_type": spec["arch"],
        "hidden_act": "silu",
        "hidden_size": spec["hidden"],
        "intermediate_size": spec["inner"],
        "num_hidden_layers": spec["layers"],
        "num_attention_heads": spec["heads"],
        "num_key_value_heads": spec["kv"],
        "max_position_embeddings": spec["context"],
        "rms_norm_eps": spec["epsilon"],
        "rope_theta": spec["theta"],
        "tie_word_embeddings": not spec["untied"],
        "torch_dtype": "float16",
        "vocab_size": 512,
        "bos_token_id": 510,
        "eos_token_id": 511,
        **({"attention_bias": False, "mlp_bias": False} if is_llama else {"use_sliding_window": False}),
        **more,
    }


def specifications():
    llama = dict(
        arch="llama", version=3, seed=1, hidden=64, inner=96, heads=4, kv=2, dim=16, layers=2, context=256, epsilon=1e-5,
        theta=10000.0, untied=False, pre="smollm", template="{% for m in messages %}<|im_start|>{{ m }}{% endfor %}",
    )
    llama["config"] = config(llama, rope_scaling=None)
    llama3 = dict(
        arch="llama", version=2, seed=2, hidden=32, inner=64, heads=2, kv=1, dim=32, layers=1, context=131072,
        epsilon=1e-5, theta=500000.0, untied=True, pre="llama-bpe", llama3=True, first=2, alignment=64,
    )
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    llama3["config"] = config(
        llama3, head_dim=32, rope_scaling={**scaling, "original_max_position_embeddings": 8192}
    )
    qwen2 = dict(
        arch="qwen2", version=3, seed=3, hidden=64, inner=96, heads=4, kv=2, dim=16, layers=1, context=512, epsilon=1e-6,
        theta=1000000.0, untied=True, pre="deepseek-r1-qwen", bias=True, first=4, linear=2.0,
    )
    qwen2["config"] = config(qwen2, rope_scaling={"rope_type": "linear", "factor": 2.0})
    return {"llama.gguf": llama, "llama3-v2.gguf": llama3, "qwen2.gguf": qwen2}


def llama_tokens(vocab):
    """llama.cpp's tokens of each text under each pre-tokenizer."""
    import llama_cpp

    texts = {**TEXTS, "random": random_text(1500), "special": "<|im_start|>a<|im_end|> b<|endoftext|>c"}
    answer = {"llama.cpp": llama_cpp.__version__, "texts": {}, "tokens": {}}
    for pre in ["", "default", "gpt-2", "smollm", "llama-bpe", "llama3", "llama-v3", "qwen2", "deepseek-r1-qwen"]:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "vocabulary.gguf")
            writer = gguf.GGUFWriter(path, "llama")
            add_vocabulary(writer, vocab, pre)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            llama = llama_cpp.Llama(path, vocab_only=True, verbose=False)
            tokens = {}
            for name, text in texts.items():
                # llama.cpp has no normalizer; Qwen 2's own tokenizer begins with NFC.
                text = unicodedata.normalize("NFC", text) if pre == "qwen2" else text
                answer["texts"][name] = texts[name]
                tokens[name] = llama.tokenize(text.encode(), add_bos=True, special=True)
            answer["tokens"][pre] = tokens
    return answer


def save(name, document, indent=None):
    path = os.path.join(HERE, name)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=True, indent=indent, separators=None if indent else (",", ":"))
        file.write("\n")
    print(f"{name}: {os.path.getsize(path)} bytes")


def main():
    vocab = vocabulary()
    save("vocabulary.json", vocab)
    goldens = {name: write(name, spec, vocab) for name, spec in specifications().items()}
    for name in goldens:
        print(f"{name}: {os.path.getsize(os.path.join(HERE, name))} bytes")
    save("goldens.json", goldens, indent=1)
    save("tokens.json", llama_tokens(vocab))


if __name__ == "__main__":
    main()
