#!/usr/bin/env bash
# A virtual environment with the given packages, and llama.cpp built for this CPU. Quick when it is there.
#
#     scripts/python-env.sh DIRECTORY PACKAGE…
set -euo pipefail
environment=$1
shift
[ -f "$environment/complete" ] && exit 0
echo "python: installing $* and llama.cpp in $environment (several minutes)"
command -v c++ >/dev/null || {
    sudo=()
    [ "$(id -u)" -eq 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get install -y -q --no-install-recommends g++
}
python3 -m venv "$environment"
"$environment/bin/pip" install --quiet cmake ninja "$@"
# From source: a built wheel would not know this CPU.
CMAKE_ARGS="-DGGML_NATIVE=ON" "$environment/bin/pip" install --quiet --no-binary llama-cpp-python llama-cpp-python==0.3.36
touch "$environment/complete"
