#!/usr/bin/env bash
# A virtual environment with the given packages and, unless told not to, llama.cpp built for this CPU. Quick when it is there.
#
#     scripts/python-env.sh [--without-llama-cpp] DIRECTORY PACKAGE…
set -euo pipefail
llama=yes
if [ "$1" = --without-llama-cpp ]; then
    llama=no
    shift
fi
environment=$1
shift
# It holds what was installed: another list of packages is installed anew, on top.
[ -f "$environment/complete" ] && [ "$(cat "$environment/complete")" = "$*" ] && exit 0
python3 -m venv "$environment"
if [ "$llama" = no ]; then
    echo "python: installing $* in $environment"
    "$environment/bin/pip" install --quiet "$@"
else
    echo "python: installing $* and llama.cpp in $environment (several minutes)"
    command -v c++ >/dev/null || {
        sudo=()
        [ "$(id -u)" -eq 0 ] || sudo=(sudo)
        "${sudo[@]}" apt-get install -y -q --no-install-recommends g++
    }
    "$environment/bin/pip" install --quiet cmake ninja "$@"
    # From source: a built wheel would not know this CPU.
    CMAKE_ARGS="-DGGML_NATIVE=ON" "$environment/bin/pip" install --quiet --no-binary llama-cpp-python llama-cpp-python==0.3.36
fi
echo "$*" > "$environment/complete"
