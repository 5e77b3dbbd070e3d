#!/usr/bin/env bash
# Three hosts on one machine: network namespaces with addresses of their own, joined by veth pairs and a bridge, at
# 1 Gbit/s, and 5 ms away from each other where the kernel has netem. Traffic stays on the bridge. Needs root.
#
#   hosts.sh up PREFIX        makes PREFIX1 … PREFIX3 at 10.77.0.1 … .3; says what the links are held to
#   hosts.sh cut PREFIX N     takes the cable out of host N; join PREFIX N puts it back
#   hosts.sh run PREFIX …     runs a command on the first host, with what mpirun needs to reach the others
#   hosts.sh down PREFIX      removes all of it
set -euo pipefail

action=$1 prefix=$2
shift 2
case "$action" in
up)
    trap '"$0" down "$prefix" 2>/dev/null || true' ERR
    ip link add "${prefix}br" type bridge
    ip link set "${prefix}br" up
    shaped="1 Gbit/s" delayed="no delay: the kernel has no netem"
    for n in 1 2 3; do
        ip netns add "$prefix$n"
        ip link add "${prefix}v$n" type veth peer name eth0 netns "$prefix$n"
        ip link set "${prefix}v$n" master "${prefix}br" up
        ip -n "$prefix$n" link set lo up
        ip -n "$prefix$n" link set eth0 up
        ip -n "$prefix$n" address add "10.77.0.$n/24" dev eth0
        tc -n "$prefix$n" qdisc add dev eth0 root handle 1: tbf rate 1gbit burst 256kb latency 50ms 2>/dev/null ||
            shaped="no rate: the kernel has no tbf"
        tc -n "$prefix$n" qdisc add dev eth0 parent 1: handle 2: netem delay 5ms 2>/dev/null && delayed="5 ms a way"
    done
    echo "hosts: $shaped, $delayed"
    ;;
cut) ip link set "${prefix}v$1" down ;;
join)
    ip link set "${prefix}v$1" up
    # A link needs a moment. Nobody listens there: to be refused is to be answered.
    for _ in $(seq 50); do
        answer=$(ip netns exec "$prefix$1" timeout 1 bash -c "</dev/tcp/10.77.0.$((1 + ($1 == 1)))/9" 2>&1 || true)
        [[ $answer == *refused* ]] && exit 0
        sleep 0.2
    done
    echo "hosts.sh: host $1 does not reach the first one" >&2
    exit 1
    ;;
run)
    export OMPI_MCA_plm_rsh_agent="$(dirname "$(readlink -f "$0")")/hosts-agent.sh" QUBIC_HOSTS=$prefix
    export OMPI_MCA_btl_tcp_if_include=10.77.0.0/24 OMPI_MCA_oob_tcp_if_include=10.77.0.0/24
    exec ip netns exec "${prefix}1" unshare --uts sh -c 'hostname "$0"; exec "$@"' "${prefix}1" "$@"
    ;;
down)
    for n in 1 2 3; do
        ip link del "${prefix}v$n" 2>/dev/null || true
        ip netns del "$prefix$n" 2>/dev/null || true
    done
    ip link del "${prefix}br" 2>/dev/null || true
    ;;
*)
    echo "hosts.sh: unknown action $action" >&2
    exit 64
    ;;
esac
