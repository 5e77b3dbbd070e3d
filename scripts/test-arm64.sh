#!/bin/sh
# Holds the NEON kernels to the specification's bits under qemu-user; fails if anything differs.
# Debian: apt-get install clang gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
set -eu
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for source in $(find Sources/CKernels -name '*.c') scripts/kernel-check.c; do
    "${CC:-clang}" --target=aarch64-linux-gnu --sysroot=/usr/aarch64-linux-gnu -isystem /usr/aarch64-linux-gnu/include \
        -std=c11 -O2 -Wall -Werror -D_DEFAULT_SOURCE -ISources/CKernels/include \
        -c "$source" -o "$out/$(echo "$source" | tr / _).o"
done
aarch64-linux-gnu-gcc -static "$out"/*.o -lm -o "$out/kernel-check"
qemu-aarch64 -cpu max "$out/kernel-check" neon
# A processor without dot products must fall back, not fault.
if qemu-aarch64 -cpu cortex-a53 "$out/kernel-check" neon; then
    echo "neon was taken on a processor without dot products" >&2
    exit 1
fi
