#!/usr/bin/env bash
# mpirun as a pipeline of stages wants it: scripts/mpirun.sh -np 3 qinfer run … --stages 3 --transport mpi
#
# Ranks are not bound to cores (each has threads of its own), more ranks than cores may run, and idle ones yield. Links
# between hosts that fall silent are given up after seconds instead of hours. What is set already stays.
set -euo pipefail

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
exec mpirun "$@"
