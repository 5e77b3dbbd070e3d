#!/usr/bin/env bash
# A virtual environment with llama.cpp, built for this CPU, and the gguf package. Quick when it is there.
set -euo pipefail
environment=$1
[ -f "$environment/complete" ] && exit 0
echo "peers: building llama.cpp in $environment (several minutes)"
command -v c++ >/dev/null || {
    sudo=(); [ "$(id -u)" -eq 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get install -y -q --no-install-recommends g++
}
python3 -m venv "$environment"
"$environment/bin/pip" install --quiet numpy==2.4.1 gguf==0.19.0 cmake ninja
CMAKE_ARGS="-DGGML_NATIVE=ON -DGGML_CUDA=OFF" "$environment/bin/pip" install --quiet --no-binary llama-cpp-python llama-cpp-python==0.3.36
touch "$environment/complete"
