#!/usr/bin/env bash
# What mpirun starts its daemons by on the hosts of hosts.sh, in place of ssh: hosts-agent.sh ADDRESS COMMAND…
set -euo pipefail
host="$QUBIC_HOSTS${1##*.}"
shift
exec ip netns exec "$host" unshare --uts sh -c 'hostname "$0"; shift 0; exec sh -c "$*"' "$host" "$@"
