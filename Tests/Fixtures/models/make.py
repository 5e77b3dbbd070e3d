#!/usr/bin/env python3
"""Makes the tiny random checkpoints of the tests and their goldens, with transformers.

    python3 make.py            writes <model>/ and goldens/<model>.{safetensors,json} beside this file
    python3 make.py --check    makes them anew elsewhere and compares: exit 1 on any difference

Checkpoints, config and token lists must be equal byte for byte; golden activations within 2e-5, since another CPU
may sum in another order. Made with (see VERSIONS below) torch, transformers, tokenizers, safetensors; other versions
may well give other files, and --check then says so.

goldens/<model>.safetensors: prompt_tokens I32 [T], greedy_tokens I32 [32], and in F32 the points of
Tests/Parity/transformers_activations.py, the model computed in fp32 with eager attention.
"""

import argparse
import filecmp
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "Parity"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import safetensors.torch
import tokenizers
import torch
import transformers
from transformers import LlamaConfig, MistralConfig, Qwen2Config, AutoModelForCausalLM

from transformers_activations import capture, greedy, load

VERSIONS = {"torch": "2.13.0", "transformers": "5.23.0", "tokenizers": "0.23.3", "safetensors": "0.8.0"}
GREEDY_TOKENS = 32
# Greedy goldens are worth nothing where two logits almost tie: ours may differ by 1e-3 from the reference.
LEAST_MARGIN = 0.01
TOLERANCE = 2e-5
EOS_OF_TOKENIZER = 301  # <|im_end|> of the tokenizer below: the last of 299 + 3


def rope(**settings):
    return {"rope_theta": 10000.0, "rope_type": "default"} | settings


LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0)

# Each differs from the others in what a loader or a decoder may get wrong: shapes that share no factor by accident,
# tied or untied, bias or none, stored dtype, spelling of config.json, sharding.
MODELS = {
    "llama": dict(
        config=LlamaConfig(
            vocab_size=192, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=256, rms_norm_eps=1e-5, rope_parameters=rope(),
            tie_word_embeddings=False, bos_token_id=1, eos_token_id=2),
        dtype=torch.float16, prompt=20),
    # head_dim 16 ≠ 32/4, biases on q, k, v and o. At an original context of 64 the eight frequencies fall into all
    # three ranges of llama3 scaling: kept, blended, divided.
    "llama3-rope": dict(
        config=LlamaConfig(
            vocab_size=128, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=16, attention_bias=True, max_position_embeddings=512,
            rope_parameters=rope(original_max_position_embeddings=64, **LLAMA3), tie_word_embeddings=False,
            bos_token_id=1, eos_token_id=[2, 3]),
        dtype=torch.float32, prompt=32, spelling="old"),
    "llama-linear": dict(
        config=LlamaConfig(
            vocab_size=128, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=4, max_position_embeddings=256, rope_parameters=rope(rope_type="linear", factor=4.0),
            tie_word_embeddings=True, bos_token_id=1, eos_token_id=2),
        dtype=torch.float32, prompt=18, spelling="oldest"),
    # Carries a tokenizer and a chat template, so that the tools run on it from text to text.
    "qwen2-tied": dict(
        config=Qwen2Config(
            vocab_size=320, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=512, rope_parameters=rope(rope_theta=1000000.0),
            tie_word_embeddings=True, use_sliding_window=False, bos_token_id=None, eos_token_id=EOS_OF_TOKENIZER),
        dtype=torch.bfloat16, prompt=20, tokenizer=True),
    "qwen2-untied": dict(
        config=Qwen2Config(
            vocab_size=128, hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=6,
            num_key_value_heads=2, max_position_embeddings=256, rope_parameters=rope(), tie_word_embeddings=False,
            use_sliding_window=False, bos_token_id=1, eos_token_id=2),
        dtype=torch.float32, prompt=17, shards="60KB"),
    "mistral": dict(
        config=MistralConfig(
            vocab_size=128, hidden_size=32, intermediate_size=56, num_hidden_layers=2, num_attention_heads=8,
            num_key_value_heads=2, head_dim=8, max_position_embeddings=256, sliding_window=None,
            rope_parameters=rope(), tie_word_embeddings=False, bos_token_id=1, eos_token_id=2),
        dtype=torch.float32, prompt=18, spelling="old"),
}


def fill(model, seed):
    """Weights of unit gain (attention that attends, logits that differ), biases not zero, norms around 1."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        values = torch.randn(parameter.shape, generator=generator)
        if name.endswith("bias"):
            values *= 0.5
        elif "norm" in name:
            values = 1 + 0.2 * values
        elif "embed_tokens" not in name:
            values *= 1.5 / parameter.shape[1] ** 0.5
        elif model.config.tie_word_embeddings:
            values *= 0.5
        parameter.data.copy_(values)


def spell_old(config, oldest):
    """config.json as transformers 4 wrote it; `oldest` has "type" where later ones have "rope_type"."""
    parameters = config.pop("rope_parameters")
    config["rope_theta"] = parameters.pop("rope_theta")
    kind = parameters.pop("rope_type")
    config["rope_scaling"] = None if kind == "default" else {("type" if oldest else "rope_type"): kind, **parameters}
    config["torch_dtype"] = config.pop("dtype")
    return config


def write_tokenizer(directory):
    """Byte-level BPE: 256 bytes, 43 merges, 3 special tokens; ChatML."""
    corpus = ["the network epoch tick state is in the network", "網路狀況 網路 狀況", "tick tick epoch 123"]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    # Special tokens come after the merges, as in Qwen2: tokenizers numbers them so, whatever the file says.
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=299, show_progress=False, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(corpus, trainer)
    assert tokenizer.get_vocab_size() == EOS_OF_TOKENIZER - 2
    text = json.loads(tokenizer.to_str())
    text["added_tokens"] = [
        {"id": EOS_OF_TOKENIZER - 2 + index, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True} for index, content in enumerate(special)]
    (directory / "tokenizer.json").write_text(json.dumps(text, ensure_ascii=False, indent=1) + "\n")
    template = (
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>'"
        " + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
    settings = {
        "bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": None,
        "add_prefix_space": False, "clean_up_tokenization_spaces": False, "model_max_length": 512,
        "tokenizer_class": "PreTrainedTokenizerFast", "chat_template": template}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings, ensure_ascii=False, indent=2) + "\n")


def make(name, recipe, root):
    """Tries one seed after the other until no greedy step comes near a tie."""
    for seed in range(100):
        if attempt(name, recipe, root, seed):
            return
        shutil.rmtree(root / name)
    raise AssertionError(f"{name}: logits almost tie with every seed")


def attempt(name, recipe, root, seed):
    config = recipe["config"]
    model = AutoModelForCausalLM.from_config(config)
    fill(model, seed)
    directory = root / name
    directory.mkdir(parents=True)
    sharding = {"max_shard_size": recipe["shards"]} if "shards" in recipe else {}
    model.to(recipe["dtype"]).save_pretrained(directory, **sharding)
    if recipe.get("tokenizer"):
        write_tokenizer(directory)

    model = load(directory)
    generator = torch.Generator().manual_seed(1000 + seed)
    prompt = torch.randint(0, config.vocab_size, (recipe["prompt"],), generator=generator).tolist()
    tokens, margin = greedy(model, prompt, GREEDY_TOKENS)
    if margin <= LEAST_MARGIN or len(set(tokens)) < 8:
        return False
    points = capture(model, prompt)

    if "spelling" in recipe:
        path = directory / "config.json"
        old = spell_old(json.loads(path.read_text()), recipe["spelling"] == "oldest")
        path.write_text(json.dumps(old, indent=2, sort_keys=True) + "\n")
        again = capture(load(directory), prompt)
        assert all(torch.equal(points[key], again[key]) for key in points), f"{name}: the old spelling loads otherwise"
    if config.rope_parameters["rope_type"] != "default":
        plain = json.loads((directory / "config.json").read_text()) | {"rope_scaling": None}
        other = type(config)(**{key: value for key, value in plain.items() if key != "rope_parameters"})
        other._attn_implementation = "eager"
        unscaled = AutoModelForCausalLM.from_config(other)
        unscaled.load_state_dict(model.state_dict())
        effect = float((capture(unscaled.eval(), prompt)["logits"] - points["logits"]).abs().max())
        assert effect > 0.1, f"{name}: rope scaling does not show ({effect})"
    goldens = root / "goldens"
    goldens.mkdir(exist_ok=True)
    integers = {"prompt_tokens": prompt, "greedy_tokens": tokens}
    safetensors.torch.save_file(
        {key: torch.tensor(value, dtype=torch.int32) for key, value in integers.items()} | points,
        goldens / f"{name}.safetensors", metadata={"format": "pt"})
    summary = integers | {
        "versions": VERSIONS, "seed": seed, "least_margin": round(margin, 4),
        "largest_logit": round(float(points["logits"].abs().max()), 3),
        "points": {key: list(value.shape) for key, value in sorted(points.items())}}
    (goldens / f"{name}.json").write_text(json.dumps(summary) + "\n")
    return True


def check(made, kept):
    """Differences between two trees, worded."""
    problems = []
    names = {path.relative_to(tree) for tree in (made, kept) for path in tree.glob("*/*") if path.is_file()}
    names = {name for name in names if name.parts[0] in [*MODELS, "goldens"]}
    for name in sorted(names):
        if not (made / name).exists() or not (kept / name).exists():
            problems.append(f"{name}: only in one of the two")
        elif name.parts[0] == "goldens" and name.suffix == ".safetensors":
            ours, theirs = (safetensors.torch.load_file(tree / name) for tree in (made, kept))
            if ours.keys() != theirs.keys():
                problems.append(f"{name}: other tensors")
                continue
            for key in ours:
                same_shape = ours[key].shape == theirs[key].shape and ours[key].dtype == theirs[key].dtype
                if not same_shape or float((ours[key] - theirs[key]).abs().max()) > TOLERANCE:
                    problems.append(f"{name}: {key} differs")
        elif not filecmp.cmp(made / name, kept / name, shallow=False):
            problems.append(f"{name}: other bytes")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    running = {module.__name__: module.__version__.split("+")[0] for module in (torch, transformers, tokenizers)}
    running["safetensors"] = safetensors.__version__
    if running != VERSIONS:
        print(f"note: made with {VERSIONS}, running with {running}", file=sys.stderr)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)

    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        for name, recipe in MODELS.items():
            make(name, recipe, scratch)
        if arguments.check:
            problems = check(scratch, HERE)
            print("\n".join(problems) or f"{len(MODELS)} models: as committed")
            return 1 if problems else 0
        for name in [*MODELS, "goldens"]:
            shutil.rmtree(HERE / name, ignore_errors=True)
            shutil.copytree(scratch / name, HERE / name)
    total = sum(path.stat().st_size for path in HERE.rglob("*") if path.is_file())
    print(f"{len(MODELS)} models, {total} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
