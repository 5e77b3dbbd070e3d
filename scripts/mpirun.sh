#!/usr/bin/env bash
# mpirun as a pipeline of stages wants it: scripts/mpirun.sh -np 3 qinfer run … --stages 3 --transport mpi
#
# Ranks are not bound to cores (each has threads of its own), more ranks than cores may run, and idle ones yield. Links
# between hosts that fall silent are given up after seconds instead of hours. What is set already stays.
#
# When all ranks of this host have ended, the launcher has QUBIC_LAUNCHER_GRACE seconds (2) to end the others: where a link is
# cut, mpirun waits for daemons that will never answer. Ranks over there end by themselves. So this host must have a rank.
set -euo pipefail

command -v pgrep >/dev/null || { echo "mpirun.sh: there is no pgrep; install procps" >&2; exit 64; }

: "${OMPI_MCA_hwloc_base_binding_policy:=none}"
: "${OMPI_MCA_rmaps_base_oversubscribe:=1}"
: "${OMPI_MCA_mpi_yield_when_idle:=1}"
: "${OMPI_MCA_oob_tcp_keepalive_time:=3}"
: "${OMPI_MCA_oob_tcp_keepalive_intvl:=1}"
: "${OMPI_MCA_oob_tcp_keepalive_probes:=3}"
export OMPI_MCA_hwloc_base_binding_policy OMPI_MCA_rmaps_base_oversubscribe OMPI_MCA_mpi_yield_when_idle
export OMPI_MCA_oob_tcp_keepalive_time OMPI_MCA_oob_tcp_keepalive_intvl OMPI_MCA_oob_tcp_keepalive_probes
if [ "$(id -u)" -eq 0 ]; then
    # Open MPI asks twice before it runs as root, which is what a container does.
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

ranks_below() {
    local process
    for process in $(pgrep -P "$1"); do
        if tr '\0' '\n' <"/proc/$process/environ" 2>/dev/null | grep -q '^OMPI_COMM_WORLD_RANK='; then return 0; fi
    done
    return 1
}

# Watches the process that this shell becomes; holds nothing of it open.
watch() {
    local launcher=$1 left=-1 descriptor
    for descriptor in "/proc/$BASHPID/fd"/*; do
        descriptor=${descriptor##*/}
        [ "$descriptor" -le 2 ] || eval "exec $descriptor>&-"
    done
    while grep -q '^State:[[:space:]]*[^ZX]' "/proc/$launcher/status" 2>/dev/null; do
        if ranks_below "$launcher"; then
            left=${QUBIC_LAUNCHER_GRACE:-2}
        elif [ "$left" -ge 0 ]; then
            [ "$left" -eq 0 ] && kill -KILL "$launcher"
            left=$((left - 1))
        fi
        sleep 1
    done
}
watch $$ </dev/null >/dev/null 2>&1 &
exec mpirun "$@"
