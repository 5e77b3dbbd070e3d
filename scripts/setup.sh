#!/usr/bin/env bash
# Installs what the build and the tests need on Debian: C libraries, fonts and a browser-free Chart.js. Quick when all is there.
set -euo pipefail

packages=(libopenblas-dev libhdf5-dev libsqlite3-dev libpcre2-dev zlib1g-dev libopenmpi-dev openmpi-bin iproute2 procps libjs-chart.js
    pkg-config python3-venv make git shellcheck)
missing=()
for package in "${packages[@]}"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
    echo "setup: installing ${missing[*]}"
    sudo=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || { echo "setup: needs root or sudo to run: apt-get install ${missing[*]}" >&2; exit 1; }
        sudo=(sudo)
    fi
    "${sudo[@]}" apt-get update -q
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
fi
command -v swift >/dev/null || {
    echo "setup: swift is not on the PATH; install a Swift 6.2 or later toolchain from swift.org and run again" >&2
    exit 1
}
echo "setup: complete ($(swift --version 2>/dev/null | head -n 1))"
