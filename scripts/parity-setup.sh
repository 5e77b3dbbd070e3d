#!/usr/bin/env bash
# A virtual environment with the implementations that Tests/Parity compares with. Quick when it is there.
set -euo pipefail
environment=$1
[ -f "$environment/complete" ] && exit 0
echo "parity: installing torch, transformers, compressed-tensors and llama.cpp in $environment (several minutes)"
command -v c++ >/dev/null || {
    sudo=(); [ "$(id -u)" -eq 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get install -y -q --no-install-recommends g++
}
python3 -m venv "$environment"
"$environment/bin/pip" install --quiet torch==2.13.0 transformers==5.23.0 compressed-tensors==0.20.0 tokenizers==0.23.3 \
    h5py numpy gguf==0.19.0 safetensors accelerate jinja2 cmake ninja
CMAKE_ARGS="-DGGML_NATIVE=ON" "$environment/bin/pip" install --quiet llama-cpp-python==0.3.36
touch "$environment/complete"
