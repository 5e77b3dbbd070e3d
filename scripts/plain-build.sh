#!/usr/bin/env bash
# Builds qinfer without the package trait MPI, where pkg-config finds no MPI, and shows what the tool then says and links.
set -euo pipefail

scratch=${1:-.build/plain}
hidden=$(mktemp -d)
trap 'rm -rf "$hidden"' EXIT
# pkg-config looks here alone: everything that the package needs, but MPI.
for folder in $(pkg-config --variable pc_path pkg-config | tr : ' '); do
    [ -d "$folder" ] || continue
    for file in "$folder"/*.pc; do
        case "$(basename "$file")" in *mpi*) ;; *) ln -sf "$file" "$hidden/" ;; esac
    done
done
PKG_CONFIG_LIBDIR=$hidden swift build -c release --scratch-path "$scratch" --product qinfer
tool=$scratch/release/qinfer
if ldd "$tool" | grep -q libmpi; then
    echo "plain: qinfer is linked to MPI" >&2
    exit 1
fi
said=$("$tool" generate nowhere --prompt a --transport mpi 2>&1) && status=0 || status=$?
case "$status $said" in
"1 error: "*"this build has no MPI"*) echo "plain: builds without MPI, and says: $said" ;;
*)
    echo "plain: expected a worded refusal and status 1, got status $status: $said" >&2
    exit 1
    ;;
esac
